"""Plans of every kind of run: adapters, trained rows, a teacher cache, late interaction, retrieval."""

from __future__ import annotations

import pytest
import tiny_models
from tiny_sets import write_retrieval_set, write_rows

from hf_optical.configuration import parse
from hf_optical.planning.planner import plan_run
from hf_optical.runs.options import TrainConfig


def workplace(folder, *, late=False):
    words = [*tiny_models.ENGLISH, *tiny_models.SWAHILI]
    made = tiny_models.late(folder, words) if late else tiny_models.dense(folder, words)
    made.save_pretrained(str(folder / "teacher"))
    for seed, tag in enumerate(("sw", "so")):
        lines = [{**row, "doc": f"{tag} {i // 8}"} for i, row in enumerate(tiny_models.bitext(40, seed=seed))]
        write_rows(folder / f"{tag}.jsonl", lines)
    questions = [
        {"id": f"en{i}", "query": row["source"], "passage": f"{row['source']} {i}"}
        for i, row in enumerate(tiny_models.bitext(20, seed=5))
    ]
    write_rows(folder / "questions.jsonl", questions)
    texts = {"en": tiny_models.ENGLISH[:8], "sw": tiny_models.SWAHILI[:8], "so": tiny_models.SWAHILI[:-9:-1]}
    write_retrieval_set(folder / "eval", texts, texts)
    words = ["--teacher", str(folder / "teacher"), "--student", "copy", "--eval", str(folder / "eval")]
    words += ["--bitext", f"sw={folder / 'sw.jsonl'}", "--output_dir", str(folder / "out"), "--check_data", "false"]
    return [*words, "--max_steps", "30", "--batch_size", "4"]


def plan(folder, *words, late=False):
    found = plan_run(parse(TrainConfig, [*workplace(folder, late=late), *words]))
    assert not (folder / "out").exists() and found.step[0] > 0 and found.fits
    assert found.text()
    return found


def test_adapters_train_little(tmp_path):
    found = plan(tmp_path, "--adapter", "lora", "--lora_r", "2", "--teacher_cache", "none")
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


@pytest.mark.parametrize("share", ["0", "0.5"])
def test_retrieval_in_three_kinds_of_batches(tmp_path, share):
    more = ["--bitext", f"so={tmp_path / 'so.jsonl'}", "--pairs", f"mono/en={tmp_path / 'questions.jsonl'}"]
    found = plan(tmp_path, *more, "--contexts", "4", "--bitext_share", share, "--teacher_cache", "none")
    assert found.pairs == 80
