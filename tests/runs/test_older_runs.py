"""What a version before the present names wrote is read: run.json, results.json, per_query.json, a cache's manifest.

The files in ``older/`` were written by that version: an interrupted run and a teacher cache of tiny models, and a short
run on the embedded sample.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hf_optical.errors import InputError
from hf_optical.results.files import plain
from hf_optical.results.records import read_per_query, read_results
from hf_optical.runs.older_runs import with_current_options
from hf_optical.runs.options import LoraOptions, TrainConfig
from hf_optical.runs.run_folder import prepare_output_dir
from hf_optical.teacher_cache.manifest import read_manifest

OLDER = Path(__file__).parent / "older"
# The options of that run as one gives them today; of 32 positions as many tokens are read.
TODAY = TrainConfig(
    teacher="tiny/teacher",
    student="copy",
    language="sw",
    bitext=["tiny/pairs.tsv"],
    eval=["tiny/eval"],
    objective="ot+rank",
    temperature=0.05,
    row_init="bitext",
    max_steps=200,
    batch_size=4,
    learning_rate=1e-4,
    held_out=0.0,
    anchor=0.0,
    start_share=0.0,
    max_length=32,
)


def decisive(config: TrainConfig) -> dict:
    written = json.loads((OLDER / "run.json").read_text())
    of_the_data = ("data", "teacher_weights", "teacher_cache", "versions")
    return {**config.decisive(), **{name: written[name] for name in of_the_data}}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    shutil.copy(OLDER / "run.json", tmp_path / "out" / "run.json")
    return tmp_path / "out"


def test_an_interrupted_run_is_resumed_with_the_same_options(folder, caplog):
    with caplog.at_level(logging.WARNING):
        prepare_output_dir(folder, decisive(TODAY))
    assert not caplog.records


def test_a_header_that_was_counted_as_a_row_is_no_difference(folder):
    wanted = decisive(TODAY)
    counted = [{**entry, "rows": entry["rows"] and entry["rows"] - 1} for entry in wanted["data"]]
    prepare_output_dir(folder, {**wanted, "data": counted})
    changed = [{**entry, "sha256": "0" * 64} for entry in counted]
    with pytest.raises(InputError, match="other options: data"):
        prepare_output_dir(folder, {**wanted, "data": changed})
    assert json.loads((folder / "run.json").read_text())["lora"]["rank"] == 16  # from now on under today's names


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, r"other options: seed \(was 0, now 1\)\."),
        ({"held_out": 0.05}, r"other options: held_out \(was 0\.0, now 0\.05\)\."),
        ({"anchor": None}, r"other options: anchor \(was 0\.0, now None\)\."),
        ({"monitor": "off"}, r"other options: monitor \(was warn, now off\)\."),
        ({"lora": LoraOptions(rank=8)}, r"other options: lora\.rank \(was 16, now 8\)\."),
        ({"document_encoder": "student"}, r"other options: document_encoder \(was None, now student\)\."),
    ],
)
def test_and_not_with_others(folder, change, said):
    with pytest.raises(InputError, match=said):
        prepare_output_dir(folder, decisive(replace(TODAY, **change)))


@pytest.mark.parametrize(
    ("watch", "on_alarm", "monitor"), [(True, "warn", "warn"), (True, "stop", "stop"), (False, "stop", "off")]
)
def test_two_options_that_became_one(watch, on_alarm, monitor):
    found = with_current_options({"watch": watch, "on_alarm": on_alarm}, plain(decisive(TODAY)))
    assert found["monitor"] == monitor and "watch" not in found and "on_alarm" not in found


@pytest.mark.parametrize(
    ("option", "student", "expected"),
    [
        ("anchor", "extend", None),
        ("anchor", "copy", 0.0),
        ("anchor", "org/model", 0.0),
        ("start_share", "extend", None),
        ("start_share", "copy", None),
        ("start_share", "org/model", 0.0),
    ],
)
def test_a_run_before_an_untrained_student_counted_trained_without_it(option, student, expected):
    """Whatever its other options are called; a student for which it counts as little today can go on."""
    wanted = plain(decisive(replace(TODAY, student=student, **{option: None})))
    begun = {name: value for name, value in wanted.items() if name != option}
    assert with_current_options(begun, wanted) == {**wanted, option: expected}


def test_a_run_of_today_is_left_as_it_is():
    written = plain(decisive(TODAY))
    assert with_current_options(written, written) == written


def test_results_and_scores_of_single_queries_are_read_under_the_names_of_today():
    (entry,) = read_results(OLDER).evaluations
    written = json.loads((OLDER / "results.json").read_text())["evaluations"][0]
    assert entry.rows is not None and "aligned" not in entry.rows
    for row in ("raw", "before", "after", "ceiling"):
        assert entry.rows[row] == written[row]
    assert entry.rows["initialized"] == written["aligned"]
    assert "after against initialized" in entry.tests
    queries = read_per_query(OLDER)["eval/swh_Latn"]
    assert set(queries) == {"raw", "before", "initialized", "after", "ceiling"}


def test_the_manifest_of_a_teacher_cache_is_read():
    manifest = read_manifest(OLDER)
    assert (manifest.texts, manifest.tokens, len(manifest.shards)) == (24, 142, 1)
    assert manifest.identity.max_length == 32
