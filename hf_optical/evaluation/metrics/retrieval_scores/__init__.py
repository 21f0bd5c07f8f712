"""The ``retrieval_scores`` metric."""
