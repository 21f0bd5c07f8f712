"""Next steps after a run: advice from its own numbers, and commands that run as printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_optical.publishing.provenance import Teacher
from hf_optical.results import table_rows
from hf_optical.results.measures import MAIN_MEASURE, short_score

YOUR_DOCUMENTS, THIS_FOLDER = "documents.jsonl", "path/to/this/folder"
_WON, _LOST = "win", "loss"
_DRAWN = 50  # queries among which the example is chosen, where none is a question
_QUESTION = re.compile(r"[?\N{ARABIC QUESTION MARK}\N{FULLWIDTH QUESTION MARK}\N{ETHIOPIC QUESTION MARK}]\W*$")


def advice(
    entries: Sequence[Mapping[str, Any]],
    held_out: Mapping[str, Any] | None = None,
    doctor: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """Derive advice from the numbers of a run.

    Args:
        entries: The run's evaluations, with ``tests``; those of held-out pairs if there is no retrieval set.
        held_out: The run's report on its held-out pairs.
        doctor: The verdicts on the bitexts, by language. Held-out pairs of a dirty file are dirty too, so that their
            scores are no reason to publish.

    Returns:
        Some sentences.

    Example:
        >>> test = {"outcome": "win", "difference": 0.2}
        >>> advice([{"tests": {"after against raw": test}}])
        'The student finds more than your teacher on the raw query: search with it, or publish it.'
    """
    said = _advice(entries, held_out)
    dirty = [str(verdict.get("name")) for verdict in (doctor or {}).values() if verdict.get("level") == "dirty"]
    if not dirty:
        return said
    return (
        f"First clean {' and '.join(dirty)}: many rows are better left out (see the top), and the held-out pairs were "
        f"drawn from the same rows. hf-optical doctor writes the sound ones into a file. {said}"
    )


def _advice(entries: Sequence[Mapping[str, Any]], held_out: Mapping[str, Any] | None) -> str:
    choice = (held_out or {}).get("choice") or {}
    kept = choice.get("best_step")
    entries = entries or (held_out or {}).get("evaluations") or []
    against_raw = f"{table_rows.AFTER} against {table_rows.RAW}"
    outcomes = [_outcome(entry, against_raw) for entry in entries]
    outcomes = [outcome for outcome in outcomes if outcome]
    if not outcomes:
        return "Nothing was measured: give a retrieval set with --eval, or hold pairs out with --held_out."
    if kept == 0:
        return (
            "No step was better than the untrained student, so the untrained student was saved. More training on "
            "these pairs does not help: check them with hf-optical doctor, or use other pairs."
        )
    if any(_outcome(entry, against_raw) not in (_WON, None) and _began_behind(entry) for entry in entries):
        return (
            "On at least one set the student is not ahead of the teacher on the raw query, and was behind it before "
            "training: it cannot read the language yet. Where its vocabulary lacks the words, grow a student "
            "for this language (--student extend); otherwise train longer, on more pairs."
        )
    if _LOST in outcomes:
        return (
            "On at least one set the teacher on the raw query scores higher than the student: keep the teacher for "
            "it, and check the pairs with hf-optical doctor."
        )
    if _WON not in outcomes:
        return (
            "The difference between the student and your teacher may be chance: measure with more queries, or train "
            "on more pairs."
        )
    said = "The student finds more than your teacher on the raw query: search with it, or publish it."
    said += _what_training_added(entries)
    curve = choice.get("curve") or [{"step": 0}]
    if kept and kept == max(reading["step"] for reading in curve) and _gained((held_out or {}).get("evaluations")):
        said += " The held-out score was highest at the last step: more steps (--max_steps) may find more."
    fused = [_outcome(entry, f"{table_rows.FUSED} against {table_rows.AFTER}") for entry in entries]
    return f"{said} Fused with BM25 it finds even more: search with --hybrid." if _WON in fused else said


def commands(
    config: Any, output: Path, language: str, query: str | None = None, entries: Sequence[Mapping[str, Any]] = ()
) -> list[str]:
    """List commands that use the run: search, publish.

    Without a retrieval set the documents of the search are `YOUR_DOCUMENTS`, a name to be replaced.

    Args:
        config: The run's options.
        output: The run's folder.
        language: The language of the queries.
        query: An example query.
        entries: The run's evaluations, or those of its held-out pairs; the search is hybrid if fusion was measured and
            lost on no set.
    """
    model, teacher = str(output / "model"), str(config.teacher)
    found = []
    documents = next((file for folder in config.eval for file in sorted(Path(folder).glob("corpus*.jsonl*"))), None)
    if query and config.reads_index_of == "teacher":
        named = str(documents) if documents is not None else YOUR_DOCUMENTS
        words = ["search", "--teacher", teacher, "--documents", named, "--encoders", f"{language}={model}"]
        words += ["--language", language]
        if config.titles:
            words += ["--titles"]
        fused = [_outcome(entry, f"{table_rows.FUSED} against {table_rows.AFTER}") for entry in entries]
        if any(fused) and _LOST not in fused:
            words += ["--hybrid"]
        found.append([*words, "--query", query])
    found.append(["publish", "--run", str(output), "--dry_run", f"{output}-publication"])
    return [f"hf-optical {shlex.join(words)}" for words in found]


def example_query(queries: Sequence[str]) -> str:
    """Return a query that fits a line: the shortest question of three words or more without a digit.

    Where there is no question, it is the shortest such sentence among the first queries.

    Example:
        >>> example_query(["Ni nani aliyeandika kitabu hiki cha kwanza?", "Habari", "Mbuzi analala wapi?", "Ni mbuzi."])
        'Mbuzi analala wapi?'
    """
    whole = [" ".join(query.split()) for query in queries]
    plain = [query for query in whole if len(query.split()) >= 3 and not any(letter.isdigit() for letter in query)]
    asked = [query for query in plain if _QUESTION.search(query)]
    drawn = set(whole[:_DRAWN])
    return min(asked or [query for query in plain if query in drawn], key=len, default=whole[0])


def note_on_documents(lines: Sequence[str]) -> str | None:
    """Return what the reader has to bring for the printed commands to run; None if nothing.

    Example:
        >>> note_on_documents(["hf-optical publish --run out"])
    """
    if not any(YOUR_DOCUMENTS in shlex.split(line) for line in lines):
        return None
    return f'{YOUR_DOCUMENTS} is yours to write, one document a line: {{"id": "d1", "text": "English text"}}'


def _what_training_added(entries: Sequence[Mapping[str, Any]]) -> str:
    """Say where training did not add to the student with which it began, and where it took from it.

    Example:
        >>> scores = {"initialized": {"ndcg@10": 0.552}, "after": {"ndcg@10": 0.524}}
        >>> test = {"after against initialized": {"outcome": "tie"}}
        >>> entry = {"set": "passages", "language": "ibo_Latn", "tests": test, **scores}
        >>> _what_training_added([entry]).partition("chance. ")[2]
        'On passages (ibo_Latn) it finds less than before, .552 to .524: that may be chance.'
    """
    compared = [(entry, f"{table_rows.AFTER} against {row}", row) for entry in entries if (row := _start(entry))]
    outcomes = [_outcome(entry, name) for entry, name, _ in compared]
    said = ""
    if _WON not in outcomes and _LOST not in outcomes and any(outcomes):
        said = " Training is not shown to have added to the student with which it began: the difference may be chance."
    for (entry, _, row), outcome in zip(compared, outcomes, strict=True):
        before, after = (entry.get(name, {}).get(MAIN_MEASURE) for name in (row, table_rows.AFTER))
        if outcome is None or (outcome != _LOST and not (after or 0) < (before or 0)):
            continue
        place = f"{entry.get('set')} ({entry.get('language')})"
        scores = (
            f", {short_score(before, 3)} to {short_score(after, 3)}" if before is not None and after is not None else ""
        )
        chance = "there the untrained student is the better one" if outcome == _LOST else "that may be chance"
        said += f" On {place} it finds less than before{scores}: {chance}."
    return said


def _gained(entries: Sequence[Mapping[str, Any]] | None) -> bool:
    """Whether training gained beyond chance on a set, and lost so on none."""
    names = [(entry, f"{table_rows.AFTER} against {row}") for entry in entries or () if (row := _start(entry))]
    outcomes = [_outcome(entry, name) for entry, name in names]
    return _WON in outcomes and _LOST not in outcomes


def _start(entry: Mapping[str, Any]) -> str | None:
    """Return the row of the student with which training began: its new pieces aligned, if it has any."""
    return next((row for row in (table_rows.INITIALIZED, table_rows.BEFORE) if entry.get(row)), None)


def _began_behind(entry: Mapping[str, Any]) -> bool:
    """Whether the student, before training, was well behind the teacher on the raw query."""
    start, raw = _start(entry), entry.get(table_rows.RAW)
    return start is not None and raw is not None and entry[start][MAIN_MEASURE] < 0.9 * raw[MAIN_MEASURE]


def _outcome(entry: Mapping[str, Any], name: str) -> str | None:
    test = (entry.get("tests") or {}).get(name)
    return str(test["outcome"]) if test else None


def legend(rows: Sequence[str]) -> str:
    """Explain the rows of a table, one line each."""
    width = max((len(row) for row in rows), default=0)
    return "\n".join(f"  {row:{width}}  {table_rows.MEANINGS[row]}" for row in rows)


def model_readme(results: Mapping[str, Any], language_name: str, teacher: Teacher, use: str) -> str:
    """Write the card of a saved model, in place of sentence-transformers' default card, which omits the training.

    The folder may be copied or sent to the Hub as it is, so that no path of this machine may stand in it.

    Args:
        results: The content of the run's ``results.json``.
        language_name: Name of the language of the queries.
        teacher: The run's teacher.
        use: Lines of Python code that use the model.
    """
    named = f"`{teacher.hub_id}`" if teacher.hub_id else f"its teacher (`{teacher.place}`: whoever trained it has it)"
    lines = ["---", "library_name: sentence-transformers", "tags: [sentence-transformers, hf-optical]", "---", ""]
    lines += [f"# A query encoder for {language_name}", ""]
    lines += [
        f"It encodes queries in {language_name} into the vector space of {named}, whose index stays unchanged. "
        f"Trained with hf-optical on {results.get('pairs') or 0:,} sentence pairs. The run wrote this page; "
        f"`hf-optical publish` writes the model card with data, licences and tests.",
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
        lines += ["", "| set, encoder of the query | nDCG@10 |", "| --- | ---: |"]
        lines += [f"| {name} | {value:.3f} |" for name, value in scores]
    return "\n".join(lines) + "\n"
