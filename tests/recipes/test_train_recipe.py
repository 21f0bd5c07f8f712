from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from script_modules import RECIPES, call
from tiny_runs import write_run

from hf_optical.configuration.parsing import parse
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.encoders.models import load_encoder
from hf_optical.encoders.token_means import TokenMeans
from hf_optical.evaluation.retrieval import evaluate_retrieval


@pytest.fixture
def workplace(tmp_path):
    """A teacher, a bitext and a retrieval set, all tiny, and the flags that name them."""
    return write_run(tmp_path)


def test_a_run_leaves_results_model_figure_and_a_table(recipe, workplace, capsys):
    assert call(recipe, workplace) == 0
    out = Path(workplace["output_dir"])
    results = json.loads((out / "results.json").read_text())
    assert {"command", "seed", "versions", "data", "seconds", "peak_memory_mb", "evaluations"} <= set(results)
    (entry,) = results["evaluations"]
    assert entry["language"] == "swh_Latn" and entry["n"] == len(
        json.loads((out / "per_query.json").read_text())["eval/swh_Latn"]["after"]
    )
    assert entry["initialized"] is None  # a copy keeps its teacher's rows
    for row in ("raw", "before", "after", "ceiling"):
        assert set(entry[row]) == {"ndcg@10", "mrr@10", "recall@1", "recall@10", "map"}
    assert entry["ceiling"]["recall@1"] == 1.0 and entry["raw"] == entry["before"]  # a copy is its teacher
    assert results["data"][0]["rows"] == 40  # without the header
    assert all(len(item["sha256"]) == 64 for item in results["data"])
    assert (out / "figures" / "plan.png").read_bytes().startswith(b"\x89PNG")
    assert not list(out.glob("checkpoint-*"))
    assert results["doctor"]["swh_Latn"]["rows"] == 40
    means = TokenMeans.load(out / "model")
    assert list(means.queries) == ["swh_Latn"] and means.documents.shape == (16,)
    printed, bars = capsys.readouterr()
    assert all(f"{row}: encoding query texts" in bars for row in ("raw", "before", "after", "ceiling"))
    assert "texts/s" in bars and "widget" not in bars, "bars count texts; the host's example texts are not computed"
    assert "train_runtime" not in printed + bars, "the times of the training are in results.json"
    assert "pairs.tsv (Swahili): " in printed and "better left out" in printed
    assert "pairs.tsv: read 'en' as English and 'sw' as its translation" in printed
    assert printed.index("Before training") < printed.index("After training (3 steps)") < printed.index("encode_query")
    assert str(tmp := out.parent) not in json.dumps(results), f"the results name this machine's {tmp}"


def test_a_multilingual_encoder_is_measured_beside_over_its_own_index(recipe, workplace, tmp_path, capsys):
    other = tiny_models.dense(tmp_path / "other", [*tiny_models.ENGLISH, *tiny_models.SWAHILI], seed=7)
    other.save_pretrained(str(tmp_path / "multilingual"))
    assert call(recipe, workplace, "--off_the_shelf", str(tmp_path / "multilingual")) == 0
    (entry,) = json.loads((Path(workplace["output_dir"]) / "results.json").read_text())["evaluations"]
    folder = Path(workplace["eval"])
    expected = evaluate_retrieval(other, read_retrieval_set(folder, "swh_Latn"))
    assert entry["off_the_shelf"]["ndcg@10"] == pytest.approx(expected.metrics["ndcg@10"])
    assert "after against off_the_shelf" in entry["tests"]
    assert "off_the_shelf" in capsys.readouterr().out


@pytest.mark.parametrize("late", [False, True], ids=["dense", "late-interaction"])
def test_the_model_loads_without_this_package_and_gives_the_same_vectors(recipe, workplace, late):
    if late:
        tiny_models.late(Path(workplace["teacher"]).parent, tiny_models.ENGLISH).save_pretrained(workplace["teacher"])
    assert call(recipe, workplace) == 0
    folder = Path(workplace["output_dir"]) / "model"
    modules = json.loads((folder / "modules.json").read_text())
    assert all(entry["type"].startswith("sentence_transformers.") for entry in modules)
    texts = ["the goat sleeps under the tree", "a red dog", "mbuzi analala"]
    kind = "MultiVectorEncoder" if late else "SentenceTransformer"
    code = (
        "import sys; sys.modules['hf_optical'] = None\n"
        f"from sentence_transformers import {kind}\n"
        f"import numpy; model = {kind}({str(folder)!r}, device='cpu')\n"
        f"vectors = model.encode_query({texts!r})\n"
        f"numpy.save({str(folder.parent / 'vectors.npy')!r}, numpy.concatenate([numpy.atleast_2d(v) for v in vectors]))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

    def vectors(model):
        return np.concatenate([np.atleast_2d(vector) for vector in model.encode_query(texts)])

    mine = vectors(load_encoder(str(folder), device="cpu"))
    assert np.abs(np.load(folder.parent / "vectors.npy") - mine).max() < 1e-6
    assert np.abs(mine - vectors(load_encoder(workplace["teacher"], device="cpu"))).max() > 1e-4


def test_an_interrupted_run_goes_on_and_ends_like_a_whole_one(recipe, workplace, tmp_path, capsys, interrupted_after):
    assert call(recipe, {**workplace, "output_dir": str(tmp_path / "whole")}) == 0
    with interrupted_after(2):
        assert call(recipe, workplace) == 130
    out = Path(workplace["output_dir"])
    assert not (out / "results.json").exists() and (out / "checkpoint-2").is_dir()
    assert f"the same command resumes from {out / 'checkpoint-2'}" in capsys.readouterr().err
    assert call(recipe, workplace) == 0
    assert "Resuming from" in capsys.readouterr().out
    states = [load_encoder(str(folder / "model"), device="cpu").state_dict() for folder in (tmp_path / "whole", out)]
    assert all((states[0][name] == value).all() for name, value in states[1].items())


def test_a_finished_run_is_not_overwritten_unasked(recipe, workplace, capsys):
    assert call(recipe, workplace) == 0
    assert call(recipe, workplace) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert call(recipe, workplace, "--overwrite") == 0


def test_a_lexicon_is_injected_before_the_distillation(recipe, workplace, capsys):
    both = [*tiny_models.ENGLISH, *tiny_models.SWAHILI]
    tiny_models.dense(Path(workplace["teacher"]).parent, both).save_pretrained(workplace["teacher"])
    file = Path(workplace["bitext"]).with_name("lexicon.tsv")
    words = zip(tiny_models.ENGLISH, tiny_models.SWAHILI, strict=False)
    file.write_text("en\tsw\n" + "".join(f"{en}\t{sw}\n" for en, sw in words), encoding="utf-8")
    flags = {"lexicon": str(file), "lexical_steps": "20", "lexical_layer": "1", "max_steps": "0"}
    assert call(recipe, {**workplace, **flags}) == 0
    (entry,) = json.loads((Path(workplace["output_dir"]) / "results.json").read_text())["evaluations"]
    assert entry["injected"] is not None and entry["after"] == entry["injected"]
    untrained = load_encoder(str(Path(workplace["output_dir"]) / "untrained"), device="cpu").state_dict()
    teacher = load_encoder(workplace["teacher"], device="cpu").state_dict()
    assert any((value != teacher[name]).any() for name, value in untrained.items())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"lexicon": "nowhere.tsv"}, "nowhere.tsv"),
        ({"language": "swq"}, "swh_Latn"),
        ({"objective": "ot+nse"}, "did you mean 'nce'"),
        ({"bitext": "nowhere.tsv"}, "nowhere.tsv"),
        ({"eval": "nowhere"}, "nowhere"),
        ({"teacher": "nowhere/nothing"}, "local folder"),
        ({"max_stepz": "3"}, "max_steps"),
        ({"max_steps": "many"}, "max_steps"),
        ({"solver": "simplex"}, "ipot"),
        ({"dropout": "1.5"}, "dropout"),
    ],
)
def test_bad_options_end_in_one_clear_error_and_leave_nothing(recipe, workplace, capsys, flags, message):
    assert call(recipe, {**workplace, **flags}) == 2
    printed = capsys.readouterr().err.strip().splitlines()
    assert printed[-1].startswith("error: ") and message in printed[-1]
    assert not Path(workplace["output_dir"]).exists()


def test_a_teacher_that_cannot_be_had_is_said_before_the_pairs_are_examined(recipe, workplace, capsys):
    assert call(recipe, {**workplace, "teacher": "nowhere/nothing"}) == 2
    printed = capsys.readouterr().out
    assert "read 'en' as English" in printed and "better left out" not in printed and "Not checked" not in printed


def test_an_interrupted_run_is_not_resumed_with_other_options(recipe, workplace, capsys):
    out = Path(workplace["output_dir"])
    assert call(recipe, workplace, "--keep_checkpoints") == 0
    (out / "results.json").unlink()
    assert call(recipe, {**workplace, "seed": "3", "objective": "mse"}) == 2
    printed = capsys.readouterr().err
    assert "objective (was ot+rank, now mse); seed (was 0, now 3)" in printed
    assert "--resume_anyway" in printed


def test_an_interrupted_run_is_not_resumed_with_another_teacher_unasked(recipe, workplace, capsys):
    out = Path(workplace["output_dir"])
    assert call(recipe, workplace, "--keep_checkpoints") == 0
    (out / "results.json").unlink()
    teacher = Path(workplace["teacher"])
    tiny_models.dense(teacher.parent, tiny_models.ENGLISH, seed=4).save_pretrained(str(teacher))
    assert call(recipe, workplace) == 2
    assert "other options: teacher_weights" in capsys.readouterr().err
    assert call(recipe, workplace, "--resume_anyway") == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "pairs.tsv"), ("en\nonly one\n", "pairs.tsv"), ("en\tsw\nthe goat\tmbuzi\nthe dog\t\n", "row 3")],
    ids=["empty", "one column", "missing text"],
)
def test_bad_files_end_in_one_clear_error(recipe, workplace, capsys, content, message):
    Path(workplace["bitext"]).write_text(content, encoding="utf-8")
    assert call(recipe, workplace) == 2
    assert message in capsys.readouterr().err
    assert not Path(workplace["output_dir"]).exists()


def test_a_misspelt_student_is_named(recipe, workplace, capsys):
    assert call(recipe, {**workplace, "student": "repalce"}) == 2
    assert "repalce" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not Path(workplace["output_dir"], "model").exists()


@pytest.mark.parametrize("name", ["mono_only", "cross_only", "hybrid", "hybrid_ot"])
def test_the_configurations_of_the_hybrid_paper_lack_data_only(recipe, name):
    config = parse(recipe.TrainConfig, ["--config", str(RECIPES / "configs" / f"{name}.yaml")])
    assert config.trains_retrieval and config.reads_index_of == "student"
    assert (config.alpha, config.bitext_share) == {
        "mono_only": (1.0, 0.0),
        "cross_only": (0.0, 0.0),
        "hybrid": (0.5, 0.0),
        "hybrid_ot": (0.5, 0.5),
    }[name]
    config.bitext, config.eval = ["sw=a.tsv", "so=b.tsv"], ["folder"]
    config.check()


def test_the_configuration_of_the_sample_parses(recipe):
    config = parse(recipe.TrainConfig, ["--config", str(RECIPES / "configs" / "sample.yaml"), "--seed", "7"])
    assert config.seed == 7 and config.student == "extend" and "_" in config.language


def test_a_word_level_teacher_cannot_be_extended_and_says_so(recipe, workplace, capsys):
    assert (
        call(recipe, {**workplace, "student": "extend", "vocab_size": "40"}) == 2
    )  # the tiny vocabulary is word-level
    assert "WordPiece" in capsys.readouterr().err


def test_runs_that_share_a_folder_grow_one_student_and_come_to_the_same(recipe, workplace, tmp_path, monkeypatch):
    import hf_optical.runs.student as growing

    flags = workplace | {"student": "replace", "vocab_size": "60", "objective": "ot+rank"}
    alone = flags | {"output_dir": str(tmp_path / "alone")}
    first = flags | {"output_dir": str(tmp_path / "first"), "shared": str(tmp_path / "shared")}
    second = first | {"output_dir": str(tmp_path / "second"), "measure_start": "false"}
    grown = []
    host = growing.starting_student
    monkeypatch.setattr(growing, "starting_student", lambda *a, **k: grown.append(1) or host(*a, **k))
    for run in (alone, first, second):
        assert call(recipe, run) == 0
    assert len(grown) == 2
    after = [
        json.loads((Path(run["output_dir"]) / "results.json").read_text())["evaluations"][0]["after"]
        for run in (alone, first, second)
    ]
    assert after[0] == after[1] == after[2]
    assert call(recipe, second | {"output_dir": str(tmp_path / "third"), "seed": "1"}) == 0
    assert len(grown) == 3  # another seed draws another student


def test_a_lexicon_gives_rows_to_words_that_no_sentence_has(recipe, workplace, tmp_path):
    lexicon = tmp_path / "words.tsv"
    lexicon.write_text("en\tsw\n" + "".join(f"river\tkijito {n}\n" for n in "abcdefgh"))
    flags = workplace | {"student": "replace", "vocab_size": "200", "max_steps": "0"}
    vectors = {}
    for name, more in (("without", {}), ("with", {"start_lexicon": str(lexicon)})):
        assert call(recipe, flags | more | {"output_dir": str(tmp_path / name)}) == 0
        model = load_encoder(str(tmp_path / name / "model"))
        assert (model.tokenizer.tokenize("kijito") == ["▁kijito"]) == bool(more)
        vectors[name] = model.encode("kijito", normalize_embeddings=True)
    river = load_encoder(workplace["teacher"]).encode("river", normalize_embeddings=True)
    assert vectors["with"] @ river > vectors["without"] @ river


def test_a_run_says_what_bm25_finds_and_what_both_find_together(recipe, workplace, capsys):
    assert call(recipe, workplace, "--hybrid") == 0
    out = Path(workplace["output_dir"])
    (entry,) = json.loads((out / "results.json").read_text())["evaluations"]
    assert entry["bm25"]["recall@10"] is not None and entry["fused"]["recall@10"] is not None
    assert {"after against bm25", "fused against bm25", "fused against after"} <= set(entry["tests"])
    per_query = json.loads((out / "per_query.json").read_text())["eval/swh_Latn"]
    assert set(per_query["fused"]) == set(per_query["after"])
    printed = capsys.readouterr().out
    assert "fused against after: " in printed and "  bm25 " in printed.split("Before training")[1]
