"""Batches: samplers of rows of similar length, the hybrid policy, and the collator."""

from __future__ import annotations

from hf_optical.batching.hybrid import HybridBatchSampler
from hf_optical.batching.length_grouped import LengthGroupedBatchSampler
from hf_optical.batching.policy import HybridPolicy
from hf_optical.batching.token_lengths import TokenLengths

__all__ = ["HybridBatchSampler", "HybridPolicy", "LengthGroupedBatchSampler", "TokenLengths"]
