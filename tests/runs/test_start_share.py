"""Share of the untrained student in what a run saves."""

from __future__ import annotations

import pytest

from hf_optical.results.files import write_json
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.start_share import start_share_of
from hf_optical.runs.student import START_FILE
from hf_optical.runs.training_data import TrainingData

MAPPED = {"space": None, "map": {"chosen": {}}}


@pytest.mark.parametrize(
    ("start", "options", "questions", "share"),
    [
        (MAPPED, {}, False, 0.5),
        (MAPPED, {"start_share": 0.25}, False, 0.25),
        (MAPPED, {"start_share": 0.0}, False, 0.0),
        (MAPPED, {"adapter": "lora"}, False, 0.0),
        (MAPPED, {}, True, 0.0),
        ({"space": {"same": True}, "map": None}, {}, False, 0.0),
        (None, {}, False, 0.0),
        (None, {"start_share": 0.5}, True, 0.5),
    ],
)
def test_a_mapped_student_keeps_half_of_its_start(tmp_path, start, options, questions, share):
    if start is not None:
        write_json(tmp_path / START_FILE, start)
    data = TrainingData({}, retrieval={"mono/eng_Latn": None} if questions else {})
    assert start_share_of(TrainConfig(output_dir=str(tmp_path), **options), data) == share
