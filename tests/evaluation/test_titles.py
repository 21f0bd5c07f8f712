"""One default for titles, wherever a set comes from; said where people look, and an option."""

import json
import logging

import datasets
import pytest
import tiny_models
from script_modules import load_recipe, results_of

NAMES = ["goat", "dog", "child", "teacher"]


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """The same set as a local folder in BEIR's layout, and as a copy of a Hub data set."""
    monkeypatch.setenv("HF_OPTICAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    tables = {
        "corpus": [{"_id": f"d{i}", "title": name, "text": "it sleeps in the house"} for i, name in enumerate(NAMES)],
        "queries": [{"_id": f"q{i}", "text": name} for i, name in enumerate(NAMES)],
        "qrels": [{"query-id": f"q{i}", "corpus-id": f"d{i}", "score": 1} for i in range(len(NAMES))],
    }
    (tmp_path / "beir" / "qrels").mkdir(parents=True)
    for name in ("corpus", "queries"):
        rows = "".join(json.dumps(row) + "\n" for row in tables[name])
        (tmp_path / "beir" / f"{name}.jsonl").write_text(rows)
    lines = "".join(f"{row['query-id']}\t{row['corpus-id']}\t1\n" for row in tables["qrels"])
    (tmp_path / "beir" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    about = "---\nconfigs:\n"
    for name, rows in tables.items():
        (tmp_path / "hub" / name).mkdir(parents=True)
        datasets.Dataset.from_list(rows).to_parquet(tmp_path / "hub" / name / "test.parquet")
        about += f"- config_name: {name}\n  data_files:\n  - split: test\n    path: {name}/*.parquet\n"
    (tmp_path / "hub" / "README.md").write_text(about + "---\n")
    tiny_models.dense(tmp_path).save_pretrained(str(tmp_path / "model"))
    return tmp_path


@pytest.mark.parametrize("titles", [False, True])
def test_a_set_has_one_score_wherever_it_comes_from(sets, titles, caplog):
    evaluate = load_recipe("evaluate")
    found = {}
    for name in ("beir", "me/set@hub"):
        words = ["--model", "model", "--languages", "en", "--eval", name, *(["--titles", "true"] if titles else [])]
        with caplog.at_level(logging.WARNING):
            results = results_of(evaluate, evaluate.EvaluateConfig, sets / f"out-{name[:2]}", *words)
        (entry,) = results["evaluations"]
        assert entry["titles"] == {"documents": 4, "read": titles}
        found[name] = entry["scores"]
    assert found["beir"] == found["me/set@hub"]
    assert (found["beir"]["mrr@10"] > 0.55) == titles  # the texts alone are all the same
    assert ("4 of 4 documents have a title, which is not read" in caplog.text) != titles


def test_sets_of_one_name_stay_apart(sets):
    evaluate = load_recipe("evaluate")
    (sets / "other").mkdir()
    (sets / "beir").rename(sets / "other" / "beir")
    (sets / "some").symlink_to(sets / "other")
    (sets / "third" / "beir" / "qrels").mkdir(parents=True)
    for file in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        (sets / "third" / "beir" / file).write_text(
            (sets / "other" / "beir" / file).read_text().replace("house", "river")
        )
    words = ["--model", "model", "--languages", "en", "--eval", "other/beir", "third/beir"]
    results = results_of(evaluate, evaluate.EvaluateConfig, sets / "out", *words)
    assert [entry["set"] for entry in results["evaluations"]] == ["other-beir", "third-beir"]
    assert [row["path"] for row in results["data"]] == ["other-beir", "third-beir"]
    assert len(json.loads((sets / "out" / "per_query.json").read_text())) == 2
    with pytest.raises(ValueError, match="given twice"):
        results_of(evaluate, evaluate.EvaluateConfig, sets / "out2", *words[:-1], "some/beir")


def test_judged_queries_without_text_are_counted_where_people_look(sets, caplog):
    evaluate = load_recipe("evaluate")
    lines = (sets / "beir" / "queries.jsonl").read_text().splitlines()
    (sets / "beir" / "queries.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    words = ["--model", "model", "--languages", "en", "--eval", "beir"]
    with caplog.at_level(logging.WARNING):
        (entry,) = results_of(evaluate, evaluate.EvaluateConfig, sets / "out", *words)["evaluations"]
    assert (entry["n"], entry["judged_without_text"]) == (3, 1)
    assert "1 of 4 judged queries have no text and are not scored, such as 'q3'" in caplog.text
