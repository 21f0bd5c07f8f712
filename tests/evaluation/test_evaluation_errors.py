"""A broken set or model stops the recipe by name, or is named in a warning; it never just lowers the score."""

from __future__ import annotations

import json
import logging

import pytest
import torch
from script_modules import load_recipe, results_of
from tiny_models import ENGLISH, dense, late
from tiny_sets import write_retrieval_set, write_rows

from hf_optical.encoders.models import load_encoder
from hf_optical.errors import InputError, NonFiniteError

COUNT = 6


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("evaluate")


@pytest.fixture(scope="module", params=["dense", "late"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    (dense if request.param == "dense" else late)(folder).save_pretrained(str(folder / "saved"))
    return folder / "saved"


@pytest.fixture(scope="module")
def dense_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense")
    dense(folder).save_pretrained(str(folder / "saved"))
    return folder / "saved"


@pytest.fixture(params=["one document language", "two document languages"])
def folder(request, tmp_path):
    """A sound set; each text is a pair of words, so that a token can be broken on one side alone."""
    documents = ["en"] if request.param.startswith("one") else ["en", "sw"]
    texts = [f"{ENGLISH[i]} {ENGLISH[i + 3]}" for i in range(COUNT)]
    return write_retrieval_set(tmp_path / "set", dict.fromkeys(documents, texts), dict.fromkeys(["en", "sw"], texts))


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(recipe, model, folder, *more):
    words = ("--model", model, "--eval", folder, "--figures", "false", *more)
    return results_of(recipe, recipe.EvaluateConfig, folder.parent / "out", *words)


def last_of(folder, kind):
    return sorted(folder.glob(f"{kind}.*.jsonl"))[-1]


def missing_document(folder):
    with (folder / "qrels.all.trec").open("a") as stream:
        stream.write("q0 0 c99 1\n")
    return r"qrels.all.trec: .*'c99'"


def document_missing_in_one_language(folder):
    path = last_of(folder, "corpus")
    write_rows(path, rows_of(path)[:-1])
    return r"'c5'"


def no_query_at_all(folder):
    last_of(folder, "queries").write_text("")
    return r"queries.sw.jsonl: the file is empty"


def add(kind, row, message):
    """A row too many at the end of the last file of a kind."""

    def damage(folder):
        path = last_of(folder, kind)
        write_rows(path, [*rows_of(path), row])
        return path.name + message

    return damage


BREAKS = {
    "missing document": missing_document,
    "document missing in one language": document_missing_in_one_language,
    "no query at all": no_query_at_all,
    "duplicate document": add(
        "corpus", {"id": "c2", "text": "again"}, ", row 7, field 'id': the identifier 'c2' is also that of row 3"
    ),
    "duplicate query": add(
        "queries", {"id": "q0", "text": "again"}, ", row 7, field 'id': the identifier 'q0' is also that of row 1"
    ),
    "empty document": add("corpus", {"id": "c6", "text": ""}, r": rows with an empty text: 'c6' \(row 7\)"),
    "empty query": add("queries", {"id": "q6", "text": " \u200b"}, r": rows with an empty text: 'q6' \(row 7\)"),
    "query without judgement": add(
        "queries", {"id": "q6", "text": "the goat"}, ": queries without a positive judgement: 'q6'"
    ),
}


@pytest.mark.parametrize("damage", BREAKS)
def test_a_broken_set_stops_by_name_before_a_model_is_loaded(recipe, folder, damage):
    match = BREAKS[damage](folder)
    with pytest.raises(InputError, match=match):
        run(recipe, "no/such-model", folder)
    assert not (folder.parent / "out").exists()


def test_a_sound_set_is_scored(recipe, model, folder):
    found = run(recipe, model, folder)
    assert {entry["n"] for entry in found["evaluations"]} == {COUNT}


@pytest.mark.parametrize("damage", ["missing document", "empty query", "query without judgement"])
def test_on_request_what_is_left_out_is_named_and_the_scores_are_those_of_the_rest(
    recipe, dense_model, folder, damage, caplog
):
    if damage == "missing document" and len(list(folder.glob("corpus.*"))) > 1:
        pytest.skip("always stops with several document languages")
    whole = run(recipe, dense_model, folder)["evaluations"]
    BREAKS[damage](folder)
    with caplog.at_level(logging.WARNING):
        part = run(recipe, dense_model, folder, "--on_problem", "warn")["evaluations"]
    assert "left out" in caplog.text and ("c99" in caplog.text or "q6" in caplog.text)
    assert [(entry["n"], entry["scores"]) for entry in part] == [(entry["n"], entry["scores"]) for entry in whole]


def test_a_language_that_is_asked_for_and_has_no_queries(recipe, folder):
    with pytest.raises(InputError, match="the folder has eng_Latn, swh_Latn, not som_Latn"):
        run(recipe, "no/such-model", folder, "--languages", "so")


def test_documents_in_a_language_without_queries_are_named(recipe, dense_model, folder, caplog):
    if len(list(folder.glob("corpus.*"))) == 1:
        pytest.skip("one document language: queries in others are the point")
    (folder / "queries.en.jsonl").unlink()
    run(recipe, dense_model, folder)
    assert "documents in eng_Latn, but no queries" in caplog.text


def test_judgements_of_sentences_without_queries_and_queries_without_them_are_named(
    recipe, dense_model, folder, caplog
):
    if len(list(folder.glob("corpus.*"))) == 1:
        pytest.skip("sentences are scored with several document languages")
    write_rows(folder / "sentences.en.jsonl", [{"id": "s0", "text": "the goat"}])
    (folder / "qrels_sentences.en.trec").write_text("q0 0 s0 1\nq77 0 s0 1\n")
    run(recipe, dense_model, folder)
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
    monkeypatch.setattr(recipe, "query_encoder", lambda *given: broken)
    path = last_of(folder, "queries" if side == "query" else "corpus")
    rows = rows_of(path)
    rows[2]["text"] = "red river"
    write_rows(path, rows)
    more = ("--document_cache", tmp_path / "cache") if cached else ()
    with pytest.raises(NonFiniteError, match=rf"NaN or infinity for 1 of \d+ texts read as {side}: 'red river'"):
        run(recipe, model, folder, *more)
    assert not (folder.parent / "out" / "results.json").exists()


def test_weights_that_are_not_finite_stop_when_loaded(recipe, model, folder, tmp_path):
    broken_model(model).save_pretrained(str(tmp_path / "broken"))
    with pytest.raises(NonFiniteError, match=r"word_embeddings.weight' is not finite"):
        run(recipe, tmp_path / "broken", folder)
