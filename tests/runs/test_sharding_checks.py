"""What does not go with weights that are spread over processes is said before anything is read."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hf_optical.errors import InputError
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.sharding_checks import check_sharding

PLAIN = {"teacher": "t", "bitext": ["b"], "eval": ["e"], "language": "sw"}


def arguments(**changes):
    return SimpleNamespace(**{"fsdp": False, "deepspeed": None, **changes})


def test_without_sharding_everything_goes():
    check_sharding(TrainConfig(**PLAIN, adapter="lora"), arguments())


def test_deepspeed_is_refused_with_the_reason():
    with pytest.raises(InputError, match=r"skips the check .* non-finite.*fsdp2\.yaml"):
        check_sharding(TrainConfig(**PLAIN), arguments(deepspeed="zero.json"))


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"adapter": "lora"}, r"'adapter'.*multi_gpu\.yaml"),
        ({"train_embeddings": "used"}, "'train_embeddings'.*leave it out"),
        ({"monitor": "warn"}, "'monitor'.*--monitor off"),
        ({"held_out": 0.1}, "'held_out'.*--held_out 0"),
    ],
)
def test_fsdp_names_what_does_not_go_with_it(changes, remedy):
    whole = {**PLAIN, "monitor": "off", "held_out": 0.0}
    check_sharding(TrainConfig(**whole), arguments(fsdp=True))
    with pytest.raises(InputError, match=remedy):
        check_sharding(TrainConfig(**{**whole, **changes}), arguments(fsdp=True))
