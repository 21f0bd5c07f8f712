"""Share of the untrained student in what a run saves."""

from __future__ import annotations

import pytest

from hf_optical.results.files import write_json
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.start_share import start_share_of
from hf_optical.runs.student import START_FILE

MAPPED = {"space": None, "map": {"chosen": {}}}


@pytest.mark.parametrize(
    ("start", "options", "share"),
    [
        (MAPPED, {}, 0.25),
        (MAPPED, {"start_share": 0.5}, 0.5),
        (MAPPED, {"start_share": 0.0}, 0.0),
        (MAPPED, {"adapter": "lora"}, 0.0),
        ({"space": {"same": True}, "map": None}, {}, 0.0),
        (None, {}, 0.0),
        (None, {"start_share": 0.5}, 0.5),
    ],
)
def test_a_mapped_student_keeps_a_quarter_of_its_start(tmp_path, start, options, share):
    if start is not None:
        write_json(tmp_path / START_FILE, start)
    assert start_share_of(TrainConfig(output_dir=str(tmp_path), **options)) == share
