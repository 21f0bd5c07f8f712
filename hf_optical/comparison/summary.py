"""Summary of a comparison: means, spread over seeds, intervals, paired tests between all systems."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hf_optical.comparison.collect import Collected, Item
from hf_optical.evaluation.paired_statistics import ALPHA, clustered, holm, paired_tests, seed_aware_p

ALL = "all languages"


def summarise(found: Collected, *, resamples: int = 10_000) -> list[dict[str, Any]]:
    """Summarise each retrieval set and language, and each set over its languages, in one entry.

    Args:
        found: Result of :func:`~hf_optical.comparison.collect.collect`.
        resamples: Number of resamples of the bootstrap and the randomisation tests.

    Returns:
        Entries with ``set``, ``language`` (or ``"all languages"``), ``languages``, ``n``, ``references``,
        ``reference_intervals`` and ``arms``. Of each arm: ``mean`` and ``sd`` over seeds, ``values`` by seed, the
        bootstrap ``interval`` over queries, and ``tests`` against every other arm and reference, on scores averaged
        over the seeds:

        - ``difference``, ``interval`` (bootstrap over queries), ``ratio`` of the means, ``effect_size``;
        - ``p`` of the paired randomisation test; ``p_holm``, corrected over the languages of the set (in an entry over
          languages: over the arms); ``p_holm_all``, over languages and arms;
        - ``p_seeds`` with seeds treated as a random sample too, ``p_seeds_holm`` corrected like ``p_holm``;
          ``seeds_ahead``, the number of seeds in which the arm is ahead.

        Over languages, which must have an arm or a reference in common, each has the same weight, and a query that
        several languages share counts as one cluster; ``ahead_in``, ``significant_in`` (ahead, p_holm < .05) and
        ``behind_in`` (behind, p_holm < .05) name the languages.
    """
    entries = [_entry(item.set, item.language, [item], found.arms, resamples) for item in found.items]
    _correct(entries, lambda entry, arm, other: (entry["set"], arm, other), "p_holm", "p_seeds_holm")
    _correct(entries, lambda entry, arm, other: (entry["set"], other), "p_holm_all")
    overall = []
    for name in dict.fromkeys(item.set for item in found.items):
        items = [item for item in found.items if item.set == name]
        if len(items) > 1 and set.intersection(*(set(item.systems) for item in items)):
            entry = _entry(name, ALL, items, found.arms, resamples)
            _count_languages(entry, [one for one in entries if one["set"] == name])
            overall.append(entry)
    _correct(overall, lambda entry, arm, other: (entry["set"], other), "p_holm", "p_seeds_holm")
    _correct(overall, lambda entry, arm, other: (entry["set"], other), "p_holm_all")
    return entries + overall


def _entry(name: str, language: str, items: Sequence[Item], arms: Iterable[str], resamples: int) -> dict[str, Any]:
    # Over languages, only systems that every language has.
    shared = [system for system in items[0].systems if all(system in item.systems for item in items)]
    scores = scores_over_languages(items, shared) if len(items) > 1 else items[0].systems
    present = [arm for arm in arms if arm in scores]
    references = [system for system in shared if system not in present]
    pairs = [(arm, other) for arm in present for other in (*references, *present) if other != arm]
    averaged = {system: rows.mean(axis=0) for system, rows in scores.items()}
    columns = [averaged[arm] - averaged[other] for arm, other in pairs] + [averaged[system] for system in scores]
    tests = paired_tests(np.stack(columns, axis=1), resamples=resamples)
    intervals = dict(zip(scores, tests.interval[len(pairs) :].tolist(), strict=True))
    entry: dict[str, Any] = {
        "set": name,
        "language": language,
        "languages": [item.language for item in items],
        "n": len(next(iter(scores.values()))[0]),
        "references": {system: float(averaged[system].mean()) for system in references},
        "reference_intervals": {system: intervals[system] for system in references},
        "arms": {arm: {**_of_seeds(scores[arm]), "interval": intervals[arm], "tests": {}} for arm in present},
    }
    for column, (arm, other) in enumerate(pairs):
        means = averaged[arm].mean(), averaged[other].mean()
        effect = tests.effect_size[column]
        entry["arms"][arm]["tests"][other] = {
            "difference": float(tests.difference[column]),
            "interval": tests.interval[column].tolist(),
            "ratio": float(means[0] / means[1]) if means[1] > 0 else None,
            "effect_size": float(effect) if np.isfinite(effect) else None,
            "p": float(tests.p[column]),
            "p_seeds": seed_aware_p(scores[arm], scores[other]),
            **_seeds_ahead(scores[arm], scores[other]),
        }
    return entry


def scores_over_languages(items: Sequence[Item], systems: Sequence[str]) -> dict[str, np.ndarray]:
    """Combine scores of systems over several languages in one table with equal weight for each language.

    Args:
        items: Scores by language, all with these systems.
        systems: Arms or references.

    Returns:
        Scores by system, (seeds, clusters); a query that several languages share is one cluster.
    """
    scores = {}
    for system in systems:
        seeds = min(len(item.systems[system]) for item in items)
        by_language = [dict(zip(item.queries, item.systems[system][:seeds].T, strict=True)) for item in items]
        scores[system] = clustered(by_language)[1].T
    return scores


def _of_seeds(rows: np.ndarray) -> dict[str, Any]:
    values = rows.mean(axis=1)
    return {
        "mean": float(values.mean()),
        "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
        "values": values.tolist(),
        "seeds": len(values),
    }


def _seeds_ahead(a: np.ndarray, b: np.ndarray) -> dict[str, int]:
    seeds = len(a) if 1 in (len(a), len(b)) else min(len(a), len(b))
    return {"seeds_ahead": int((a[:seeds].mean(axis=1) > b[:seeds].mean(axis=1)).sum()), "seeds": seeds}


def _correct(entries: Sequence[dict[str, Any]], family: Any, name: str, seeds_name: str | None = None) -> None:
    """Apply Holm's correction within each family of tests, in place."""
    families: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        for arm, found in entry["arms"].items():
            for other, test in found["tests"].items():
                families[family(entry, arm, other)].append(test)
    for tests in families.values():
        for test, corrected in zip(tests, holm([test["p"] for test in tests]), strict=True):
            test[name] = corrected
        known = [test for test in tests if test["p_seeds"] is not None]
        if seeds_name:
            for test in tests:
                test[seeds_name] = None
            for test, corrected in zip(known, holm([test["p_seeds"] for test in known]), strict=True):
                test[seeds_name] = corrected


def _count_languages(entry: dict[str, Any], by_language: Sequence[dict[str, Any]]) -> None:
    for arm, found in entry["arms"].items():
        for other, test in found["tests"].items():
            tests = {one["language"]: one["arms"][arm]["tests"][other] for one in by_language}
            test["ahead_in"] = [name for name, one in tests.items() if one["difference"] > 0]
            test["significant_in"] = [name for name in test["ahead_in"] if tests[name]["p_holm"] < ALPHA]
            test["behind_in"] = [name for name, one in tests.items() if one["difference"] < 0 and one["p_holm"] < ALPHA]
