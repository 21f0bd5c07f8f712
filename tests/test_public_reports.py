"""What users of neighbouring tools reported, tried here: one test a thread; docs/tried_inputs.md lists them."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from datasets import Dataset
from script_modules import call, load_recipe
from tiny_runs import arguments, write_run
from tiny_sets import write_rows
from transformers import AutoTokenizer

from hf_optical import LanguageAdapters, OTDistillationTrainer
from hf_optical.adapters.files import load_all
from hf_optical.data.bitext import read_bitext
from hf_optical.data.query_passages import read_query_passages
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.data.search_documents import read_search_documents
from hf_optical.data.training_sets import check_training_sets
from hf_optical.encoders.models import load_encoder, save_whole
from hf_optical.errors import HFOpticalError, InputError
from hf_optical.evaluation.retrieval import evaluate_retrieval
from hf_optical.search import FaissIndex, MemoryIndex, QdrantIndex
from hf_optical.students import grow_student
from hf_optical.transport import IPOT, Sinkhorn, marginal_violation


def _faiss(*arguments):
    pytest.importorskip("faiss", reason="faiss-cpu is not installed: pip install 'hf-optical[index]'")
    return FaissIndex(*arguments)


def _qdrant(*arguments):
    pytest.importorskip("qdrant_client", reason="qdrant-client is not installed: pip install 'hf-optical[index]'")
    return QdrantIndex(*arguments)


ENGINES = pytest.mark.parametrize("make", [MemoryIndex, _faiss, _qdrant])
MISSING = ["null", "NA", "N/A", "nan", "None", "", "true", "007"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return tiny_models.dense(tmp_path_factory.mktemp("teacher"))


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.json", "a.parquet"])
def test_datasets_4467_words_that_look_like_missing_values_are_words(tmp_path, name):
    words = [word for word in MISSING if word]
    rows = [{"en": f"the number {place} goat", "lb": word} for place, word in enumerate(words)]
    path = tmp_path / name
    if name.endswith("parquet"):
        Dataset.from_list(rows).to_parquet(path)
    elif "json" in name:
        path.write_text(json.dumps(rows) if name == "a.json" else "".join(json.dumps(row) + "\n" for row in rows))
    else:
        split = "," if name == "a.csv" else "\t"
        path.write_text("".join(split.join(row) + "\n" for row in [("en", "lb"), *(tuple(r.values()) for r in rows)]))
    assert read_bitext(path, language="lb", source_field="en", translation_field="lb")["translation"][:] == words


@ENGINES
def test_faiss_3830_an_empty_index_finds_nothing(make, teacher):
    index = make(teacher)
    assert index.query(["the goat"] * 30, top_k=3) == [[]] * 30
    index.add(["a", "b"], ["the goat", "the dog"])
    assert [len(hits) for hits in index.query(["the goat"] * 30, top_k=5)] == [2] * 30
    index.delete(["a", "b"])
    assert index.query(["the goat"], top_k=1) == [[]]


def test_faiss_1309_fewer_are_found_than_asked_and_none_is_minus_one(teacher, caplog):
    pytest.importorskip("faiss")
    index = FaissIndex(teacher, factory="IVF8,Flat")
    rows = np.random.default_rng(0).normal(size=(400, 16)).astype("float32")
    index.add([str(number) for number in range(400)], vectors=rows)
    found = index.query_vectors(rows[:5], top_k=300)
    assert all(hit.id in map(str, range(400)) for hits in found for hit in hits)
    assert all(hits[0].id == str(number) for number, hits in enumerate(found))
    assert min(len(hits) for hits in found) < 300
    assert "asked for 300" in caplog.text


@ENGINES
def test_qdrant_client_293_and_qdrant_3170_identifiers_of_any_kind_stay_apart(make, teacher, tmp_path):
    names = [1000001001111123112, 1000001001111123111, "1-0", "1-00", "é", "e\u0301", " 1", "1" * 300, "a/b#c?d", 7]
    write_rows(tmp_path / "d.jsonl", [{"id": name, "text": f"the goat {place}"} for place, name in enumerate(names)])
    documents = read_search_documents(tmp_path / "d.jsonl")
    assert len(documents) == len(names)
    index = make(teacher)
    index.sync(list(documents), list(documents.values()))
    assert len(index) == len(names) and index.texts() == documents
    assert {hit.id for hit in index.query(["the goat"], top_k=20)[0]} == set(documents)


def test_peft_1300_new_tokens_of_a_base_are_there_after_adapters_are_loaded(teacher, tmp_path):
    texts = tiny_models.bitext(60)["translation"][:]
    student = grow_student(teacher, texts, vocabulary="replace", vocab_size=60)
    assert student.tokenizer.get_vocab() != teacher.tokenizer.get_vocab()
    adapters = LanguageAdapters(student)
    adapters.add("swh_Latn", r=4)
    with torch.no_grad():
        for name, weight in student.named_parameters():
            if "lora_B" in name:
                weight.add_(0.1)
    expected = adapters.encode(texts[:4], languages="swh_Latn")
    adapters.save(tmp_path / "saved")
    loaded = load_all(tmp_path / "saved")
    np.testing.assert_allclose(loaded.encode(texts[:4], languages="swh_Latn"), expected, atol=1e-6)


def test_peft_1932_adapters_of_another_base_are_refused(teacher, tmp_path):
    adapters = LanguageAdapters(tiny_models.dense(tmp_path, seed=3))
    adapters.add("swh_Latn", r=4)
    adapters.save(tmp_path / "saved")
    other = tiny_models.dense(tmp_path, [*tiny_models.ENGLISH, "new", "words"], seed=3)
    save_whole(other, tmp_path / "other")
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        (tmp_path / "saved" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(HFOpticalError, match=r"base|weights"):
        load_all(tmp_path / "saved")


def test_transformers_34053_rates_after_resuming_are_those_of_the_whole_run(tmp_path):
    def trainer(folder, steps=6):
        teacher, student = tiny_models.dense(tmp_path, seed=1), tiny_models.dense(tmp_path, tiny_models.SWAHILI)
        args = arguments(folder, save_strategy="steps", save_steps=1, warmup_steps=2, max_steps=steps)
        rows = {"bitext/eng_Latn-swh_Latn": tiny_models.bitext()}
        return OTDistillationTrainer(model=student, teacher=teacher, args=args, train_dataset=rows)

    whole = trainer(tmp_path / "whole")
    whole.train()
    resumed = trainer(tmp_path / "whole")
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    logs = [[one for one in t.state.log_history if "loss" in one] for t in (whole, resumed)]
    rates = [{one["step"]: one["learning_rate"] for one in log} for log in logs]
    assert rates[0] == rates[1] and sorted(rates[0]) == [1, 2, 3, 4, 5, 6]
    after = trainer(tmp_path / "whole")  # of the last checkpoint nothing is left to do
    after.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-6"))
    assert after.state.global_step == 6
    weights = [t.model.state_dict() for t in (whole, resumed, after)]
    assert all(torch.equal(value, other[name]) for other in weights[1:] for name, value in weights[0].items())


def test_transformers_43708_another_batch_size_is_not_resumed_with(tmp_path, capsys):
    recipe, flags = load_recipe("train"), write_run(tmp_path, max_steps="4", held_out="0")
    assert call(recipe, {**flags, "max_steps": "4"}) == 0
    out = Path(flags["output_dir"])
    (out / "results.json").unlink()  # as if it had been stopped
    assert call(recipe, {**flags, "batch_size": "8"}) == 2
    assert "batch_size (was 4, now 8)" in capsys.readouterr().err


def test_accelerate_2316_no_row_comes_twice_in_an_epoch_that_does_not_divide(tmp_path):
    teacher, student = tiny_models.dense(tmp_path, seed=1), tiny_models.dense(tmp_path, tiny_models.SWAHILI)
    rows = tiny_models.bitext(23)
    args = arguments(tmp_path / "o", max_steps=-1, num_train_epochs=1, per_device_train_batch_size=4)
    trainer = OTDistillationTrainer(model=student, teacher=teacher, args=args, train_dataset=rows)
    sizes = [len(batch["translation_input_ids"]) for batch in trainer.get_train_dataloader()]
    assert sorted(sizes) == [3, 4, 4, 4, 4, 4] and sum(sizes) == 23


def _set(folder, corpus, queries, qrels):
    folder.mkdir()
    write_rows(folder / "corpus.en.jsonl", [{"_id": name, "text": text} for name, text in corpus])
    write_rows(folder / "queries.sw.jsonl", [{"_id": name, "text": text} for name, text in queries])
    (folder / "qrels.sw.trec").write_text("".join(f"{q} 0 {d} {grade}\n" for q, d, grade in qrels))
    return folder


def test_pyserini_1902_identifiers_that_come_twice_stop(tmp_path):
    corpus, queries = [("a", "the goat"), ("b", "the dog")], [("q", "mbuzi"), ("r", "mbwa")]
    qrels = [("q", "a", 1), ("r", "b", 1)]
    with pytest.raises(InputError, match=r"corpus.en.jsonl, row 3.*'a'"):
        read_retrieval_set(_set(tmp_path / "1", [*corpus, ("a", "the cow")], queries, qrels), "sw")
    with pytest.raises(InputError, match="for a pair that row 1 grades 1"):
        read_retrieval_set(_set(tmp_path / "2", corpus, queries, [*qrels, ("q", "a", 0)]), "sw")
    same = read_retrieval_set(_set(tmp_path / "3", corpus, queries, [*qrels, ("q", "a", 1)]), "sw")
    assert same.qrels == {"q": {"a": 1}, "r": {"b": 1}}


def test_baidu_ultr_9_one_identifier_for_two_queries_stops(tmp_path):
    queries = [("q", "mbuzi"), ("q", "mbwa")]
    with pytest.raises(InputError, match=r"queries.sw.jsonl, row 2.*'q'"):
        read_retrieval_set(_set(tmp_path / "1", [("a", "the goat")], queries, [("q", "a", 1)]), "sw")


def test_coir_18_copies_of_a_judged_document_are_said(tmp_path, caplog):
    corpus = [("a", "the goat"), ("b", "the goat"), ("c", "the dog")]
    found = read_retrieval_set(
        _set(tmp_path / "1", corpus, [("q", "mbuzi"), ("r", "mbwa")], [("q", "a", 1), ("r", "c", 1)]), "sw"
    )
    assert found.notes() == {"unjudged_copies": 1}
    assert "1 judgements are of a document that has an unjudged copy" in caplog.text
    whole = [("q", "a", 1), ("q", "b", 1), ("r", "c", 1)]
    assert read_retrieval_set(_set(tmp_path / "2", corpus, [("q", "mbuzi"), ("r", "mbwa")], whole), "sw").notes() == {}


def test_beir_37_a_query_that_is_a_document_itself_is_said(tmp_path, caplog, teacher):
    corpus, queries = [("a", "the goat"), ("b", "the dog")], [("a", "the goat"), ("r", "the dog")]
    found = read_retrieval_set(_set(tmp_path / "1", corpus, queries, [("a", "b", 1), ("r", "b", 1)]), "sw")
    assert found.notes() == {"queries_in_corpus": 1}
    assert "1 of 2 queries are also a document, such as 'a'" in caplog.text
    scores = evaluate_retrieval(teacher, found)
    assert scores.per_query["a"]["recall@1"] == 0.0  # its own document is first, and stays there


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"query": ["one"], "passage": "two"}, "row 1, field 'query'"),
        ({"query": "one", "passage": ["two"]}, "row 1, field 'passage'"),
        (
            {"query": "one", "passage": {"text": "two"}},
            "no column looks like the passage .found id, query, passage.text.",
        ),
    ],
)
def test_sentence_transformers_3254_lists_in_place_of_texts_are_named(tmp_path, row, message):
    write_rows(tmp_path / "q.jsonl", [{"id": "1", **row}])
    with pytest.raises(InputError, match=message):
        read_query_passages(tmp_path / "q.jsonl", "mono/eng_Latn")


def test_sentence_transformers_3254_negatives_that_are_not_read_are_said(tmp_path, caplog):
    write_rows(tmp_path / "q.jsonl", [{"id": "1", "query": "one", "passage": "two", "negative": ["three", "four"]}])
    assert len(read_query_passages(tmp_path / "q.jsonl", "mono/eng_Latn").rows) == 1
    assert "column 'negative' is not read" in caplog.text
    rows = Dataset.from_list([{"query": "one", "passage": "two", "negative": ["three", "four"]}] * 8)
    with pytest.raises(InputError, match="negative"):
        check_training_sets({"mono/eng_Latn": rows})


def test_sentence_transformers_2928_columns_the_wrong_way_round_stop(tmp_path):
    english = [f"the goat of the farmer and that dog with which they came, {place}" for place in range(30)]
    swahili = [f"mbuzi analala chini ya mti namba {place} ya mwaka" for place in range(30)]
    (tmp_path / "a.tsv").write_text("en\tsw\n" + "".join(f"{b}\t{a}\n" for a, b in zip(english, swahili, strict=True)))
    with pytest.raises(InputError, match="reads as English"):
        read_bitext(tmp_path / "a.tsv", language="sw")


def test_sentence_transformers_461_tokens_without_a_vector_are_found_when_the_model_is_loaded(tmp_path):
    model = tiny_models.dense(tmp_path, seed=2)
    model.save_pretrained(str(tmp_path / "m"))
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path / "m"))
    tokenizer.add_tokens(["mbuzi", "mbwa"])
    tokenizer.save_pretrained(str(tmp_path / "m"))
    with pytest.raises(InputError, match=r"the tokenizer knows \d+ tokens, but the model has vectors for \d+"):
        load_encoder(str(tmp_path / "m"))


@pytest.mark.parametrize("epsilon", [1e-1, 1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_pot_194_and_314_small_regularisation_gives_numbers_and_says_where_it_stopped_short(epsilon, dtype, caplog):
    generator = torch.Generator().manual_seed(0)
    cost = (torch.rand(3, 12, 9, generator=generator) * 2).to(dtype)
    a, b = torch.full((3, 12), 1 / 12), torch.full((3, 9), 1 / 9)
    b[:, -1] = 0
    b[:, :-1] = 1 / 8
    solver = Sinkhorn(epsilon=epsilon, iterations=23)
    plan = solver(cost, a, b)
    assert plan.dtype == torch.float32 and torch.isfinite(plan).all() and (plan[:, :, -1] == 0).all()
    missed = float(marginal_violation(plan, a, b).mean())
    with caplog.at_level(logging.WARNING):
        replace(solver, iterations=2 if dtype == torch.float32 else 3)(cost, a, b)  # a solver is warned of once
    if epsilon <= 1e-2:
        assert "misplace" in caplog.text and missed < 0.5


def test_ott_5_a_plan_without_entropy_left_costs_a_number():
    cost = torch.zeros(1, 3, 3)
    half = torch.tensor([[0.5, 0.5, 0.0]])
    for solver in (Sinkhorn(epsilon=1e-3), Sinkhorn(), IPOT()):
        plan = solver(cost, half, half)
        assert math.isfinite(float((plan * cost).sum())) and float(plan.sum()) == pytest.approx(1.0, abs=1e-5)
