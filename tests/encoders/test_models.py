"""Loading and saving of encoders."""

from __future__ import annotations

import tiny_models
from transformers.utils import logging as progress

from hf_optical.encoders.models import load_encoder, save_whole


def test_no_bars_of_local_weights_stay_in_the_log(tmp_path, capfd):
    model = tiny_models.dense(tmp_path / "made")
    capfd.readouterr()
    was = progress.is_progress_bar_enabled()
    save_whole(model, tmp_path / "model")
    load_encoder(str(tmp_path / "model"))
    said = capfd.readouterr().err
    assert "Loading weights" not in said and "Writing model shards" not in said
    assert progress.is_progress_bar_enabled() == was  # downloads keep theirs
