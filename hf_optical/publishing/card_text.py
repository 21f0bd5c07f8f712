"""Sentences of a card about training, data, limits and the command."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hf_optical.data.languages import ENGLISH
from hf_optical.results.files import portable
from hf_optical.results.measures import MAIN_MEASURE
from hf_optical.results.records import Results, kept_words
from hf_optical.results.table_rows import AFTER, RAW

_LONG_COMMAND = 100  # characters; a longer one gets a line for each option


def training(results: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Summarise the training: steps, batch size, learning rate, precision and number of processes."""
    if config.get("max_steps") is None:
        return "not stated"
    processes = results.get("processes") or 1
    pairs = config.get("batch_size", "?")
    text = f"{config['max_steps']:,} steps of {pairs} pairs, learning rate {config.get('learning_rate', '?')}"
    text += f", {results['precision']}" if results.get("precision") else ""
    text += f", {kept}" if (kept := kept_words(results)) else ""
    return text + (f", {processes} processes" if processes > 1 else "")


def pairs_used(results: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """State how many pairs were used in training."""
    if results.get("pairs") is None:
        return "The number of pairs used is not stated."
    drawn = f", drawn from the file with seed {results.get('seed')}" if config.get("max_pairs") else ""
    read = results.get("index_documents")
    also = f", and {read['documents']:,} English documents of the index `{read['index']}`" if read else ""
    return f"Pairs used in training: {results['pairs']:,}{drawn}{also}. No sentence of the data is in this repository."


def bitext_limits(results: Mapping[str, Any]) -> str:
    """State how much bitext the model was trained on."""
    pairs = results.get("pairs")
    if pairs is None:
        return "The number of sentence pairs that the model was trained on is not stated."
    return (
        f"The model was trained on {pairs:,} sentence pairs; it knows names, terms and expressions outside them only "
        "by their word pieces."
    )


def english_limits(results: Mapping[str, Any]) -> list[str]:
    """State how much English queries lose against the teacher, one sentence per set on which they lose."""
    return [
        f"English queries lose {raw - after:.3f} nDCG@10 against the teacher "
        f"({entry.set}, {entry.n} queries): encode them with the teacher."
        for entry in Results.from_json(results).evaluations
        if entry.language == ENGLISH
        and (raw := entry.score(RAW, MAIN_MEASURE)) is not None
        and (after := entry.score(AFTER, MAIN_MEASURE)) is not None
        and raw > after
    ]


def command_line(text: str | None, teacher: str = "", place: str | None = None) -> str:
    """Format a run's command for a reader who repeats it; a long command gets one line per option.

    Args:
        text: The command as it was typed.
        teacher: The teacher of the run, as given to it: a Hub id or a folder.
        place: What replaces it, because other machines do not have the folder: its Hub id, or a placeholder.

    Example:
        >>> command_line("recipes/train.py --teacher models/mini --seed 1", "models/mini", "owner/mini")
        'python recipes/train.py --teacher owner/mini --seed 1'
    """
    if not text:
        return "not stated"
    if place and teacher:
        given = re.escape(portable(teacher))
        text = re.sub(rf"(?<=--teacher[ =]){given}(?= |$)", lambda _: place, text)
    text = f"python {text}" if text.startswith("recipes/") else text  # older runs recorded the script alone
    return text if len(text) <= _LONG_COMMAND else text.replace(" --", " \\\n  --")


def measured_only(row: Mapping[str, Any], results: Mapping[str, Any]) -> bool:
    """Return whether an entry of the data is a retrieval set, which has no count of rows, and not a training file."""
    return row.get("rows") is None and row.get("path") in {entry["set"] for entry in results.get("evaluations", ())}


def without_licence(data: Sequence[Mapping[str, Any]], results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the entries of training files of which no licence is known."""
    return [row for row in data if not row.get("licences") and not measured_only(row, results)]


def short_hash(row: Mapping[str, Any]) -> str:
    """Return the first 16 digits of an entry's SHA-256."""
    return str(row.get("sha256", ""))[:16] + "…"


def data_row(row: Mapping[str, Any]) -> dict[str, str]:
    """Format an entry of the data as a row of the table of training files."""
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
    """Escape text for a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")
