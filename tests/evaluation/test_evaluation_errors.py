"""A broken set or model stops the recipe by name, or is named in a warning; it never just lowers the score."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from pathlib import Path

import pytest
import torch
from tiny_models import ENGLISH, dense, late

from hf_optical.configuration import parse
from hf_optical.errors import InputError, NonFiniteError
from hf_optical.models import load_encoder

_FILE = Path(__file__).resolve().parents[2] / "recipes" / "evaluate.py"
COUNT = 6


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("evaluate_recipe_errors", _FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=["dense", "late"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    (dense if request.param == "dense" else late)(folder).save_pretrained(str(folder / "saved"))
    return folder / "saved"


@pytest.fixture(params=["one document language", "two document languages"])
def folder(request, tmp_path):
    """A sound set; each text is a pair of words, so that a token can be broken on one side alone."""
    place = tmp_path / "set"
    place.mkdir()
    documents = ["en"] if request.param.startswith("one") else ["en", "sw"]
    for kind, tags in (("corpus", documents), ("queries", ["en", "sw"])):
        for tag in tags:
            rows = [{"id": f"{kind[0]}{i}", "text": f"{ENGLISH[i]} {ENGLISH[i + 3]}"} for i in range(COUNT)]
            write(place / f"{kind}.{tag}.jsonl", rows)
    (place / "qrels.all.trec").write_text("".join(f"q{i} 0 c{i} 1\n" for i in range(COUNT)))
    return place


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(recipe, model, folder, *more):
    output = folder.parent / "out"
    arguments = ["--model", model, "--eval", folder, "--output_dir", output, "--figures", "false", *more]
    recipe.main(parse(recipe.EvaluateConfig, [str(argument) for argument in arguments]))
    return json.loads((output / "results.json").read_text())


def last_of(folder, kind):
    return sorted(folder.glob(f"{kind}.*.jsonl"))[-1]


def missing_document(folder):
    with (folder / "qrels.all.trec").open("a") as stream:
        stream.write("q0 0 c99 1\n")
    return r"qrels.all.trec: .*'c99'"


def document_missing_in_one_language(folder):
    path = last_of(folder, "corpus")
    write(path, rows_of(path)[:-1])
    return r"'c5'"


def duplicate_document(folder):
    path = last_of(folder, "corpus")
    write(path, [*rows_of(path), {"id": "c2", "text": "again"}])
    return rf"{path.name}, row 7, field 'id': the identifier 'c2' is also that of row 3"


def duplicate_query(folder):
    path = last_of(folder, "queries")
    write(path, [*rows_of(path), {"id": "q0", "text": "again"}])
    return rf"{path.name}, row 7, field 'id': the identifier 'q0' is also that of row 1"


def empty_query(folder):
    path = last_of(folder, "queries")
    write(path, [*rows_of(path), {"id": "q6", "text": " \u200b"}])
    return rf"{path.name}: rows with an empty text: 'q6' \(row 7\)"


def empty_document(folder):
    path = last_of(folder, "corpus")
    write(path, [*rows_of(path), {"id": "c6", "text": ""}])
    return rf"{path.name}: rows with an empty text: 'c6' \(row 7\)"


def query_without_judgement(folder):
    path = last_of(folder, "queries")
    write(path, [*rows_of(path), {"id": "q6", "text": "the goat"}])
    return rf"{path.name}: queries without a positive judgement: 'q6'"


def no_query_at_all(folder):
    last_of(folder, "queries").write_text("")
    return r"queries.sw.jsonl: the file is empty"


BREAKS = [
    missing_document,
    document_missing_in_one_language,
    duplicate_document,
    duplicate_query,
    empty_query,
    empty_document,
    query_without_judgement,
    no_query_at_all,
]


@pytest.mark.parametrize("damage", BREAKS, ids=lambda damage: damage.__name__)
def test_a_broken_set_stops_by_name_before_a_model_is_loaded(recipe, folder, damage):
    match = damage(folder)
    with pytest.raises(InputError, match=match):
        run(recipe, "no/such-model", folder)
    assert not (folder.parent / "out").exists()


def test_a_sound_set_is_scored(recipe, model, folder):
    found = run(recipe, model, folder)
    assert {entry["n"] for entry in found["evaluations"]} == {COUNT}


@pytest.mark.parametrize("damage", [missing_document, empty_query, query_without_judgement], ids=lambda d: d.__name__)
def test_on_request_what_is_left_out_is_named_and_the_scores_are_those_of_the_rest(
    recipe, folder, tmp_path, damage, caplog
):
    if damage is missing_document and len(list(folder.glob("corpus.*"))) > 1:
        pytest.skip("always stops with several document languages")
    dense(tmp_path).save_pretrained(str(tmp_path / "saved"))
    whole = run(recipe, tmp_path / "saved", folder)["evaluations"]
    damage(folder)
    with caplog.at_level(logging.WARNING):
        part = run(recipe, tmp_path / "saved", folder, "--on_problem", "warn")["evaluations"]
    assert "left out" in caplog.text and ("c99" in caplog.text or "q6" in caplog.text)
    assert [(entry["n"], entry["scores"]) for entry in part] == [(entry["n"], entry["scores"]) for entry in whole]


def test_a_language_that_is_asked_for_and_has_no_queries(recipe, folder):
    with pytest.raises(InputError, match="the folder has eng_Latn, swh_Latn, not som_Latn"):
        run(recipe, "no/such-model", folder, "--languages", "so")


def test_documents_in_a_language_without_queries_are_named(recipe, tmp_path, folder, caplog):
    if len(list(folder.glob("corpus.*"))) == 1:
        pytest.skip("one document language: queries in others are the point")
    (folder / "queries.en.jsonl").unlink()
    dense(tmp_path).save_pretrained(str(tmp_path / "saved"))
    run(recipe, tmp_path / "saved", folder)
    assert "documents in eng_Latn, but no queries" in caplog.text


def test_judgements_of_sentences_without_queries_and_queries_without_them_are_named(recipe, tmp_path, folder, caplog):
    if len(list(folder.glob("corpus.*"))) == 1:
        pytest.skip("sentences are scored with several document languages")
    write(folder / "sentences.en.jsonl", [{"id": "s0", "text": "the goat"}])
    (folder / "qrels_sentences.en.trec").write_text("q0 0 s0 1\nq77 0 s0 1\n")
    dense(tmp_path).save_pretrained(str(tmp_path / "saved"))
    run(recipe, tmp_path / "saved", folder)
    assert "5 eng_Latn queries have no judged sentence, the first is 'q1'" in caplog.text
    assert "the first is 'q77'" in caplog.text


def broken_model(model):
    """A model whose vectors of texts with the word "river" are not finite."""
    broken = load_encoder(str(model), device="cpu")
    token = broken.tokenizer.convert_tokens_to_ids("river")
    with torch.no_grad():
        broken[0].auto_model.embeddings.word_embeddings.weight[token] = float("nan")
    return broken


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("side", ["query", "document"])
def test_vectors_that_are_not_finite_stop_with_the_text(recipe, model, folder, tmp_path, monkeypatch, side, cached):
    broken = broken_model(model)
    # Weights on disk are checked when they are loaded; vectors can also overflow in half precision.
    monkeypatch.setattr(recipe, "load_encoder", lambda name: broken)
    path = last_of(folder, "queries" if side == "query" else "corpus")
    rows = rows_of(path)
    rows[2]["text"] = "red river"
    write(path, rows)
    more = ("--document_cache", tmp_path / "cache") if cached else ()
    with pytest.raises(NonFiniteError, match=rf"NaN or infinity for 1 of \d+ texts read as {side}: 'red river'"):
        run(recipe, model, folder, *more)
    assert not (folder.parent / "out" / "results.json").exists()


def test_weights_that_are_not_finite_stop_when_loaded(recipe, model, folder, tmp_path):
    broken_model(model).save_pretrained(str(tmp_path / "broken"))
    with pytest.raises(NonFiniteError, match=r"word_embeddings.weight' is not finite"):
        run(recipe, tmp_path / "broken", folder)
