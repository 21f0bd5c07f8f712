"""`recipes/train.py` on several languages, with questions and passages beside the bitext."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_models
from script_modules import call
from sentence_transformers import SentenceTransformer
from tiny_runs import write_hybrid_run
from tiny_sets import write_rows

from hf_optical.encoders.models import load_encoder


@pytest.fixture
def workplace(tmp_path):
    return write_hybrid_run(
        tmp_path,
        bitext=[f"{tag}={tmp_path / f'{tag}.jsonl'}" for tag in ("sw", "so")],
        query_passages=f"mono/en={tmp_path / 'questions.jsonl'}",
        context_window="4",
        save_steps="6",
    )


def assert_same_weights(*runs):
    first, second = (load_encoder(str(run / "model"), device="cpu").state_dict() for run in runs)
    assert first.keys() == second.keys()
    assert all((first[name] == value).all() for name, value in second.items())


def test_three_kinds_of_batches_in_one_run_and_what_was_drawn(recipe, workplace, capsys):
    prompts = ["--query_prompt", "query: ", "--passage_prompt", "passage: "]
    assert call(recipe, workplace, *prompts, "--objective", "ot") == 0
    out = Path(workplace["output_dir"])
    results = json.loads((out / "results.json").read_text())
    drawn = results["realised"]
    assert all(drawn["batches"][kind] > 0 for kind in ("mono", "cross", "bitext"))
    assert {name.partition("/")[0] for name in drawn["rows"]} == {"mono", "cross", "bitext"}
    assert "bitext/eng_Latn-som_Latn" in drawn["rows"] and "cross/som_Latn-eng_Latn" in drawn["rows"]
    assert [entry["language"] for entry in results["evaluations"]] == ["mono", "cross", "multi"]
    assert set(results["evaluations"][-1]["bias"]) == {"raw", "before", "after"}
    assert [Path(item["path"]).name for item in results["data"]] == ["sw.jsonl", "so.jsonl", "questions.jsonl", "eval"]
    assert results["config"]["alpha"] == 0.5
    # The prompts travel with the model.
    model = SentenceTransformer(str(out / "model"), device="cpu")
    assert model.prompts["query"] == "query: " and model.prompts["document"] == "passage: "
    printed = capsys.readouterr().out
    assert "multi map" in printed and "student.encode_document(documents)" in printed


@pytest.mark.parametrize(("alpha", "kind"), [("1.0", "mono"), ("0.0", "cross")])
def test_one_kind_of_batches_alone(recipe, workplace, alpha, kind):
    assert call(recipe, workplace, "--alpha", alpha, "--bitext_share", "0", "--measure_start", "false") == 0
    drawn = json.loads((Path(workplace["output_dir"]) / "results.json").read_text())["realised"]
    assert [name for name, count in drawn["batches"].items() if count] == [kind]


def test_questions_that_are_never_drawn_are_left_out_and_adapters_do_not_ask_their_language(
    recipe, workplace, tmp_path
):
    asked = [
        {"id": f"sw{i}", "query": row["translation"], "passage": f"{row['source']} {i}"}
        for i, row in enumerate(tiny_models.bitext(20, seed=6))
    ]
    write_rows(tmp_path / "asked.jsonl", asked)
    flags = {name: value for name, value in workplace.items() if name != "context_window"} | {
        "query_passages": [f"mono/en={tmp_path / 'questions.jsonl'}", f"cross/sw-en={tmp_path / 'asked.jsonl'}"],
        "bitext": f"sw={tmp_path / 'sw.jsonl'}",
        "document_encoder": "teacher",
        "adapter": "lora",
    }
    assert call(recipe, flags, "--alpha", "0.0", "--measure_start", "false") == 0
    drawn = json.loads((Path(workplace["output_dir"]) / "results.json").read_text())["realised"]
    assert drawn["batches"]["cross"] > 0 and not [name for name in drawn["rows"] if name.startswith("mono/")]


def test_bitext_first_and_questions_afterwards(recipe, workplace, capsys):
    assert call(recipe, workplace, "--bitext_first", "true", "--measure_start", "false") == 0
    drawn = json.loads((Path(workplace["output_dir"]) / "results.json").read_text())["realised"]["batches"]
    assert drawn["bitext"] == 6 and drawn["mono"] + drawn["cross"] >= 6  # of 12 steps
    flags = {name: value for name, value in workplace.items() if name not in ("query_passages", "context_window")}
    assert call(recipe, {**flags, "output_dir": f"{workplace['output_dir']}-2"}, "--bitext_first", "true") not in (
        0,
        130,
    )
    assert "bitext_first" in capsys.readouterr().err


def test_an_interrupted_hybrid_run_goes_on_and_ends_like_a_whole_one(recipe, workplace, tmp_path, interrupted_after):
    assert call(recipe, {**workplace, "output_dir": str(tmp_path / "whole")}) == 0
    with interrupted_after(8):
        assert call(recipe, workplace) == 130
    assert call(recipe, workplace) == 0
    assert_same_weights(tmp_path / "whole", Path(workplace["output_dir"]))


def test_several_languages_on_bitext_alone_are_measured_in_the_teachers_index(recipe, workplace):
    flags = {name: value for name, value in workplace.items() if name not in ("query_passages", "context_window")}
    assert call(recipe, flags, "--measure_english", "true") == 0
    entries = json.loads((Path(workplace["output_dir"]) / "results.json").read_text())["evaluations"]
    assert [entry["language"] for entry in entries] == ["swh_Latn", "som_Latn"]
    assert all(entry["english_after"] is not None for entry in entries)


def test_the_cached_loss_takes_the_same_steps(recipe, workplace, tmp_path):
    flags = ["--bitext_share", "0", "--measure_start", "false"]
    for name, more in (("whole", []), ("cached", ["--contrastive_mini_batch", "2"])):
        assert call(recipe, {**workplace, "output_dir": str(tmp_path / name)}, *flags, *more) == 0
    whole, cached = (
        load_encoder(str(tmp_path / name / "model"), device="cpu").state_dict() for name in ("whole", "cached")
    )
    assert all((whole[name] - cached[name]).abs().max() < 1e-5 for name in whole)


def test_questions_are_trained_toward_the_teachers_index(recipe, workplace, interrupted_after, tmp_path):
    flags = {name: value for name, value in workplace.items() if name != "context_window"}
    flags |= {"document_encoder": "teacher", "bitext_share": "0.5", "alpha": "1.0"}
    assert call(recipe, {**flags, "output_dir": str(tmp_path / "whole")}) == 0
    results = json.loads((tmp_path / "whole" / "results.json").read_text())
    assert results["realised"]["batches"]["mono"] > 0 and results["realised"]["batches"]["bitext"] > 0
    # Measured in the index that was trained toward: the teacher's documents, queries by language.
    assert [entry["language"] for entry in results["evaluations"]] == ["swh_Latn", "som_Latn"]
    with interrupted_after(8):
        assert call(recipe, flags) == 130
    assert call(recipe, flags) == 0
    assert_same_weights(tmp_path / "whole", Path(workplace["output_dir"]))


def test_an_adapter_is_trained_on_questions_toward_the_teachers_index(recipe, workplace, tmp_path):
    rows = [{"id": str(i), "query": f"mbuzi analala {i}", "passage": f"the goat sleeps {i}"} for i in range(40)]
    (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    flags = {name: value for name, value in workplace.items() if name != "context_window"}
    flags |= {"document_encoder": "teacher", "query_passages": f"cross/sw-en={tmp_path / 'asked.jsonl'}"}
    assert call(recipe, {**flags, "adapter": "lora", "alpha": "0.0"}) == 0
    results = json.loads((Path(workplace["output_dir"]) / "results.json").read_text())
    assert results["realised"]["batches"]["cross"] > 0


def test_passages_that_the_english_index_cannot_hold_are_refused(recipe, workplace, capsys):
    assert call(recipe, {**workplace, "document_encoder": "teacher"}) == 2
    assert "the index that stays is English" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"query_passages": "questions.jsonl"}, "NAME=FILE"),
        ({"query_passages": "mono/en=nowhere.jsonl"}, "no such file"),
        ({"alpha": "1.5"}, "alpha"),
        ({"language_weights": "often"}, "language_weights"),
        ({"context_window": "1"}, "context_window"),
        ({"index": "nobody"}, "teacher, student"),
        ({"document_encoder": "teacher", "passage_prompt": "passage: "}, "passage_prompt"),
        ({"off_the_shelf": "some/encoder"}, "off_the_shelf"),
        ({"batch_size": "400"}, "batch_size"),
        ({"bitext": ["sw=a.tsv", "swh=b.tsv"]}, "two files"),
    ],
)
def test_bad_options_end_in_one_clear_error(recipe, workplace, capsys, flags, message):
    assert call(recipe, {**workplace, **flags}) == 2
    printed = capsys.readouterr().err.strip().splitlines()
    assert printed[-1].startswith("error: ") and message in printed[-1]
