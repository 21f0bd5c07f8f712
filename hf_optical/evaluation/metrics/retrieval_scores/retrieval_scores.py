"""Retrieval measures as a metric of the ``evaluate`` library; loads offline with ``evaluate.load(<this folder>)``."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from hf_optical.evaluation import scoring

_DESCRIPTION = """\
nDCG@10, MRR@10, recall, MAP and MRR by trec_eval. A query with no result counts as zero.
Ties are broken by document id, the last in string order first.
"""
_CITATION = """\
@inproceedings{vangysel2018pytreceval,
  title={Pytrec\\_eval: An Extremely Fast Python Interface to trec\\_eval},
  author={Van Gysel, Christophe and de Rijke, Maarten},
  booktitle={SIGIR},
  year={2018}
}
"""
_INPUTS = """\
Args:
    predictions: For each query, {"documents": ids of the documents retrieved, "scores": their scores}.
    references: For each query, {"documents": ids of judged documents, "relevance": their integer relevance}.
    cutoffs: Depths of recall; 1, 10 and 100 by default.

Returns:
    The mean of each measure over the queries.

Example:
    >>> metric = evaluate.load("hf_optical/evaluation/metrics/retrieval_scores")
    >>> scores = metric.compute(
    ...     predictions=[{"documents": ["a", "b"], "scores": [2.0, 1.0]}],
    ...     references=[{"documents": ["b"], "relevance": [1]}],
    ... )
    >>> scores["mrr@10"]
    0.5
"""


class RetrievalScores(evaluate.Metric):
    """Mean retrieval measures over queries."""

    def _info(self) -> evaluate.MetricInfo:
        documents = datasets.Sequence(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(
                {
                    "predictions": {"documents": documents, "scores": datasets.Sequence(datasets.Value("float64"))},
                    "references": {"documents": documents, "relevance": datasets.Sequence(datasets.Value("int64"))},
                }
            ),
        )

    def _compute(
        self,
        predictions: list[dict[str, list[Any]]],
        references: list[dict[str, list[Any]]],
        cutoffs: tuple[int, ...] = (1, 10, 100),
    ) -> dict[str, float]:
        run = {
            str(row): dict(zip(item["documents"], item["scores"], strict=True)) for row, item in enumerate(predictions)
        }
        qrels = {
            str(row): dict(zip(item["documents"], item["relevance"], strict=True))
            for row, item in enumerate(references)
        }
        return scoring.mean_scores(scoring.score_run(run, qrels, cutoffs))
