"""Files and folders are whole or absent, and what was there before survives an error."""

from __future__ import annotations

import stat

import pytest

from hf_optical.places import whole_file, whole_folder


def fill(folder, text):
    with whole_folder(folder) as scratch:
        (scratch / "a").write_text(text)


def half_of_a_file(path):
    with whole_file(path) as scratch:
        scratch.write_text("half")
        raise RuntimeError


def half_of_a_folder(folder):
    with whole_folder(folder) as scratch:
        (scratch / "a").write_text("half")
        raise RuntimeError


def test_a_file_is_replaced_and_readable_by_all(tmp_path):
    path = tmp_path / "new" / "a.txt"
    for text in ("one", "two"):
        with whole_file(path) as scratch:
            scratch.write_text(text)
    assert path.read_text() == "two" and stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_an_error_leaves_what_was_there(tmp_path):
    path, folder = tmp_path / "a.txt", tmp_path / "model"
    path.write_text("old")
    fill(folder, "old")
    with pytest.raises(RuntimeError):
        half_of_a_file(path)
    with pytest.raises(RuntimeError):
        half_of_a_folder(folder)
    assert path.read_text() == "old" and (folder / "a").read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.txt", "model"]


def test_a_folder_is_replaced_with_all_it_held(tmp_path):
    folder = tmp_path / "model"
    fill(folder, "old")
    (folder / "stale").write_text("x")
    fill(folder, "new")
    assert [(entry.name, entry.read_text()) for entry in folder.iterdir()] == [("a", "new")]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_the_old_folder_is_back_where_the_new_one_cannot_be_moved(tmp_path, monkeypatch):
    import os

    folder, move = tmp_path / "model", os.replace
    fill(folder, "old")
    calls = []

    def second_fails(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError("no space")
        move(source, target)

    monkeypatch.setattr("hf_optical.places.whole.os.replace", second_fails)
    with pytest.raises(OSError, match="no space"):
        fill(folder, "new")
    assert (folder / "a").read_text() == "old"


def test_of_two_writers_of_a_cache_the_first_stays(tmp_path):
    folder = tmp_path / "key"
    with whole_folder(folder, keep_first=True) as late:
        (late / "a").write_text("late")
        with whole_folder(folder, keep_first=True) as first:
            (first / "a").write_text("first")
    assert (folder / "a").read_text() == "first" and len(list(tmp_path.iterdir())) == 1
