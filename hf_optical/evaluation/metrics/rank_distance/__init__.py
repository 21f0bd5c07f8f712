"""The ``rank_distance`` metric."""
