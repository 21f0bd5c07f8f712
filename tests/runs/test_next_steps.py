"""What a run says to do next: from its own numbers, in commands that their programs take."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path

import pytest
from script_modules import call, load_recipe
from tiny_runs import write_run

from hf_optical.commands.listing import COMMANDS
from hf_optical.configuration.parsing import parse
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.evaluation.significance import compare_all
from hf_optical.runs.next_steps import advice, example_query, legend


def entry(**verdicts):
    names = {"raw": "after against raw", "fused": "fused against after"}
    return {"tests": {names[name]: asdict(comparison(outcome)) for name, outcome in verdicts.items()}}


def comparison(outcome):
    """A test as a run makes it, that comes out like this."""
    low, high = 0.2, {"win": 0.6, "loss": 0.0, "tie": 0.2}[outcome]
    measured = [
        RetrievalScores(
            "s", "swh_Latn", 40, {"ndcg@10": base}, {f"q{i}": {"ndcg@10": base + i / 1e3} for i in range(40)}
        )
        for base in (high, low)
    ]
    (found,) = compare_all([(measured[0], measured[1])])
    assert found.outcome == outcome
    return found


def scored(raw, **starts):
    return {**entry(raw="loss"), "raw": {"ndcg@10": raw}, **{row: {"ndcg@10": score} for row, score in starts.items()}}


def against_start(**outcomes):
    """A set on which the student is ahead of the teacher, with tests against rows of its start."""
    tests = {f"after against {row}": asdict(comparison(outcome)) for row, outcome in outcomes.items()}
    return {"tests": {**entry(raw="win")["tests"], **tests}, **{row: {"ndcg@10": 0.5} for row in outcomes}}


def test_training_that_added_nothing_is_not_praised():
    assert "not shown to have added" not in advice([against_start(initialized="win")])
    assert "not shown to have added" in advice([against_start(initialized="tie")])
    assert "not shown to have added" in advice([against_start(before="tie")])
    # Every student is ahead of one whose new pieces mean nothing yet: that says nothing about training.
    assert "not shown to have added" in advice([against_start(before="win", initialized="tie")])
    both = advice([against_start(initialized="win"), on("news", initialized=("loss", 0.6, 0.5))])
    assert "On news (swh_Latn) it finds less than before, .600 to .500: there the untrained student is" in both


def on(name, **rows):
    """A set with scores before and after training."""
    ((row, (outcome, before, after)),) = rows.items()
    found = {"set": name, "language": "swh_Latn", **against_start(**{row: outcome})}
    return found | {row: {"ndcg@10": before}, "after": {"ndcg@10": after}}


def test_passages_that_fall_are_named_where_the_mean_hides_them():
    sentences = on("held-out sentences", initialized=("tie", 0.876, 0.905))
    passages = on("held-out passages", initialized=("tie", 0.552, 0.524))
    choice = {"best_step": 20, "curve": [{"step": 10}, {"step": 20}]}
    said = advice([], {"evaluations": [sentences, passages], "choice": choice})
    assert "On held-out passages (swh_Latn) it finds less than before, .552 to .524: that may be chance." in said
    assert "held-out sentences" not in said and "--max_steps" not in said


@pytest.mark.parametrize(
    ("passages", "advised"), [(("win", 0.5, 0.6), True), (("tie", 0.5, 0.6), False), (("loss", 0.6, 0.5), False)]
)
def test_more_steps_are_advised_for_a_gain_beyond_chance_alone(passages, advised):
    choice = {"best_step": 20, "curve": [{"step": 10}, {"step": 20}]}
    said = advice([], {"evaluations": [on("held-out passages", initialized=passages)], "choice": choice})
    assert ("more steps (--max_steps)" in said) == advised


def test_a_tie_of_a_student_that_began_behind_asks_for_a_grown_one():
    assert "--student extend" in advice([{**scored(0.4, before=0.2), **entry(raw="tie")}])
    assert "measure with more queries" in advice([{**scored(0.4, before=0.41), **entry(raw="tie")}])


def test_a_student_that_began_behind_is_told_apart_from_bad_pairs():
    assert "grow a student" in advice([scored(0.4, before=0.2)])
    assert "check the pairs" in advice([scored(0.4, before=0.39)])
    assert "check the pairs" in advice([scored(0.4, before=0.1, initialized=0.45)]), (
        "rows from the bitext are the start"
    )


def test_a_student_that_began_behind_elsewhere_does_not_explain_a_loss():
    won = {**scored(0.4, before=0.1), **entry(raw="win")}
    assert "check the pairs" in advice([won, scored(0.4, before=0.39)])


def test_a_dirty_file_is_named_before_anything_is_published():
    doctor = {"som_Latn": {"name": "so.tsv", "level": "dirty"}, "swh_Latn": {"name": "sw.tsv", "level": "clean"}}
    said = advice([entry(raw="win")], None, doctor)
    assert said.startswith("First clean so.tsv: ") and "publish it" in said
    assert advice([entry(raw="win")], None, {"swh_Latn": doctor["swh_Latn"]}) == advice([entry(raw="win")])


@pytest.mark.parametrize(
    ("entries", "held_out", "said"),
    [
        ([entry(raw="win")], None, "search with it, or publish it"),
        ([entry(raw="win", fused="win")], None, "search with --hybrid"),
        ([entry(raw="win", fused="tie")], None, "publish it."),
        ([entry(raw="tie")], None, "may be chance"),
        ([entry(raw="win"), entry(raw="loss")], None, "keep the teacher for it"),
        ([], None, "Nothing was measured"),
        ([], {"evaluations": [entry(raw="win")], "choice": {"best_step": 40}}, "publish it."),
        ([entry(raw="win")], {"choice": {"best_step": 0}}, "does not help"),
        (
            [entry(raw="win")],
            {
                "choice": {"best_step": 8, "curve": [{"step": 4}, {"step": 8}]},
                "evaluations": [against_start(before="win")],
            },
            "more steps (--max_steps)",
        ),
        ([entry(raw="win")], {"choice": {"best_step": 4, "curve": [{"step": 4}, {"step": 8}]}}, "publish it."),
    ],
)
def test_the_advice_follows_the_numbers(entries, held_out, said):
    assert said in advice(entries, held_out)


def test_more_steps_are_not_advised_where_the_best_was_earlier():
    choice = {"best_step": 4, "curve": [{"step": 4}, {"step": 8}]}
    assert "max_steps" not in advice([entry(raw="win")], {"choice": choice})


def test_a_run_without_a_retrieval_set_shows_its_held_out_pairs_everywhere(tmp_path, capsys, monkeypatch):
    flags = write_run(tmp_path, pairs=160, held_out="0.2", hybrid="true", eval_steps="1")
    flags.pop("eval")
    assert call(load_recipe("train"), flags) == 0
    printed = capsys.readouterr().out
    out = Path(flags["output_dir"])
    held_out = json.loads((out / "results.json").read_text())["held_out"]["evaluations"]
    assert "held-out sentences swh_Latn, after against raw: ndcg@10 " in printed and "add --eval" not in printed
    assert all({"bm25", "fused"} <= set(entry) for entry in held_out)
    assert all({"after against bm25", "fused against bm25", "fused against after"} <= set(e["tests"]) for e in held_out)
    assert "held-out passages swh_Latn, fused against after: ndcg@10 " in printed
    (table,) = [line for line in printed.splitlines() if line.startswith("nDCG@10")]
    assert table.split()[1:] == ["n", "raw", "bm25", "before", "after", "fused", "ceiling"]
    assert printed.count("p (Holm) is corrected for all tests") == 1
    (search,) = [line for line in printed.splitlines() if line.startswith("  hf-optical search ")]
    words = shlex.split(search)
    assert words[words.index("--documents") + 1] == "documents.jsonl"
    (note,) = [line for line in printed.splitlines() if line.startswith("documents.jsonl is yours")]
    (tmp_path / "documents.jsonl").write_text(note.partition(": ")[2] + "\n")
    monkeypatch.chdir(tmp_path)
    COMMANDS["search"].main(parse(COMMANDS["search"].config(), words[2:]))
    capsys.readouterr()
    lost = [entry for entry in held_out if entry["tests"]["fused against after"]["outcome"] == "loss"]
    assert ("--hybrid" in words) == (not lost)
    query = words[words.index("--query") + 1]
    page = (out / "report.html").read_text()
    assert "What was found" in page and "held-out sentences, Swahili" in page and "after against before" in page
    assert "BM25, raw query" in page and "student and BM25" in page
    per_query = json.loads((out / "held_out_per_query.json").read_text())
    assert set(per_query["held-out passages/swh_Latn"]) >= {"bm25", "fused"}
    assert len(per_query["held-out sentences/swh_Latn"]["after"]) == held_out[0]["n"]
    COMMANDS["publish"].main(
        parse(COMMANDS["publish"].config(), ["--run", str(out), "--dry_run", str(tmp_path / "site")])
    )
    card = (tmp_path / "site" / "README.md").read_text()
    assert "On pairs held out of the training bitext" in card and "Not measured" not in card
    assert "| bm25 |" in card and "| fused |" in card and "`fused` this model and\nBM25 together" in card
    assert f"{held_out[0]['after']['ndcg@10']:.3f}" in card and "sets like those above" not in card
    assert query in (tmp_path / "pairs.tsv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "asked", ["Mbuzi mdogo analala wapi?", "mbuzi analala wapi ؟", "ፍየል የት ነው ያለው፧", "“Wapi ni nyumba?”"]
)
def test_the_example_is_a_question_where_there_is_one(asked):
    news = ["Yeye ni mwanasheria."] * 60
    assert example_query([*news, "Kwa nini 2 na 3?", "Nani huyu?", asked, f"Sijui kama {asked}"]) == asked
    assert example_query(news) == news[0] and example_query(["Habari"]) == "Habari"


def test_every_row_of_the_table_is_explained():
    assert legend(["raw", "after"]).splitlines()[0].split(maxsplit=1) == [
        "raw",
        "the teacher on the untranslated query",
    ]


def test_the_commands_that_a_run_prints_run(tmp_path, capsys):
    flags = write_run(tmp_path)
    assert call(load_recipe("train"), flags) == 0
    printed = capsys.readouterr().out
    assert "report.html" in printed and "plan.png" in printed and "the teacher on the untranslated query" in printed
    lines = [line.strip() for line in printed.splitlines() if line.startswith("  hf-optical ")]
    assert [shlex.split(line)[1] for line in lines] == ["search", "publish"] and "is yours to write" not in printed
    for line in lines:
        _, name, *words = shlex.split(line)
        COMMANDS[name].main(parse(COMMANDS[name].config(), words))
    assert "Built: " in capsys.readouterr().out
    card = (Path(flags["output_dir"]) / "model" / "README.md").read_text()
    assert "Swahili" in card and "paraphrase mining" not in card and str(tmp_path) not in card
    assert "| eval, after |" in card
    assert card.count("SentenceTransformer('path/to/this/folder')") == 1
    assert card.count("SentenceTransformer('path/to/your/teacher')") == 1 and "vector space of its teacher" in card
    assert f"SentenceTransformer({flags['teacher']!r})" in printed, "here it runs as printed"
    published = Path(f"{flags['output_dir']}-publication", "README.md").read_text()
    assert "The run wrote this page" not in published
    assert json.loads(Path(flags["output_dir"], "results.json").read_text())["evaluations"]
