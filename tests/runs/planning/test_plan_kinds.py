"""Plans of every kind of run: adapters, trained rows, a teacher cache, late interaction, retrieval."""

from __future__ import annotations

import pytest
import tiny_models
from script_modules import argv
from tiny_runs import write_hybrid_run

from hf_optical.configuration.parsing import parse
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.planning.planner import plan_run


def plan(folder, *words, late=False):
    flags = write_hybrid_run(folder, late=late, check_data="false", max_steps="30")
    found = plan_run(parse(TrainConfig, argv(flags, *words)))
    assert not (folder / "out").exists() and found.step[0] > 0 and found.fits
    assert found.text()
    return found


def test_adapters_train_little(tmp_path):
    found = plan(tmp_path, "--adapter", "lora", "--lora.rank", "2", "--teacher_cache", "none")
    # Two matrices of 16 x 2 at query and at value, in one layer; 12 bytes a number.
    assert found.memory["gradients and optimizer"] == 12 * 2 * 2 * 16 * 2


def test_rows_that_occur_are_counted_over_all_texts(tmp_path):
    used = plan(tmp_path, "--train_embeddings", "used", "--teacher_cache", "none")
    (tmp_path / "again").mkdir()
    none = plan(tmp_path / "again", "--train_embeddings", "none", "--teacher_cache", "none")
    rows = (used.memory["gradients and optimizer"] - none.memory["gradients and optimizer"]) / (12 * 16)
    assert len(tiny_models.SWAHILI) <= rows <= len(tiny_models.SWAHILI) + 5  # and special tokens


def test_a_teacher_cache_takes_time_and_disk(tmp_path):
    found = plan(tmp_path, "--teacher_cache", str(tmp_path / "cache"))
    assert found.seconds["teacher cache"] > 0 and found.disk["teacher cache"] > 0
    assert not (tmp_path / "cache").exists()


def test_late_interaction(tmp_path):
    assert plan(tmp_path, late=True).seconds["evaluation at the end"] > 0


@pytest.mark.parametrize(("late", "said"), [(True, True), (False, False)])
def test_fewer_negatives_are_told_of_where_the_teacher_makes_the_objective_contrastive(tmp_path, late, said):
    flags = write_hybrid_run(tmp_path, late=late, check_data="false", max_steps="30")
    words = ["--gpu", "t4", "--memory_gb", "0.001"]
    found = plan_run(
        parse(TrainConfig, argv({name: flag for name, flag in flags.items() if name != "objective"}, *words))
    )
    assert any("--batch_size" in line for line in found.advice)
    assert any("fewer negatives" in line for line in found.advice) is said


@pytest.mark.parametrize("share", ["0", "0.5"])
def test_retrieval_in_three_kinds_of_batches(tmp_path, share):
    more = ["--bitext", f"so={tmp_path / 'so.jsonl'}", "--query_passages", f"mono/en={tmp_path / 'questions.jsonl'}"]
    found = plan(tmp_path, *more, "--context_window", "4", "--bitext_share", share, "--teacher_cache", "none")
    assert found.pairs == 80
