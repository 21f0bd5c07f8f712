"""What the trainings of `throughput.py` took, and how well their students retrieve, as ratios and paired tests."""

from __future__ import annotations

import itertools
import os
import platform
import statistics
import sys
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from throughput_turns import Segments

from hf_optical.adapters import LanguageAdapters
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.paired_statistics import holm, paired_tests, seed_aware_p
from hf_optical.evaluation.retrieval import evaluate_retrieval
from hf_optical.results.files import portable, versions

METRIC = "ndcg@10"
_RATES = ("learning_rate", "adapter_learning_rate", "online_learning_rate", "literal_learning_rate")
Scores = dict[int, dict[str, dict[str, dict[str, float]]]]
"""By seed, set, recipe and query."""


@dataclass
class SpeedNotes:
    """Seconds and token positions by recipe, over all seeds."""

    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wall: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    once: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    positions: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    tokens: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def add(
        self, segments: dict[str, Segments], once: dict[str, float], positions: dict[str, list[tuple[int, int]]]
    ) -> None:
        """Those of one seed; positions of a batch with padding, and without."""
        for name, found in segments.items():
            self.cpu[name] += found.cpu
            self.wall[name] += found.wall
            self.once[name] += once[name] + found.before
            self.positions[name] += [padded for padded, _ in positions[name]]
            self.tokens[name] += [real for _, real in positions[name]]

    def recipe(self, name: str, pairs: int) -> dict[str, Any]:
        """Its speed; ``pairs`` are those of a segment."""
        return {
            "pairs_per_cpu_second": _spread([pairs / seconds for seconds in self.cpu[name]]),
            "pairs_per_second": _spread([pairs / seconds for seconds in self.wall[name]]),
            "cpu_seconds": round(sum(self.cpu[name]), 2),
            "cpu_seconds_once_before": round(self.once[name], 2),
            "token_positions_per_forward": round(statistics.mean(self.positions[name]), 1),
            "positions_per_real_token": round(sum(self.positions[name]) / sum(self.tokens[name]), 3),
        }

    def ratio(self, ours: str, theirs: str) -> dict[str, Any]:
        """How many times as fast."""
        return {
            "by_segment": _spread([b / a for a, b in zip(self.cpu[ours], self.cpu[theirs], strict=True)]),
            "by_segment_wall": _spread([b / a for a, b in zip(self.wall[ours], self.wall[theirs], strict=True)]),
            "whole": round(sum(self.cpu[theirs]) / sum(self.cpu[ours]), 3),
            "first_epoch": round(
                (sum(self.cpu[theirs]) + self.once[theirs]) / (sum(self.cpu[ours]) + self.once[ours]), 3
            ),
        }


def retrieval_scores(
    students: dict[str, Any], sets: list[Any], teacher: Any, cache: DocumentCache
) -> dict[str, dict[str, dict[str, float]]]:
    """Every query's score, by set, recipe and query."""
    return {
        item.name: {
            name: {
                query: measures[METRIC] for query, measures in _measured(student.eval(), item, teacher, cache).items()
            }
            for name, student in students.items()
        }
        for item in sets
    }


def _measured(student: Any, item: Any, teacher: Any, cache: DocumentCache) -> dict[str, dict[str, float]]:
    adapters = LanguageAdapters.of(student)
    with adapters.use(item.query_language) if adapters else nullcontext():
        return evaluate_retrieval(student, item, teacher, document_cache=cache).per_query


def summary(
    settings: dict[str, Any], notes: SpeedNotes, scores: Scores, ours: tuple[str, ...], theirs: tuple[str, ...]
) -> dict[str, Any]:
    """All of it, as JSON holds it."""
    pairs = settings["steps"] * settings["batch_size"]
    names = ("repeats", "steps", "batch_size", "max_length", "seeds", "train_embeddings", *_RATES)
    retrieval = [_retrieval(name, scores, ours, theirs) for name in next(iter(scores.values()))]
    tests = [test for entry in retrieval for test in entry["tests"].values()]
    for kind in ("p", "p_with_seeds"):
        if all(test[kind] is not None for test in tests):
            for test, p in zip(tests, holm([test[kind] for test in tests]), strict=True):
                test[f"{kind}_holm"] = round(p, 5)
    return {
        "command": " ".join(portable(argument) for argument in ["benchmarks/throughput.py", *sys.argv[1:]]),
        "machine": settings["machine"] or f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "clock": "CPU time of the process, one torch thread, trainings in turns in one process",
        "threads": 1,
        **{name: settings[name] for name in names},
        "pairs": settings["repeats"] * pairs,
        "dtype": "float32",
        "dropout": 0.0,
        "data": settings["data"],
        "recipes": {name: notes.recipe(name, pairs) for name in notes.cpu},
        "speed_ratio": {a: {b: notes.ratio(a, b) for b in theirs} for a in ours},
        "retrieval": retrieval,
    }


def _retrieval(name: str, scores: Scores, ours: tuple[str, ...], theirs: tuple[str, ...]) -> dict[str, Any]:
    of_seeds = [by_set[name] for by_set in scores.values()]
    queries = list(of_seeds[0][ours[0]])
    # (seeds, queries)
    values = {
        recipe: np.array([[found[recipe][query] for query in queries] for found in of_seeds])
        for recipe in (*ours, *theirs)
    }
    tests = {
        f"{a} against {b}": _tested(values[a], values[b], len(queries)) for a, b in itertools.product(ours, theirs)
    }
    means = {recipe: [round(float(mean), 4) for mean in of.mean(1)] for recipe, of in values.items()}
    shown = {recipe: {"mean": round(float(values[recipe].mean()), 4), "seeds": means[recipe]} for recipe in values}
    return {"set": name, "n": len(queries), "metric": METRIC, "recipes": shown, "tests": tests}


def _tested(a: np.ndarray, b: np.ndarray, queries: int) -> dict[str, Any]:
    tests = paired_tests((a.mean(0) - b.mean(0))[:, None])
    return {
        "difference": round(float(tests.difference[0]), 4),
        "interval": [round(float(end), 4) for end in tests.interval[0]],
        "p": round(float(tests.p[0]), 4),
        "p_with_seeds": seed_aware_p(a, b),
        "n": queries,
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {
        name: round(value, 3)
        for name, value in (("median", statistics.median(values)), ("min", min(values)), ("max", max(values)))
    }


def table(results: dict[str, Any]) -> str:
    """To be read on a terminal."""
    lines = [f"{'':14}{'pairs per CPU second (median, min, max)':>42}{'positions':>11}"]
    for name, found in results["recipes"].items():
        speed = found["pairs_per_cpu_second"]
        spread = f"{speed['median']:.1f} ({speed['min']:.1f} to {speed['max']:.1f})"
        lines.append(f"{name:14}{spread:>42}{found['token_positions_per_forward']:11.0f}")
    for ours, against in results["speed_ratio"].items():
        for theirs, ratio in against.items():
            part = ratio["by_segment"]
            lines.append(
                f"{ours} over {theirs}: {ratio['whole']:.2f} over all segments (by segment: median "
                f"{part['median']:.2f}, {part['min']:.2f} to {part['max']:.2f}); first epoch, with cache and labels: "
                f"{ratio['first_epoch']:.2f}"
            )
    tests = sum(len(entry["tests"]) for entry in results["retrieval"])
    for entry in results["retrieval"]:
        scores = ", ".join(f"{name} {found['mean']:.3f}" for name, found in entry["recipes"].items())
        lines.append(f"{METRIC} on {entry['set']} after {results['pairs']} pairs: {scores}")
        for name, test in entry["tests"].items():
            low, high = test["interval"]
            seeds = f", with seeds {test['p_with_seeds_holm']:.2g}" if "p_with_seeds_holm" in test else ""
            lines.append(
                f"    {name}: {test['difference']:+.3f} [{low:+.3f}, {high:+.3f}], p = {test['p_holm']:.2g}{seeds} "
                f"(Holm over {tests}), {test['n']} queries"
            )
    return "\n".join(lines)
