"""Contrasts named beforehand: what is tested, how it is corrected, what is called equivalent."""

from __future__ import annotations

import numpy as np
import pytest

from hf_optical.comparison.collect import Collected, Item
from hf_optical.comparison.contrasts import check_contrasts, contrast_tests
from hf_optical.errors import InputError
from hf_optical.evaluation.paired_statistics import holm, paired_tests, seed_aware_p

QUERIES = [f"q{number}" for number in range(200)]


def scores(shift, noise=0.05, seeds=3, seed=0):
    generator = np.random.default_rng(seed)
    difficulty = np.random.default_rng(99).beta(2, 2, len(QUERIES))
    return difficulty + shift + generator.normal(0, noise, (seeds, len(QUERIES)))


@pytest.fixture
def found():
    systems = {"base": scores(0), "ours": scores(0.1, seed=1), "twin": scores(0, noise=0.01, seed=2)}
    systems["close"] = systems["twin"] + np.random.default_rng(3).normal(0, 0.01, systems["twin"].shape)
    other = {name: rows[:, :150] for name, rows in systems.items() if name != "twin"}
    return Collected(
        items=[
            Item("questions", "ibo_Latn", QUERIES, systems),
            Item("questions", "kin_Latn", [f"r{number}" for number in range(150)], other),
        ]
    )


def test_each_claim_is_tested_over_queries_and_seeds_and_corrected_together(found):
    claims = {"ours is better": ["ours", "base"], "base is better": ["base", "ours"]}
    better, worse = contrast_tests(found, claims, resamples=1000)
    assert (better["outcome"], worse["outcome"]) == ("ahead", "behind")
    assert better["difference"] == pytest.approx(-worse["difference"])
    assert better["n"] == 350 and better["languages"] == ["ibo_Latn", "kin_Latn"] and better["seeds"] == 3
    assert [better["p_holm"], worse["p_holm"]] == holm([better["p"], worse["p"]])
    assert better["sentence"].startswith("ours is better: ours ") and "ahead beyond chance" in better["sentence"]


def test_languages_without_both_arms_are_left_out_and_said(found):
    (entry,) = contrast_tests(found, {"twins": ["close", "twin"]}, resamples=1000)
    assert entry["languages"] == ["ibo_Latn"] and entry["n"] == 200
    item = found.items[0]
    difference = item.systems["close"].mean(0) - item.systems["twin"].mean(0)
    tests = paired_tests(difference[:, None], resamples=1000)
    assert entry["difference"] == pytest.approx(float(tests.difference[0]))
    assert entry["p"] == pytest.approx(float(tests.p[0]))
    assert entry["p_seeds"] == pytest.approx(seed_aware_p(item.systems["close"], item.systems["twin"]))


@pytest.mark.parametrize(("bound", "outcome"), [(0.01, "equivalent"), (0.0001, "undecided")])
def test_no_difference_is_said_only_where_the_interval_is_narrow(found, bound, outcome):
    (entry,) = contrast_tests(found, {"twins": ["close", "twin"]}, bound=bound, resamples=1000)
    assert entry["outcome"] == outcome


def test_luck_of_the_seeds_alone_decides_nothing():
    lucky = scores(0) + np.array([[0.0], [0.05], [0.1]])
    found = Collected(items=[Item("s", "ibo_Latn", QUERIES, {"a": lucky, "b": scores(0, seed=5)})])
    (entry,) = contrast_tests(found, {"a leads": ["a", "b"]}, resamples=1000)
    assert entry["p"] < 0.05 < entry["p_seeds"] and entry["outcome"] == "undecided"


@pytest.mark.parametrize(
    ("pair", "said"),
    [(["a", "c"], "'c' is not an arm"), (["a", "a"], "two different arms"), ("a > b", "two different arms")],
)
def test_a_contrast_of_what_is_not_there_is_refused(pair, said):
    with pytest.raises(InputError, match=said):
        check_contrasts({"claim": pair}, ["a", "b"])
