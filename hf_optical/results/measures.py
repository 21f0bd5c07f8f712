"""Retrieval measures shown in every table, in the order of its columns."""

from __future__ import annotations

from typing import Final

MAIN_MEASURE: Final = "ndcg@10"
MEASURES: Final = (MAIN_MEASURE, "mrr@10", "recall@1", "recall@10", "map")


def short_score(value: float, digits: int = 2) -> str:
    """Format a score between 0 and 1 as charts and pages show it, without the zero before the point.

    Example:
        >>> short_score(0.568), short_score(1.0), short_score(0.0), short_score(0.568, 3)
        ('.57', '1.00', '.00', '.568')
    """
    return f"{value:.{digits}f}".removeprefix("0")
