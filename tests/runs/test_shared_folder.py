"""What several runs share: found again only where everything that decides it is the same."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models

from hf_optical.encoders.models import load_encoder
from hf_optical.errors import InputError
from hf_optical.runs.shared_folder import SharedFolder


def test_a_student_is_found_by_what_decides_it_and_by_nothing_else(tmp_path):
    shared = SharedFolder(str(tmp_path / "shared"))
    student = tiny_models.dense(tmp_path)
    decisive = {"seed": 0, "student": "extend", "data": ["ab", "cd"]}
    assert shared.student(decisive) is None
    shared.keep_student(student, decisive)
    for other in ({**decisive, "seed": 1}, {**decisive, "data": ["ab", "ce"]}, {**decisive, "more": None}):
        assert shared.student(other) is None
    again = load_encoder(str(SharedFolder(str(tmp_path / "shared")).student(dict(reversed(decisive.items())))))
    assert np.array_equal(again.encode(["the goat"]), student.encode(["the goat"]))


def test_a_save_that_fails_leaves_nothing(tmp_path):
    class Full:
        def save_pretrained(self, folder):
            open(f"{folder}/half", "w").close()
            raise OSError("no space left")

    shared = SharedFolder(str(tmp_path / "shared"))
    with pytest.raises(OSError, match="no space"):
        shared.keep_student(Full(), {"seed": 0})
    assert shared.student({"seed": 0}) is None
    assert not list((tmp_path / "shared" / "students").iterdir())


def test_without_a_folder_nothing_is_kept(tmp_path):
    shared = SharedFolder(None)
    shared.keep_student(tiny_models.dense(tmp_path), {"seed": 0})
    assert shared.student({"seed": 0}) is None
    assert shared.documents().folder is None


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        SharedFolder(str(tmp_path / "file" / "shared"))
