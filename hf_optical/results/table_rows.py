"""Rows of the tables of scores: who reads the query. One definition for evaluation, comparison, figures and cards."""

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
    RAW: "the teacher reads the query as it is",
    BM25: "BM25 on the query as it is",
    TRANSLATE: "a machine-translation model turns the query into English, the teacher reads that",
    OFF_THE_SHELF: "a multilingual encoder off the shelf reads the query, over its own index",
    BEFORE: "the untouched student",
    INITIALIZED: "the student with embedding rows initialized from the bitext, before any training",
    INJECTED: "the student after lexical injection, before distillation",
    AFTER: "the distilled student",
    FUSED: "the distilled student and BM25, fused by reciprocal ranks",
    CEILING: "the teacher reads the English query",
    ENGLISH_BEFORE: "the untouched student reads the English query",
    ENGLISH_AFTER: "the distilled student reads the English query",
}
"""Every row, in the order of tables, with what it means."""

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
"""Short names for reports, of the rows that are not a trained student."""

OF_THE_TEACHER = (RAW, CEILING)
OF_THE_START = (BEFORE, INITIALIZED)
EARLIER = (RAW, BM25, OFF_THE_SHELF, BEFORE, INITIALIZED, INJECTED)
"""What the trained student is tested against."""
OF_A_RUN = (*EARLIER, AFTER, FUSED, CEILING, ENGLISH_BEFORE, ENGLISH_AFTER)
"""What one training run may measure."""

_FORMER_NAMES = {"aligned": INITIALIZED}


def current_name(row: str) -> str:
    """The present name of a row that an older version wrote; other names are returned as they are.

    A reference's name may be followed by the student it belongs to, after a space.

    Example:
        >>> current_name("aligned"), current_name("aligned extend"), current_name("raw")
        ('initialized', 'initialized extend', 'raw')
    """
    name, space, rest = row.partition(" ")
    return _FORMER_NAMES.get(name, name) + space + rest


def with_current_names(rows: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping by row, with the present names of its rows.

    Example:
        >>> with_current_names({"aligned": 0.5, "after": 0.6})
        {'initialized': 0.5, 'after': 0.6}
    """
    return {current_name(row): value for row, value in rows.items()}
