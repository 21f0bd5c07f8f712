"""Results of searches and syncs of an index."""

from __future__ import annotations

from typing import NamedTuple


class SyncCounts(NamedTuple):
    """Counts of a sync: documents added, changed, removed and unchanged."""

    added: int
    changed: int
    removed: int
    unchanged: int


class Hit(NamedTuple):
    """Document found by a search: its id and its score, of which larger is better."""

    id: str
    score: float
