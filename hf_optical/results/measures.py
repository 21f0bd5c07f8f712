"""Retrieval measures shown in every table, in the order of its columns."""

from __future__ import annotations

from typing import Final

MAIN_MEASURE: Final = "ndcg@10"
MEASURES: Final = (MAIN_MEASURE, "mrr@10", "recall@1", "recall@10", "map")
