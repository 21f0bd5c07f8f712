"""The ``mean_rank_correlation`` metric."""
