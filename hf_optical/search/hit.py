"""A document found."""

from __future__ import annotations

from typing import NamedTuple


class SyncCounts(NamedTuple):
    """What a sync did: documents that were added, changed in place, taken out, and left as they were."""

    added: int
    changed: int
    removed: int
    unchanged: int


class Hit(NamedTuple):
    """A document found: its id and its score, larger is better."""

    id: str
    score: float
