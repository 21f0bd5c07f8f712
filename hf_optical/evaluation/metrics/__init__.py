"""Modules for `evaluate.load`: each folder is one metric."""

__all__ = [
    "mean_rank_correlation",
    "rank_distance",
    "retrieval_scores",
]
