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
from hf_optical.runs.next_steps import advice, legend


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
    ],
)
def test_the_advice_follows_the_numbers(entries, held_out, said):
    assert said in advice(entries, held_out)


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
    assert [shlex.split(line)[1] for line in lines] == ["search", "publish"]
    for line in lines:
        _, name, *words = shlex.split(line)
        COMMANDS[name].main(parse(COMMANDS[name].config(), words))
    assert "Built: " in capsys.readouterr().out
    card = (Path(flags["output_dir"]) / "model" / "README.md").read_text()
    assert "Swahili" in card and "paraphrase mining" not in card and str(tmp_path) not in card
    assert "| eval, after |" in card
    published = Path(f"{flags['output_dir']}-publication", "README.md").read_text()
    assert "The run wrote this page" not in published
    assert json.loads(Path(flags["output_dir"], "results.json").read_text())["evaluations"]
