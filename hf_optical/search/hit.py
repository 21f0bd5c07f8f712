"""A document found."""

from __future__ import annotations

from typing import NamedTuple


class Hit(NamedTuple):
    """A document found: its id and its score, larger is better."""

    id: str
    score: float
