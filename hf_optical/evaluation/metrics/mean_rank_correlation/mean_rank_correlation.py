"""Mean rank correlation as a metric of the ``evaluate`` library; loads offline by ``evaluate.load(<this folder>)``."""

from __future__ import annotations

import math
from typing import Any

import datasets
import evaluate
import numpy as np

from hf_optical.evaluation import bias

_DESCRIPTION = """\
Spearman correlation between the rankings that the same query gets in two languages, averaged over the queries.
In [-1, 1]; 1 means that the language of the query does not matter.
"""
_CITATION = """\
@misc{mrc2025,
  title={Language Bias in Information Retrieval: The Nature of the Beast and Mitigation Methods},
  howpublished={arXiv preprint arXiv:2509.06195},
  year={2025}
}
"""
_INPUTS = """\
Args:
    predictions: For each query in one language, the scores of all documents.
    references: For the same queries in the other language, the scores of the same documents.

Returns:
    mean_rank_correlation: The mean; None if every ranking is all ties.

Example:
    >>> metric = evaluate.load("hf_optical/evaluation/metrics/mean_rank_correlation")
    >>> metric.compute(predictions=[[3.0, 2.0, 1.0]], references=[[0.9, 0.8, 0.1]])
    {'mean_rank_correlation': 1.0}
"""


class MeanRankCorrelation(evaluate.Metric):
    """Mean Spearman correlation over queries."""

    def _info(self) -> evaluate.MetricInfo:
        scores = datasets.Sequence(datasets.Value("float64"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": scores, "references": scores}),
        )

    def _compute(self, predictions: list[list[float]], references: list[list[float]], **_: Any) -> dict[str, Any]:
        sides = {"predictions": np.array(predictions, dtype=float), "references": np.array(references, dtype=float)}
        correlation = bias.mean_rank_correlation(sides)
        return {"mean_rank_correlation": None if math.isnan(correlation) else correlation}
