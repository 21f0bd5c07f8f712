"""Sentences of a card: training, data, limits, command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hf_optical.data.languages import ENGLISH
from hf_optical.results.files import portable
from hf_optical.results.measures import MAIN_MEASURE
from hf_optical.results.records import Results
from hf_optical.results.table_rows import AFTER, RAW

_LONG_COMMAND = 100  # characters; a longer one gets a line for each option


def training(results: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Steps, batch and learning rate."""
    if config.get("max_steps") is None:
        return "not stated"
    processes = results.get("processes") or 1
    pairs = config.get("batch_size", "?")
    text = f"{config['max_steps']:,} steps of {pairs} pairs, learning rate {config.get('learning_rate', '?')}"
    text += f", {results['precision']}" if results.get("precision") else ""
    return text + (f", {processes} processes" if processes > 1 else "")


def pairs_used(results: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """State how many pairs were used in training."""
    if results.get("pairs") is None:
        return "The number of pairs used is not stated."
    drawn = f", drawn from the file with seed {results.get('seed')}" if config.get("max_pairs") else ""
    return f"Pairs used in training: {results['pairs']:,}{drawn}. No sentence of the data is in this repository."


def bitext_limits(results: Mapping[str, Any]) -> str:
    """State how much bitext the model has seen."""
    pairs = results.get("pairs")
    if pairs is None:
        return "How much bitext it has seen is not stated."
    return f"It has seen {pairs:,} sentence pairs; names, terms and turns of phrase outside them are read by parts."


def english_limits(results: Mapping[str, Any]) -> list[str]:
    """State how much English queries lose against the teacher, where it was measured."""
    return [
        f"English queries lose {raw - after:.3f} nDCG@10 against the teacher "
        f"({entry.set}, {entry.n} queries): let the teacher read them."
        for entry in Results.from_json(results).evaluations
        if entry.language == ENGLISH
        and (raw := entry.score(RAW, MAIN_MEASURE)) is not None
        and (after := entry.score(AFTER, MAIN_MEASURE)) is not None
        and raw > after
    ]


def command_line(text: str | None, teacher: str = "", hub_id: str | None = None) -> str:
    """The command as others may type it, an option a line where it is long.

    Args:
        text: As it was typed.
        teacher: The teacher of the run, a folder perhaps.
        hub_id: Its Hub id, which is written in place of a folder that others have not got.

    Example:
        >>> command_line("recipes/train.py --teacher models/mini --seed 1", "models/mini", "owner/mini")
        'python recipes/train.py --teacher owner/mini --seed 1'
    """
    if not text:
        return "not stated"
    if hub_id and teacher:
        given = re.escape(portable(teacher))
        text = re.sub(rf"(?<=--teacher[ =]){given}(?= |$)", lambda _: hub_id, text)
    text = f"python {text}" if text.startswith("recipes/") else text  # as older runs wrote it
    return text if len(text) <= _LONG_COMMAND else text.replace(" --", " \\\n  --")


def measured_only(row: Mapping[str, Any], results: Mapping[str, Any]) -> bool:
    """Whether an entry of the data is a retrieval set, and no training file: those have no rows."""
    return row.get("rows") is None and row.get("path") in {entry["set"] for entry in results.get("evaluations", ())}


def short_hash(row: Mapping[str, Any]) -> str:
    """The beginning of a SHA-256."""
    return str(row.get("sha256", ""))[:16] + "…"


def data_row(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of the table of training data."""
    return {
        "path": cell(str(row.get("path"))),
        "rows": f"{row['rows']:,}" if row.get("rows") is not None else "",
        "sha256": short_hash(row),
        "licences": _counts(row.get("licences")),
        "origin": _counts(row.get("origin")),
    }


def _counts(found: Mapping[str, int] | str | None) -> str:
    if not found:
        return "not stated"
    if isinstance(found, str):
        return cell(found)
    listed = sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
    return cell(", ".join(f"{name} {count:,}" for name, count in listed))


def cell(text: str) -> str:
    """Text that does not break a table."""
    return text.replace("|", "\\|").replace("\n", " ")
