"""Records of scores: the intervals are those of the seed that the run was given."""

from __future__ import annotations

import numpy as np

from hf_optical.evaluation.paired_statistics import bootstrap_interval
from hf_optical.evaluation.report import evaluation_entry
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.results.measures import MEASURES


def test_intervals_follow_the_seed():
    values = np.random.default_rng(0).random(40)
    per_query = {f"q{i}": dict.fromkeys(MEASURES, float(value)) for i, value in enumerate(values)}
    scores = RetrievalScores("news", "swh_Latn", 40, dict.fromkeys(MEASURES, float(values.mean())), per_query)
    found = [evaluation_entry(scores, "eng_Latn", seed=seed).intervals["ndcg@10"] for seed in (3, 3, 4)]
    assert found[0] == found[1] != found[2]
    assert found[0] == list(bootstrap_interval(values, resamples=2_000, seed=3))
    default = evaluation_entry(scores, "eng_Latn").intervals["ndcg@10"]
    assert default == list(bootstrap_interval(values, resamples=2_000, seed=0))
