"""Which road is advised: words from scores that say it plainly, and the whole command on tiny models."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_models
from tiny_sets import write_rows

from hf_optical.commands.advise import main
from hf_optical.commands.options.advise import AdviseConfig
from hf_optical.errors import InputError
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.runs.road_words import COPY, GRAFT, MAP, NEW, advise
from hf_optical.runs.roads import BM25, GRAFTED, MAPPED, RAW, REINDEXED, Roads, measure_roads


def roads(**means):
    """Sixty queries per row around these means, the same noise in every row."""
    noise = np.random.default_rng(0).normal(0, 0.02, 60)
    found = Roads("swh_Latn", 1_000)
    for row, mean in means.items():
        per_query = {f"q{number}": {"ndcg@10": mean + float(noise[number])} for number in range(60)}
        value = float(np.mean([one["ndcg@10"] for one in per_query.values()]))
        found.scores[row] = [RetrievalScores(name, "swh_Latn", 60, {"ndcg@10": value}, per_query) for name in "ab"]
        found.seconds[row] = 1.0
    return found


@pytest.mark.parametrize(
    ("means", "road", "student"),
    [
        ({RAW: 0.3, BM25: 0.5, GRAFTED: 0.8, MAPPED: 0.6, REINDEXED: 0.9}, GRAFT, "extend"),
        ({RAW: 0.1, BM25: 0.2, GRAFTED: 0.5, MAPPED: 0.7, REINDEXED: 0.9}, MAP, "ENC"),
        ({RAW: 0.8, BM25: 0.5}, COPY, "copy"),
    ],
)
def test_the_best_start_that_leaves_the_index_is_advised(means, road, student):
    found = advise(roads(**means), teacher="T", encoder="ENC", bitext="pairs.tsv")
    assert found.road == road
    assert found.command == f"hf-optical train --teacher T --student {student} --language swh_Latn --bitext pairs.tsv"


def test_a_new_index_is_named_only_where_it_is_ahead_beyond_chance():
    ahead = advise(
        roads(raw=0.3, bm25=0.4, grafted=0.6, mapped=0.5, reindexed=0.9), teacher="T", encoder="E", bitext="f"
    )
    assert "If you can make a new index, E scores higher before training: 0.9" in ahead.text()
    assert "hf-optical train --teacher E --student copy" in ahead.text()
    level = advise(
        roads(raw=0.3, bm25=0.4, grafted=0.9, mapped=0.5, reindexed=0.9), teacher="T", encoder="E", bitext="f"
    )
    assert "is not significantly better" in level.text()


def test_what_changes_least_goes_first_where_starts_are_level():
    found = advise(roads(raw=0.7, bm25=0.4, grafted=0.7, mapped=0.7), teacher="T", encoder="E", bitext="f")
    assert found.road == COPY


def test_words_that_find_more_are_said():
    found = advise(
        roads(raw=0.1, bm25=0.6, grafted=0.3, mapped=0.2, reindexed=0.2), teacher="T", encoder="E", bitext="f"
    )
    assert "BM25 finds more: 0.6" in found.text()


def test_without_an_index_the_encoder_makes_it():
    found = advise(roads(bm25=0.4, reindexed=0.9), teacher=None, encoder="E", bitext="f")
    assert found.road == NEW
    assert found.command.startswith("hf-optical train --teacher E --student copy")


def test_the_command_measures_and_writes(tmp_path, capsys):
    rows = tiny_models.bitext(150)
    write_rows(tmp_path / "pairs.jsonl", [{"en": row["source"], "sw": row["translation"]} for row in rows])
    tiny_models.dense(tmp_path, tiny_models.ENGLISH).save_pretrained(str(tmp_path / "teacher"))
    words = [*tiny_models.ENGLISH, *tiny_models.SWAHILI]
    tiny_models.dense(tmp_path, words, width=32, seed=2).save_pretrained(str(tmp_path / "encoder"))
    main(
        AdviseConfig(
            bitext=str(tmp_path / "pairs.jsonl"),
            language="sw",
            teacher=str(tmp_path / "teacher"),
            encoder=str(tmp_path / "encoder"),
            output_dir=str(tmp_path / "out"),
        )
    )
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(results["roads"]) | set(results["skipped"]) == {RAW, BM25, GRAFTED, MAPPED, REINDEXED}
    said = capsys.readouterr().out
    assert results["advice"]["command"] in said
    assert "Measured in" in said


def test_a_bitext_too_small_to_measure_on_is_refused(tmp_path):
    with pytest.raises(InputError, match="too few to hold some out"):
        measure_roads(tiny_models.bitext(10), "swh_Latn", teacher=None, encoder="unused")


def test_an_encoder_that_cannot_be_loaded_costs_its_own_roads_only(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    tiny_models.dense(tmp_path / "parts", tiny_models.ENGLISH).save_pretrained(str(tmp_path / "teacher"))
    teacher, absent = str(tmp_path / "teacher"), str(tmp_path / "absent")
    roads = measure_roads(tiny_models.bitext(150), "swh_Latn", teacher=teacher, encoder=absent)
    assert set(roads.skipped) >= {MAPPED, REINDEXED} and {RAW, BM25} <= set(roads.scores)
    assert "name another one" in roads.skipped[MAPPED] and "not measured" in roads.table()
    assert "could not be loaded" in caplog.text
    said = advise(roads, teacher=teacher, encoder=absent, bitext="pairs.tsv")
    assert "absent" not in said.text()
    with pytest.raises(InputError, match="no model"):  # without an index there is no other road
        measure_roads(tiny_models.bitext(150), "swh_Latn", teacher=None, encoder=absent)
