"""Runs whose student is another encoder: mapped onto the teacher, and onto an index whose model is gone."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from safetensors.torch import load_file
from script_modules import call
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize
from sentence_transformers.sentence_transformer.modules import Pooling
from tiny_runs import write_run
from tiny_sets import write_rows

from hf_optical import OTDistillationTrainer
from hf_optical.data.vector_rows import VectorRows
from hf_optical.evaluation.held_out import HeldOutRetrieval, HeldOutScore
from hf_optical.search import MemoryIndex
from hf_optical.students.map_ranking import STEPS

WORDS = [*tiny_models.ENGLISH, *tiny_models.SWAHILI]


@pytest.fixture
def flags(tmp_path):
    """A run with a multilingual student of another width."""
    other = tiny_models.dense(tmp_path, WORDS, width=32, seed=4)
    other.prompts = {"query": "the ", "document": ""}
    other.save_pretrained(str(tmp_path / "other"))
    return write_run(tmp_path, student=str(tmp_path / "other"))


@pytest.fixture
def index(flags, tmp_path):
    """The index's own rows: text, and vector by the teacher."""
    documents = [json.loads(line)["text"] for line in (tmp_path / "eval" / "corpus.en.jsonl").read_text().splitlines()]
    texts = list(dict.fromkeys([*documents, *tiny_models.bitext(80, seed=7)["source"]]))
    teacher = SentenceTransformer(flags["teacher"], device="cpu")
    (tmp_path / "index").mkdir()
    np.save(tmp_path / "index" / "vectors.npy", teacher.encode_document(texts))
    write_rows(tmp_path / "index" / "texts.jsonl", [{"id": str(i), "text": text} for i, text in enumerate(texts)])
    return tmp_path / "index"


def test_a_run_says_how_its_student_came_to_the_teachers_space(recipe, flags, index, capsys):
    assert call(recipe, {**flags, "max_steps": "0", "index_rows": str(index)}) == 0
    out = Path(flags["output_dir"])
    start = json.loads((out / "results.json").read_text())["start"]
    assert start["space"] is None
    assert start["map"]["index_rows"] == len(next(iter(VectorRows(str(index))))[0])
    kinds = {score["kind"] for score in start["map"]["scores"]}
    closed = [score for score in start["map"]["scores"] if not score["steps"]]
    assert {score["kind"] for score in closed} == {"ridge", "procrustes", "ridge+tokens", "procrustes+tokens"}
    best = max(closed, key=lambda score: score["fit"])
    refined = [(score["kind"], score["index"], score["steps"]) for score in start["map"]["scores"] if score["steps"]]
    assert refined == [(f"{best['kind']}+rank", best["index"], steps) for steps in STEPS]
    assert {score["index"] for score in start["map"]["scores"]} == {0.0, 0.25, 0.5, 0.75}
    assert start["map"]["chosen"]["kind"] in kinds
    assert "Student: Map into the teacher's space, fitted on 40 pairs" in capsys.readouterr().out
    model = SentenceTransformer(str(out / "model"), device="cpu")
    assert [type(module).__name__ for module in model] == ["Transformer", "Dense", "Pooling", "Normalize"]
    assert model.prompts["query"] == "the "


def test_the_documents_of_the_index_are_trained_on_and_said_in_the_card(
    recipe, flags, index, tmp_path, capsys, monkeypatch
):
    """Trained on pairs alone, a student that was mapped onto the documents would leave them."""
    flags = {**flags, "index_rows": str(index), "max_steps": "6", "save_steps": "2", "held_out": "0", "dropout": "0.1"}
    assert call(recipe, {**flags, "output_dir": str(tmp_path / "whole")}) == 0
    results = json.loads((tmp_path / "whole" / "results.json").read_text())
    read, share = results["index_documents"], results["start"]["map"]["chosen"]["index"]
    assert share > 0 and read["share"] == share and read["index"] == "index"
    assert read["rows"] == round(share / (1 - share) * results["pairs"])
    assert f"the student reads {read['documents']} documents of the index in English" in capsys.readouterr().out

    class Stopped(OTDistillationTrainer):
        def _save_checkpoint(self, *args, **options):
            super()._save_checkpoint(*args, **options)
            trained_on.update(self.train_dataset)
            if self.state.global_step == 4:
                raise KeyboardInterrupt

    trained_on: set[str] = set()
    with monkeypatch.context() as patch:
        patch.setattr("hf_optical.runs.trainers.OTDistillationTrainer", Stopped)
        assert call(recipe, flags) == 130
    assert "bitext/eng_Latn-eng_Latn" in trained_on
    assert call(recipe, flags) == 0
    one, two = (
        load_file(folder / "model" / "model.safetensors") for folder in (tmp_path / "whole", Path(flags["output_dir"]))
    )
    assert all(torch.equal(one[name], two[name]) for name in one)

    from hf_optical.commands.options.publish import PublishConfig
    from hf_optical.commands.publish import main as publish

    publish(PublishConfig(run=flags["output_dir"], dry_run=str(tmp_path / "site"), repo_id="owner/name"))
    card = (tmp_path / "site" / "README.md").read_text(encoding="utf-8")
    assert f"and {read['documents']} English documents of the index `index`" in card


def test_an_index_without_its_model_is_trained_published_and_searched(recipe, flags, index, tmp_path, capsys):
    shutil.rmtree(flags.pop("teacher"))
    assert call(recipe, {**flags, "index_rows": str(index), "max_steps": "3"}) == 0
    out = Path(flags["output_dir"])
    results = json.loads((out / "results.json").read_text())
    assert results["config"]["objective"] == "rank"
    (entry,) = results["evaluations"]
    assert entry["before"]["ndcg@10"] is not None and entry["after"]["ndcg@10"] is not None
    assert entry["raw"] is None and entry["ceiling"] is None  # nobody can read a query as the teacher would
    assert results["start"]["map"]["chosen"]["kind"].endswith(", pairs")
    assert "the map predicts the vectors of the others" in capsys.readouterr().out

    from hf_optical.commands.options.publish import PublishConfig
    from hf_optical.commands.publish import main as publish

    publish(PublishConfig(run=str(out), dry_run=str(tmp_path / "site"), repo_id="owner/name"))
    card = (tmp_path / "site" / "README.md").read_text(encoding="utf-8")
    assert 'SentenceTransformer("owner/name")' in card
    assert "the index `index`, of whose model only the vectors were available" in card
    assert "trained onto the vectors of the index `index`, whose model was not available. Its queries are" in card
    assert "encode_document" not in card and "unknown" not in card
    student = SentenceTransformer(str(tmp_path / "site"), device="cpu")
    texts, vectors = next(iter(VectorRows(str(index))))
    found = MemoryIndex(queries=student)
    found.add([str(number) for number in range(len(texts))], vectors=vectors)
    hits = found.query(["mbuzi analala"], top_k=3)
    assert len(hits[0]) == 3


def test_an_index_of_a_teacher_with_a_head_is_refused_and_both_remedies_work(recipe, flags, index, tmp_path, capsys):
    plain = SentenceTransformer(flags["teacher"], device="cpu")
    head = Dense(16, 16, activation_function=torch.nn.Identity())
    headed = SentenceTransformer(modules=[plain[0], Pooling(16), head, Normalize()], device="cpu")
    headed.save_pretrained(str(tmp_path / "headed"))
    flags = {**flags, "teacher": str(tmp_path / "headed"), "index_rows": str(index), "max_steps": "0"}
    assert call(recipe, flags) == 2
    said = capsys.readouterr()
    assert "has the head Dense" in said.err and not (Path(flags["output_dir"]) / "results.json").exists()
    for left_out in re.findall(r"leave out --(\w+)", said.err):
        kept = {name: value for name, value in flags.items() if name != left_out}
        assert call(recipe, {**kept, "output_dir": str(tmp_path / left_out)}) == 0, capsys.readouterr().err


def test_pairs_are_held_out_of_a_run_on_an_index_alone(recipe, flags, index, tmp_path, capsys):
    """Their passages stand in no index, and the map predicts their vectors."""
    flags = write_run(tmp_path, pairs=150, **{**flags, "index_rows": str(index)})
    shutil.rmtree(flags.pop("teacher"))
    assert call(recipe, flags) == 0, capsys.readouterr().err
    held_out = json.loads((Path(flags["output_dir"]) / "results.json").read_text())["held_out"]
    assert {entry["set"] for entry in held_out["evaluations"]} == {"held-out sentences", "held-out passages"}
    assert all(entry["n"] == 30 and entry["before"] and entry["after"] for entry in held_out["evaluations"])
    assert held_out["choice"]["start_share"] == 0.25


def test_a_mapped_student_is_saved_as_the_mean_of_its_best_step_and_its_start(
    recipe, flags, tmp_path, capsys, monkeypatch
):
    values = iter([0.1, 0.2, 0.3, 0.25, 0.25])  # untrained, three validations, and the mean
    monkeypatch.setattr(HeldOutRetrieval, "summed_up", lambda index, found: HeldOutScore(next(values), {}))
    kept = {"max_steps": "6", "eval_steps": "2", "learning_rate": "1e-3", "keep_checkpoints": "true"}
    flags = write_run(tmp_path, pairs=150, **{**flags, **kept})
    assert call(recipe, flags) == 0, capsys.readouterr().err
    out = Path(flags["output_dir"])
    choice = json.loads((out / "results.json").read_text())["held_out"]["choice"]
    assert (choice["best_step"], choice["start_share"], choice["mean"]["taken"]) == (4, 0.25, True)
    start, best = (load_file(out / "held_out" / f"{name}.safetensors") for name in ("start", "best"))
    saved = SentenceTransformer(str(out / "model"), device="cpu").state_dict()
    for name, weight in best.items():
        torch.testing.assert_close(saved[name], 0.25 * start[name] + 0.75 * weight, msg=name)
    assert any(not torch.equal(start[name], best[name]) for name in best)
    assert "step 4 kept, averaged with the untrained student, which counts for 25%" in capsys.readouterr().out


def test_a_share_of_the_start_that_nothing_can_judge_is_refused(recipe, flags, capsys):
    assert call(recipe, {**flags, "start_share": "0.5"}) == 2
    assert "of 40 pairs none are held out to judge the mean" in capsys.readouterr().err
    assert call(recipe, flags) == 0, "the remedy does not work"


def test_a_run_on_an_index_alone_goes_on_where_it_was_stopped(recipe, flags, index, tmp_path, capsys, monkeypatch):
    shutil.rmtree(flags.pop("teacher"))
    flags |= {"index_rows": str(index), "max_steps": "6", "save_steps": "2", "held_out": "0", "dropout": "0.1"}
    assert call(recipe, {**flags, "output_dir": str(tmp_path / "whole")}) == 0

    class Stopped(OTDistillationTrainer):
        def _save_checkpoint(self, *args, **options):
            super()._save_checkpoint(*args, **options)
            if self.state.global_step == 4:
                raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("hf_optical.runs.vectors_only.OTDistillationTrainer", Stopped)
        assert call(recipe, flags) == 130
    assert "resumes from" in capsys.readouterr().err
    assert call(recipe, flags) == 0
    assert "checkpoint-4" in capsys.readouterr().out
    one, other = (
        load_file(Path(folder) / "model" / "model.safetensors") for folder in (flags["output_dir"], tmp_path / "whole")
    )
    assert all(torch.equal(weight, other[name]) for name, weight in one.items())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"objective": "ot+rank"}, "ot compare the teacher's token vectors"),
        ({"student": "copy"}, "grown from the teacher's weights"),
    ],
)
def test_what_needs_the_model_is_refused_with_the_reason(recipe, flags, index, capsys, changed, message):
    del flags["teacher"]
    assert call(recipe, {**flags, "index_rows": str(index), **changed}) == 2
    assert message in capsys.readouterr().err
