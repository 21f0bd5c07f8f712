from __future__ import annotations

import json

import pytest
import tiny_models
from tiny_translators import model_folder

from hf_optical.comparison import cells_of, collect
from hf_optical.comparison.references import compute_references
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.errors import InputError
from hf_optical.evaluation.bm25 import evaluate_bm25
from hf_optical.evaluation.retrieval import evaluate_retrieval
from hf_optical.evaluation.translate_test import Translator, translations


@pytest.fixture(scope="module")
def ready(tmp_path_factory):
    folder = tmp_path_factory.mktemp("references")
    teacher = tiny_models.dense(folder, tiny_models.ENGLISH)
    teacher.save_pretrained(str(folder / "teacher"))
    rows = tiny_models.bitext(12)
    place = folder / "toy"
    place.mkdir()
    dump = "\n".join(json.dumps({"id": f"d{i}", "text": text}) for i, text in enumerate(rows["source"]))
    (place / "corpus.en.jsonl").write_text(dump)
    queries = [{"id": f"q{i}", "text": r["translation"], "text_en": r["source"]} for i, r in enumerate(rows)]
    (place / "queries.sw.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (place / "qrels.sw.trec").write_text("\n".join(f"q{i} 0 d{i} 1" for i in range(12)))
    model_folder(folder / "translator", "marian")
    return folder, teacher


def cells(folder, **arms):
    common = {"teacher": str(folder / "teacher"), "student": "extend"}
    languages = {"sw": {"eval": [str(folder / "toy")], "bitext": "b"}}
    return cells_of(folder / "out", common, languages, arms or {"a": {}}, [0])


def test_references_are_what_their_names_say_and_are_computed_once(ready):
    folder, teacher = ready
    both = tiny_models.dense(folder / "both", [*tiny_models.ENGLISH, *tiny_models.SWAHILI], seed=5)
    both.save_pretrained(str(folder / "multilingual"))
    options = {"translators": {"sw": str(folder / "translator")}, "encoder": str(folder / "multilingual")}
    names = ("raw", "bm25", "off_the_shelf", "translate", "ceiling")
    found = compute_references(cells(folder), folder / "out", names, **options)
    item = read_retrieval_set(folder / "toy", "sw")
    english = translations(Translator(str(folder / "translator"), "sw"), item.queries)
    expected = {
        "raw": evaluate_retrieval(teacher, item, teacher),
        "bm25": evaluate_bm25(item),
        "off_the_shelf": evaluate_retrieval(both, item),  # over an index of its own
        "translate": evaluate_retrieval(teacher, item, teacher, queries=english),
        "ceiling": evaluate_retrieval(teacher, item, teacher, queries=item.english_queries),
    }
    systems = collect(cells(folder), "ndcg@10", found).items[0].systems
    assert set(systems) == set(names)
    for name, scores in expected.items():
        assert systems[name].mean() == pytest.approx(scores.metrics["ndcg@10"]), name
    said = json.loads((folder / "out/references/swh_Latn/bm25/results.json").read_text())
    assert "NFKC" in said["config"]["tokenisation"]
    files = [place / "results.json" for places in found.values() for place in places]
    times = [file.stat().st_mtime_ns for file in files]
    compute_references(cells(folder), folder / "out", names, **options)
    assert times == [file.stat().st_mtime_ns for file in files]
    # Other settings are computed again: BM25 alone here.
    compute_references(cells(folder), folder / "out", names, bm25_tokenisation="4-grams", **options)
    changed = [time != file.stat().st_mtime_ns for time, file in zip(times, files, strict=True)]
    assert [file.parent.name for file, new in zip(files, changed, strict=True) if new] == ["bm25"]


def test_each_interaction_has_references_of_its_own(ready, tmp_path):
    folder, teacher = ready
    found = compute_references(cells(folder, a={}, b={"interaction": "maxsim"}), tmp_path, ["raw", "bm25"])
    assert [place.name for place in found["swh_Latn"]] == ["raw", "bm25", "raw (maxsim)"]
    item = read_retrieval_set(folder / "toy", "sw")
    late = evaluate_retrieval(teacher, item, teacher, interaction="maxsim").metrics["ndcg@10"]
    systems = collect(cells(folder), "ndcg@10", found).items[0].systems
    assert systems["raw (maxsim)"].mean() == pytest.approx(late)


def test_unknown_references_and_missing_translators_are_named(ready, tmp_path):
    folder, _ = ready
    with pytest.raises(InputError, match="'raw2' is not a reference"):
        compute_references(cells(folder), tmp_path, ["raw2"])
    with pytest.raises(InputError, match="field 'translators'"):
        compute_references(cells(folder), tmp_path, ["translate"])
