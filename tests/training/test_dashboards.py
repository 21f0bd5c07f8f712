"""A dashboard gets what a run writes about itself: the loss, and the score of the held-out pairs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from script_modules import call, load_recipe
from tiny_runs import write_run


def test_tensorboard_gets_the_held_out_score(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    flags = write_run(tmp_path, pairs=300, max_steps="10", eval_steps="5", report_to="tensorboard")
    del flags["eval"]
    assert call(load_recipe("train"), flags) == 0
    (folder,) = {path.parent for path in Path(flags["output_dir"]).rglob("events.out.tfevents.*")}
    events = EventAccumulator(str(folder)).Reload()
    curve = json.loads((Path(flags["output_dir"]) / "results.json").read_text())["held_out"]["choice"]["curve"]
    (tag,) = [name for name in events.Tags()["scalars"] if name.endswith("held_out_pairs")]
    shown = {one.step: one.value for one in events.Scalars(tag)}
    assert shown == pytest.approx({one["step"]: one["value"] for one in curve}) and len(shown) > 1
    assert any(name.endswith("loss") for name in events.Tags()["scalars"])
