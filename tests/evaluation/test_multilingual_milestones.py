"""What a training brought, over languages."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_models import ENGLISH, SWAHILI, dense

from hf_optical.evaluation.multilingual import evaluate_multilingual
from hf_optical.evaluation.multilingual_milestones import MultilingualMilestones, question_means
from hf_optical.evaluation.multilingual_set import MultilingualSet


@pytest.fixture
def item():
    languages = {"eng_Latn": ENGLISH, "swh_Latn": SWAHILI}
    count = len(SWAHILI)
    qrels = {f"q{i}": {f"d{i}": 1} for i in range(count)}
    return MultilingualSet(
        "words",
        "passage",
        {code: {f"q{i}": words[i] for i in range(count)} for code, words in languages.items()},
        {
            code: {f"d{i}": f"{words[i]} {words[(i + 1) % count]}" for i in range(count)}
            for code, words in languages.items()
        },
        {(a, b): qrels for a in languages for b in languages},
    )


def test_a_question_is_one_observation_however_many_languages_ask_it(item, tmp_path):
    scores = evaluate_multilingual(dense(tmp_path, [*ENGLISH, *SWAHILI]), item)
    means = question_means(scores)
    assert {task: len(found) for task, found in means.items()} == dict.fromkeys(
        ("mono", "cross", "multi"), len(SWAHILI)
    )
    pairs = [scores.pairs[pair].per_query["q3"]["map"] for pair in (("eng_Latn", "swh_Latn"), ("swh_Latn", "eng_Latn"))]
    assert means["cross"]["q3"]["map"] == pytest.approx(np.mean(pairs))
    for task in ("mono", "cross", "multi"):  # every question is asked in every language here, so the means agree
        assert np.mean([one["map"] for one in means[task].values()]) == pytest.approx(scores.summary("map")[task])


def test_rows_tests_and_table(item, tmp_path):
    table = MultilingualMilestones([item])
    table.measure("raw", dense(tmp_path, ENGLISH))
    table.measure("after", dense(tmp_path, [*ENGLISH, *SWAHILI], width=32))
    table.measure_ceiling()
    entries = [entry.to_json() for entry in table.evaluations()]
    assert [(entry["set"], entry["language"], entry["n"]) for entry in entries] == [
        ("words", task, len(SWAHILI)) for task in ("mono", "cross", "multi")
    ]
    assert all(entry["before"] is None and set(entry["tests"]) == {"after against raw"} for entry in entries)
    first = entries[0]
    assert first["tests"]["after against raw"]["difference"] == pytest.approx(
        first["after"]["map"] - first["raw"]["map"]
    )
    assert set(entries[-1]["bias"]) == {"raw", "after"} and len(entries[-1]["pairs"]["after"]) == 6
    assert set(table.per_query()) == {"words/mono", "words/cross", "words/multi"}
    lines = table.table().splitlines()
    assert len(lines) == 3 and "rank distance" in lines[0] and lines[1].startswith("words")
    assert len(table.sentences().splitlines()) == 3
