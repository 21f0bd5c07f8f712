"""The recipe from its flags to its files."""

from __future__ import annotations

import ast
import json

import pytest
from script_modules import RECIPES, ROOT, load_recipe, results_of
from tiny_models import ENGLISH, dense
from tiny_sets import write_retrieval_set

from hf_optical.errors import InputError


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("evaluate")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    dense(folder).save_pretrained(str(folder / "saved"))
    return folder / "saved"


def _retrieval_folder(folder, documents, queries):
    texts = [f"{first} {second}" for first, second in zip(ENGLISH, ENGLISH[3:], strict=False)][:12]
    return write_retrieval_set(folder, dict.fromkeys(documents, texts), dict.fromkeys(queries, texts[:4]))


def _run(recipe, output, *arguments):
    return results_of(recipe, recipe.EvaluateConfig, output, *arguments)


def test_one_document_language(recipe, model, tmp_path, capsys):
    folder = _retrieval_folder(tmp_path / "one", ["en"], ["sw", "so", "tl"])
    arguments = ("--model", model, "--document_model", model, "--eval", folder, "--languages", "swh_Latn,so")
    found = _run(recipe, tmp_path / "out", *arguments, "--interaction", "maxsim")
    assert [entry["language"] for entry in found["evaluations"]] == ["som_Latn", "swh_Latn"]
    entry = found["evaluations"][0]
    assert (entry["set"], entry["document_language"], entry["task"], entry["n"]) == ("one", "eng_Latn", "cross", 4)
    assert {"ndcg@10", "mrr@10", "recall@1", "recall@10", "map"} <= set(entry["scores"])
    assert entry["scores"]["recall@1"] == 1.0
    assert found["data"][0]["path"] == "one"
    assert str(tmp_path) not in json.dumps(found)
    per_query = json.loads((tmp_path / "out" / "per_query.json").read_text())
    assert len(per_query["one/swh_Latn/eng_Latn"]) == 4
    assert "som_Latn -> eng_Latn" in capsys.readouterr().out


def test_fused_with_bm25(recipe, model, tmp_path, capsys):
    folder = _retrieval_folder(tmp_path / "one", ["en"], ["sw"])
    found = _run(recipe, tmp_path / "out", "--model", model, "--eval", folder, "--hybrid")
    (entry,) = found["evaluations"]
    assert entry["bm25"]["recall@1"] == entry["fused"]["recall@1"] == 1.0
    assert set(entry["tests"]) == {"fused against bm25", "fused against the model alone"}
    per_query = json.loads((tmp_path / "out" / "per_query.json").read_text())
    assert {"one/swh_Latn/eng_Latn", "one/swh_Latn/eng_Latn/bm25", "one/swh_Latn/eng_Latn/fused"} == set(per_query)
    printed = capsys.readouterr().out
    assert "fused against bm25: " in printed and printed.count("  fused ") >= 1
    many = _retrieval_folder(tmp_path / "many", ["en", "sw"], ["en", "sw"])
    with pytest.raises(InputError, match=r"field 'hybrid'.*one language.*--document_languages"):
        _run(recipe, tmp_path / "out", "--model", model, "--eval", many, "--hybrid")


def test_several_document_languages(recipe, model, tmp_path, capsys):
    folder = _retrieval_folder(tmp_path / "many", ["en", "sw"], ["en", "sw"])
    found = _run(recipe, tmp_path / "out", "--model", model, "--eval", folder, "--metric", "map")
    assert [entry["task"] for entry in found["evaluations"]] == ["mono", "cross", "cross", "mono", "multi", "multi"]
    assert set(found["summary"]["many"]["map"]) == {"mono", "cross", "multi"}
    assert found["bias"]["many"]["relevance_share"] == {"eng_Latn": 0.5, "swh_Latn": 0.5}
    assert (tmp_path / "out" / "figures" / "many.png").is_file()
    assert "rank distance" in capsys.readouterr().out


def test_one_of_several_document_languages(recipe, model, tmp_path):
    folder = _retrieval_folder(tmp_path / "many", ["en", "sw"], ["en", "sw"])
    arguments = ("--model", model, "--eval", folder, "--document_languages", "en", "--languages", "sw")
    found = _run(recipe, tmp_path / "out", *arguments, "--document_cache", tmp_path / "cache")
    assert [(entry["language"], entry["document_language"]) for entry in found["evaluations"]] == [
        ("swh_Latn", "eng_Latn")
    ]
    assert len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()]) == 1


def test_tokens_compared_by_transport(recipe, model, tmp_path):
    folder = _retrieval_folder(tmp_path / "one", ["en"], ["sw"])
    (tmp_path / "pairs.tsv").write_text("en\tsw\n" + "".join(f"{word}\t{word}\n" for word in ENGLISH))
    given = ("--model", model, "--eval", folder, "--interaction", "maxsim", "--scoring", "soft")
    found = _run(recipe, tmp_path / "out", *given, "--mean_bitext", f"sw={tmp_path / 'pairs.tsv'}")
    assert found["evaluations"][0]["scores"]["recall@1"] == 1.0
    assert found["config"]["scoring"] == "soft"
    with pytest.raises(InputError, match="epsilon"):  # it reaches the score
        _run(recipe, tmp_path / "out", *given, "--mean_bitext", f"sw={tmp_path / 'pairs.tsv'}", "--epsilon", "0")
    with pytest.raises(InputError, match="no mean token of swh_Latn"):
        _run(recipe, tmp_path / "out", *given)
    with pytest.raises(InputError, match="compares token vectors"):
        _run(recipe, tmp_path / "out", *given[:4], "--scoring", "soft", "--mean_bitext", f"sw={tmp_path / 'pairs.tsv'}")


def test_bad_options_stop_before_a_model_is_loaded(recipe, tmp_path):
    folder = _retrieval_folder(tmp_path / "one", ["en"], ["sw"])
    with pytest.raises(InputError, match="'ndcg@5' is unknown"):
        _run(recipe, tmp_path / "out", "--model", "no/model", "--eval", folder, "--metric", "ndcg@5")
    with pytest.raises(InputError, match="not fra_Latn"):
        _run(recipe, tmp_path / "out", "--model", "no/model", "--eval", folder, "--document_languages", "fr")
    assert not (tmp_path / "out").exists()


def test_a_language_that_the_folder_lacks(recipe, model, tmp_path):
    folder = _retrieval_folder(tmp_path / "one", ["en"], ["sw"])
    with pytest.raises(InputError, match="has swh_Latn, not som_Latn"):
        _run(recipe, tmp_path / "out", "--model", model, "--eval", folder, "--languages", "so")


def test_nothing_that_a_recipe_runs_imports_the_library_of_the_recipes_name():
    # A script in recipes/ finds evaluate.py before the library; the metric modules are loaded by the library alone.
    for path in [*RECIPES.rglob("*.py"), *(ROOT / "hf_optical").rglob("*.py")]:
        if "metrics" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not any(name.partition(".")[0] == "evaluate" for name in names), path
            assert not any(name.startswith("hf_optical.evaluation.metrics") for name in names), path
