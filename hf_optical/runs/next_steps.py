"""What to do after a run: one sentence from its own numbers, and commands that run as they are printed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_optical.results import table_rows
from hf_optical.results.measures import MAIN_MEASURE

_WON, _LOST = "win", "loss"


def advice(entries: Sequence[Mapping[str, Any]], held_out: Mapping[str, Any] | None = None) -> str:
    """What the numbers of a run say to do next.

    Args:
        entries: Its evaluations, with ``tests``; those of held-out pairs where there is no retrieval set.
        held_out: What the run says of its held-out pairs.

    Returns:
        One or two sentences.

    Example:
        >>> test = {"outcome": "win", "difference": 0.2}
        >>> advice([{"tests": {"after against raw": test}}])
        'The student finds more than your teacher on the raw query: search with it, or publish it.'
    """
    kept = ((held_out or {}).get("choice") or {}).get("best_step")
    entries = entries or (held_out or {}).get("evaluations") or []
    outcomes = [_outcome(entry, f"{table_rows.AFTER} against {table_rows.RAW}") for entry in entries]
    outcomes = [outcome for outcome in outcomes if outcome]
    if not outcomes:
        return "Nothing was measured: give a retrieval set with --eval, or let pairs be held out."
    if kept == 0:
        return (
            "No step was better than the untrained student, so that is what was saved: it needs no more training on "
            "these pairs; have the doctor look at them, or bring others."
        )
    if _LOST in outcomes:
        return (
            "On some set the teacher on the raw query is ahead of the student: keep the teacher there, and have the "
            "doctor look at the pairs."
        )
    if _WON not in outcomes:
        return (
            "Whether the student finds more than your teacher cannot be told from chance: bring more queries to "
            "measure with, or more pairs to learn from."
        )
    said = "The student finds more than your teacher on the raw query: search with it, or publish it."
    fused = [_outcome(entry, f"{table_rows.FUSED} against {table_rows.AFTER}") for entry in entries]
    return f"{said} With BM25 beside it, it finds still more: search with --hybrid." if _WON in fused else said


def commands(config: Any, output: Path, language: str, query: str | None = None) -> list[str]:
    """Commands that use the run as it is: search, where documents are at hand, evaluate, publish.

    Args:
        config: The run's options.
        output: Its folder.
        language: The language taught.
        query: A query to search with.
    """
    model, teacher = str(output / "model"), str(config.teacher)
    found = []
    documents = next((file for folder in config.eval for file in sorted(Path(folder).glob("corpus*.jsonl*"))), None)
    if documents is not None and query and config.reads_index_of == "teacher":
        words = ["search", "--teacher", teacher, "--documents", str(documents), "--encoders", f"{language}={model}"]
        found.append([*words, "--language", language, "--hybrid", "--query", query])
    found.append(["publish", "--run", str(output), "--dry_run", f"{output}-publication"])
    return [f"hf-optical {shlex.join(words)}" for words in found]


def _outcome(entry: Mapping[str, Any], name: str) -> str | None:
    test = (entry.get("tests") or {}).get(name)
    return str(test["outcome"]) if test else None


def legend(rows: Sequence[str]) -> str:
    """What the rows of a table mean, a line each."""
    width = max((len(row) for row in rows), default=0)
    return "\n".join(f"  {row:{width}}  {table_rows.MEANINGS[row]}" for row in rows)


def model_readme(results: Mapping[str, Any], language_name: str, use: str) -> str:
    """The page beside a saved model, in place of the host's stock card, which would say that nobody trained it.

    Args:
        results: The content of the run's ``results.json``.
        language_name: Of the language taught.
        use: Lines of Python that use the model.
    """
    teacher = (results.get("config") or {}).get("teacher")
    lines = ["---", "library_name: sentence-transformers", "tags: [sentence-transformers, hf-optical]", "---", ""]
    lines += [f"# A query encoder for {language_name}", ""]
    lines += [
        f"It reads {language_name} and answers in the vector space of `{teacher}`, whose index stays as it is. "
        f"Trained with hf-optical on {results.get('pairs') or 0:,} sentence pairs. This page is what the run left; "
        "`hf-optical publish` writes the card with data, licences and tests.",
        "",
        "```python",
        *(line.removeprefix("  ") for line in use.splitlines()),
        "```",
    ]
    scores = [
        (f"{entry['set']}, {row}", entry[row][MAIN_MEASURE])
        for entry in results.get("evaluations") or []
        for row in (table_rows.RAW, table_rows.AFTER, table_rows.CEILING)
        if entry.get(row)
    ]
    if scores:
        lines += ["", "| set, who reads the query | nDCG@10 |", "| --- | ---: |"]
        lines += [f"| {name} | {value:.3f} |" for name, value in scores]
    return "\n".join(lines) + "\n"
