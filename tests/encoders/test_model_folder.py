"""Models whose files lack some weights are refused, whatever transformers was told to keep to itself."""

from __future__ import annotations

import logging

import pytest
import tiny_models
from safetensors.torch import load_file, save_file
from transformers.utils import logging as verbosity

from hf_optical.encoders.models import load_encoder
from hf_optical.errors import InputError

KEY = "encoder.layer.0.attention.self.key.weight"


@pytest.mark.parametrize("level", [logging.WARNING, logging.ERROR])
def test_weights_that_are_missing_are_heard_of_however_quiet_transformers_is(tmp_path, capfd, level):
    tiny_models.dense(tmp_path).save_pretrained(str(tmp_path / "model"))
    file = tmp_path / "model" / "model.safetensors"
    weights = load_file(file)
    del weights[KEY]
    save_file(weights, file, metadata={"format": "pt"})
    before = verbosity.get_verbosity()
    capfd.readouterr()
    verbosity.set_verbosity(level)
    try:
        with pytest.raises(InputError, match=KEY):
            load_encoder(str(tmp_path / "model"), device="cpu")
        loader = logging.getLogger("transformers.modeling_utils")
        assert loader.getEffectiveLevel() == level and loader.propagate
    finally:
        verbosity.set_verbosity(before)
    printed = capfd.readouterr()
    assert level == logging.WARNING or "LOAD REPORT" not in printed.out + printed.err
