"""Rows of the tables of scores, which name the encoder of the query. Used by evaluation, figures and cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RAW = "raw"
BM25 = "bm25"
TRANSLATE = "translate"
OFF_THE_SHELF = "off_the_shelf"
BEFORE = "before"
INITIALIZED = "initialized"
INJECTED = "injected"
AFTER = "after"
FUSED = "fused"
CEILING = "ceiling"
ENGLISH_BEFORE = "english_before"
ENGLISH_AFTER = "english_after"

MEANINGS = {
    RAW: "the teacher on the untranslated query",
    BM25: "BM25 on the untranslated query",
    TRANSLATE: "the teacher on the query translated into English by a machine-translation model",
    OFF_THE_SHELF: "a multilingual encoder off the shelf, with its own index",
    BEFORE: "the student as the run made or found it (the new pieces of a grown one have no meaning yet)",
    INITIALIZED: "the untrained student, its new pieces aligned with English in the bitext",
    INJECTED: "the student after lexical injection, before distillation",
    AFTER: "the distilled student",
    FUSED: "the distilled student and BM25, fused by reciprocal ranks",
    CEILING: "the teacher on the English query",
    ENGLISH_BEFORE: "the untrained student on the English query",
    ENGLISH_AFTER: "the distilled student on the English query",
}
"""Meaning of every row, in the order of tables."""

LABELS = {
    RAW: "teacher, raw query",
    BM25: "BM25, raw query",
    TRANSLATE: "translate-test",
    OFF_THE_SHELF: "multilingual encoder off the shelf (its own index)",
    BEFORE: "untouched student",
    INITIALIZED: "untrained student, rows from the bitext",
    FUSED: "student and BM25, fused by reciprocal ranks",
    CEILING: "teacher, English query",
}
"""Short names for reports, for rows other than the trained student."""

OF_THE_TEACHER = (RAW, CEILING)
OF_THE_START = (BEFORE, INITIALIZED)
EARLIER = (RAW, BM25, OFF_THE_SHELF, BEFORE, INITIALIZED, INJECTED)
"""Rows that the trained student is tested against."""
OF_A_RUN = (*EARLIER, AFTER, FUSED, CEILING, ENGLISH_BEFORE, ENGLISH_AFTER)
"""Rows that a training run can measure."""

_FORMER_NAMES = {"aligned": INITIALIZED}


def current_name(row: str) -> str:
    """Return the current name of a row that an older version wrote; other names are returned unchanged.

    The name of a reference may be followed by a space and the student to which it belongs.

    Example:
        >>> current_name("aligned"), current_name("aligned extend"), current_name("raw")
        ('initialized', 'initialized extend', 'raw')
    """
    name, space, rest = row.partition(" ")
    return _FORMER_NAMES.get(name, name) + space + rest


def with_current_names(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the rows of a mapping to their current names.

    Example:
        >>> with_current_names({"aligned": 0.5, "after": 0.6})
        {'initialized': 0.5, 'after': 0.6}
    """
    return {current_name(row): value for row, value in rows.items()}
