"""Rank distance as a metric of the ``evaluate`` library; loads offline with ``evaluate.load(<this folder>)``."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np

from hf_optical.evaluation import bias

_DESCRIPTION = """\
How far apart the parallel relevant passages of a query lie in the ranking of a corpus pooled from several languages:
the largest minus the smallest rank, averaged over the queries. Lower is better; 0 means no language is favoured.
"""
_CITATION = """\
@article{elmahdy2024synergistic,
  title={Synergistic Approach for Simultaneous Optimization of Monolingual, Cross-lingual, and Multilingual \
Information Retrieval},
  author={Elmahdy, Adel and Lin, Sheng-Chieh and Ahmad, Amin},
  journal={arXiv preprint arXiv:2408.10536},
  year={2024}
}
"""
_INPUTS = """\
Args:
    predictions: For each query, the scores of all documents of the pooled corpus.
    references: For each query, the indices of its parallel relevant documents; queries without any are left out.

Returns:
    rank_distance: The mean; None if no query has a relevant document.

Example:
    >>> metric = evaluate.load("hf_optical/evaluation/metrics/rank_distance")
    >>> metric.compute(predictions=[[0.9, 0.5, 0.1]], references=[[0, 2]])
    {'rank_distance': 2.0}
"""


class RankDistance(evaluate.Metric):
    """Mean rank distance over queries."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("float64")),
                    "references": datasets.Sequence(datasets.Value("int64")),
                }
            ),
        )

    def _compute(self, predictions: list[list[float]], references: list[list[int]], **_: Any) -> dict[str, Any]:
        scores = np.array(predictions, dtype=float)
        relevant = np.zeros(scores.shape, dtype=bool)
        for row, found in enumerate(references):
            relevant[row, list(found)] = True
        distances = bias.rank_distance(scores, relevant)
        known = distances[~np.isnan(distances)]
        return {"rank_distance": float(known.mean()) if len(known) else None}
