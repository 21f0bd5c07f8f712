"""A document found."""

from __future__ import annotations

from typing import NamedTuple


class SyncCounts(NamedTuple):
    """Counts of a sync: documents added, changed, removed and unchanged."""

    added: int
    changed: int
    removed: int
    unchanged: int


class Hit(NamedTuple):
    """A document found: its id and its score, larger is better."""

    id: str
    score: float
