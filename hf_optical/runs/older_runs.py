"""Options of interrupted runs that older versions began, under the names and with the values of today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hf_optical.configuration.fields import fields_of
from hf_optical.results.files import plain
from hf_optical.runs.options import TrainConfig
from hf_optical.students.grow import VOCABULARIES

_BEFORE_IT_EXISTED = {"held_out": 0.0}
"""Values of options that older versions did not have, where they behaved unlike today's default."""
_GROWN = ("extend", "replace")


def with_current_options(begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of an older ``run.json`` in the form in which it would be written today.

    Options are renamed, and options that did not exist get the value with which today's version does the same. Rows of
    unchanged files are those that today's version counts: older ones counted the header of a TSV too.

    Args:
        begun: The content of the file.
        wanted: What this run would write.

    Example:
        >>> found = with_current_options({"lora_r": 8, "watch": True}, {"lora": {"rank": 8}, "monitor": "warn"})
        >>> found["lora"]["rank"], found["monitor"]
        (8, 'warn')
    """
    if begun.get("data"):
        begun = {**begun, "data": _with_current_rows(begun["data"], wanted.get("data") or [])}
    begun = {**_shares_of_the_start(begun, wanted), **begun}
    names = {former for field in fields_of(TrainConfig) for former in field.former}
    if not names & set(begun):
        return dict(begun)
    known = {name: value for name, value in begun.items() if name not in names}
    defaults = plain(vars(TrainConfig())) | _BEFORE_IT_EXISTED
    found = {name: value for name, value in defaults.items() if name in wanted} | known
    for field in fields_of(TrainConfig):
        for former in field.former:
            if former in begun and field.key != "monitor":
                _put(found, field.key, begun[former])
    if "watch" in begun:  # two options became one
        found["monitor"] = begun.get("on_alarm", "warn") if begun["watch"] else "off"
    if wanted.get("vocab_size") is None and wanted.get("student") not in _GROWN:
        found["vocab_size"] = None  # it was written with every student, and used by grown ones alone
    if begun.get("max_length") == TrainConfig.max_length:
        found["max_length"] = wanted.get("max_length")  # longer than the model's positions, where it cut texts anyway
    return found


def _shares_of_the_start(begun: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options by which the untrained student counts today, and did not count then."""
    student = wanted.get("student")
    of_today = {
        "anchor": student not in _GROWN,
        "start_share": student not in VOCABULARIES and wanted.get("adapter") == "none",
    }
    missing = [name for name in of_today if name in wanted and name not in begun]
    return {name: 0.0 if of_today[name] else wanted[name] for name in missing}


def _with_current_rows(begun: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = {entry["sha256"]: entry["rows"] for entry in wanted}
    return [{**entry, "rows": rows.get(entry["sha256"], entry["rows"])} for entry in begun]


def _put(found: dict[str, Any], key: str, value: Any) -> None:
    """Set an option by its key, which is dotted for a setting of a mapping."""
    parent, _, name = key.rpartition(".")
    if parent:
        found[parent] = {**found.get(parent, {}), name: value}
    else:
        found[key] = value
