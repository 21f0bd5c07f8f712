from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from hf_optical.configuration import parse, run
from hf_optical.models import load_encoder

RECIPE = Path(__file__).parents[2] / "recipes" / "train.py"


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("train_recipe", RECIPE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_recipe"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def workplace(tmp_path):
    """A teacher, a bitext and a retrieval set, all tiny, and the flags that name them."""
    tiny_models.dense(tmp_path, tiny_models.ENGLISH).save_pretrained(str(tmp_path / "teacher"))
    rows = tiny_models.bitext(40)
    with (tmp_path / "pairs.tsv").open("w", encoding="utf-8") as file:
        file.write("en\tsw\n" + "".join(f"{row['source']}\t{row['translation']}\n" for row in rows))
    folder = tmp_path / "eval"
    folder.mkdir()
    texts = list(dict.fromkeys(row["source"] for row in rows))[:30]
    pairs = {row["source"]: row["translation"] for row in rows}
    for name, values in (("corpus.en", texts), ("queries.sw", [pairs[text] for text in texts]), ("queries.en", texts)):
        lines = [json.dumps({"id": f"{name[0]}{i}", "text": text}) for i, text in enumerate(values)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "qrels.all.trec").write_text("".join(f"q{i} 0 c{i} 1\n" for i in range(len(texts))))
    return {
        "teacher": str(tmp_path / "teacher"),
        "student": "copy",
        "language": "sw",
        "bitext": str(tmp_path / "pairs.tsv"),
        "eval": str(folder),
        "output_dir": str(tmp_path / "out"),
        "max_steps": "3",
        "batch_size": "4",
        "save_steps": "2",
    }


def call(recipe, flags, *more):
    argv = [part for name, value in flags.items() for part in (f"--{name}", value)]
    with pytest.raises(SystemExit) as stop:
        run(recipe.main, recipe.TrainConfig, [*argv, *more])
    return stop.value.code


def test_a_run_leaves_results_model_figure_and_a_table(recipe, workplace, capsys):
    assert call(recipe, workplace) == 0
    out = Path(workplace["output_dir"])
    results = json.loads((out / "results.json").read_text())
    assert {"command", "seed", "versions", "data", "seconds", "peak_memory_mb", "evaluations"} <= set(results)
    (entry,) = results["evaluations"]
    assert entry["language"] == "swh_Latn" and entry["n"] == len(
        json.loads((out / "per_query.json").read_text())["eval/swh_Latn"]["after"]
    )
    assert entry["aligned"] is None  # a copy keeps its teacher's rows
    for row in ("raw", "before", "after", "ceiling"):
        assert set(entry[row]) == {"ndcg@10", "mrr@10", "recall@1", "recall@10", "map"}
    assert entry["ceiling"]["recall@1"] == 1.0 and entry["raw"] == entry["before"]  # a copy is its teacher
    assert results["data"][0]["rows"] == 41
    assert all(len(item["sha256"]) == 64 for item in results["data"])
    assert (out / "figures" / "plan.png").read_bytes().startswith(b"\x89PNG")
    assert not list(out.glob("checkpoint-*"))
    assert results["doctor"]["swh_Latn"]["rows"] == 40
    printed = capsys.readouterr().out
    assert "better left out" in printed
    assert printed.index("Before training") < printed.index("After 3 steps") < printed.index("encode_query")
    assert str(tmp := out.parent) not in json.dumps(results), f"the results name this machine's {tmp}"


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


def test_an_interrupted_run_goes_on_and_ends_like_a_whole_one(recipe, workplace, tmp_path, capsys, monkeypatch):
    assert call(recipe, {**workplace, "output_dir": str(tmp_path / "whole")}) == 0
    from hf_optical.trainer import OTDistillationTrainer

    step = OTDistillationTrainer.training_step

    def interrupted(self, *args, **options):
        if self.state.global_step == 2:
            raise KeyboardInterrupt
        return step(self, *args, **options)

    monkeypatch.setattr(OTDistillationTrainer, "training_step", interrupted)
    assert call(recipe, workplace) == 130
    out = Path(workplace["output_dir"])
    assert not (out / "results.json").exists() and (out / "checkpoint-2").is_dir()
    monkeypatch.setattr(OTDistillationTrainer, "training_step", step)
    capsys.readouterr()
    assert call(recipe, workplace) == 0
    assert "Going on from" in capsys.readouterr().out
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


def test_an_interrupted_run_is_not_resumed_with_other_options(recipe, workplace, capsys):
    out = Path(workplace["output_dir"])
    assert call(recipe, workplace, "--keep_checkpoints") == 0
    (out / "results.json").unlink()
    assert call(recipe, {**workplace, "seed": "3", "objective": "mse"}) == 2
    printed = capsys.readouterr().err
    assert "objective (was ot+nce, now mse); seed (was 0, now 3)" in printed
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
    config = parse(recipe.TrainConfig, ["--config", str(RECIPE.parent / "configs" / f"{name}.yaml")])
    assert config.trains_retrieval and config.reads_index_of == "student"
    assert (config.alpha, config.bitext_share) == {
        "mono_only": (1.0, 0.0),
        "cross_only": (0.0, 0.0),
        "hybrid": (0.5, 0.0),
        "hybrid_ot": (0.5, 0.5),
    }[name]
    config.bitext, config.eval = ["sw=a.tsv", "so=b.tsv"], ["folder"]
    config.check()


@pytest.mark.parametrize("name", ["swahili", "somali", "tagalog", "marathi", "sample"])
def test_the_configurations_parse(recipe, name):
    config = parse(recipe.TrainConfig, ["--config", str(RECIPE.parent / "configs" / f"{name}.yaml"), "--seed", "7"])
    assert config.seed == 7 and config.student == "extend" and "_" in config.language


def test_a_word_level_teacher_cannot_be_extended_and_says_so(recipe, workplace, capsys):
    assert (
        call(recipe, {**workplace, "student": "extend", "vocab_size": "40"}) == 2
    )  # the tiny vocabulary is word-level
    assert "WordPiece" in capsys.readouterr().err
