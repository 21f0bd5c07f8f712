"""Sentences on a comparison: which system is ahead, by how much, with which certainty, and what shows no difference."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hf_optical.comparison.summary import ALL
from hf_optical.evaluation.paired_statistics import ALPHA
from hf_optical.evaluation.tasks import row_name
from hf_optical.results.table_rows import BM25, CEILING, LABELS, OFF_THE_SHELF, RAW, TRANSLATE, current_name

_METRICS = {"ndcg": "nDCG", "mrr": "MRR", "map": "MAP", "recall": "Recall"}


def display(system: str) -> str:
    """Return the readable name of an arm or reference.

    Example:
        >>> display("raw"), display("initialized extend"), display("ot+nce")
        ('teacher, raw query', 'untrained student, rows from the bitext (extend)', 'ot+nce')
    """
    name, _, rest = current_name(system).partition(" ")
    shown = LABELS.get(name)
    if shown is None:
        return system
    rest = rest.strip()
    return shown if not rest else f"{shown} {rest}" if rest.startswith("(") else f"{shown} ({rest})"


def metric_name(metric: str) -> str:
    """Return the usual spelling of a measure.

    Example:
        >>> metric_name("ndcg@10"), metric_name("map")
        ('nDCG@10', 'MAP')
    """
    name, at, depth = metric.partition("@")
    return f"{_METRICS.get(name, name)}{at}{depth}"


def place_name(entry: Mapping[str, Any]) -> str:
    """Name set and language of an entry."""
    if entry["language"] == ALL:
        return f"{entry['set']}, mean of {len(entry['languages'])} languages"
    return f"{entry['set']}, {row_name(entry['language'])}"


def number(value: float | None, *, sign: bool = False) -> str:
    """Format a score, or a difference of scores, without the leading zero.

    Example:
        >>> number(0.3149), number(-0.02, sign=True), number(None)
        ('.315', '−.020', '–')
    """
    if value is None:
        return "–"
    text = re.sub(r"^([+-]?)0\.", r"\1.", f"{value:+.3f}" if sign else f"{value:.3f}")
    return text.replace("-", "−")


def p_value(p: float | None) -> str:
    """Format a p-value.

    Example:
        >>> p_value(0.00001), p_value(0.0312), p_value(0.4), p_value(None)
        ('< .001', '.031', '.40', '–')
    """
    if p is None:
        return "–"
    return "< .001" if p < 0.001 else f"{p:.3f}"[1:] if p < 0.1 else f"{p:.2f}".lstrip("0")


def p_equals(p: float) -> str:
    """Format a p-value with its relation sign, for sentences.

    Example:
        >>> p_equals(0.0001), p_equals(0.02)
        ('< .001', '= .020')
    """
    return p_value(p) if p < 0.001 else f"= {p_value(p)}"


def main_entries(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Select for each set the entry over all its languages, or that of its only language."""
    sets = list(dict.fromkeys(entry["set"] for entry in entries))
    return [next(entry for entry in reversed(entries) if entry["set"] == name) for name in sets]


def sentences(
    entries: Sequence[Mapping[str, Any]], baseline: str, metric: str, starts: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Write the findings of a comparison, set by set.

    Args:
        entries: From :func:`~hf_optical.comparison.summary.summarise`.
        baseline: The arm with which the others are compared.
        metric: The measure.
        starts: For each arm the untrained student that it started from.

    Returns:
        For each set ``place`` and ``sentences``.
    """
    found = []
    for entry in main_entries(entries):
        if not entry["arms"]:
            continue
        best = max(entry["arms"], key=lambda arm: entry["arms"][arm]["mean"])
        said = [_headline(entry, best, baseline, metric), _others(entry, best)]
        said += [_losers(entry, baseline), _training(entry, starts), _today(entry, best, metric)]
        found.append({"place": place_name(entry), "sentences": [text for text in said if text]})
    return found


def _headline(entry: Mapping[str, Any], best: str, baseline: str, metric: str) -> str:
    arm = entry["arms"][best]
    score = f"{number(arm['mean'])}" + (f" ± {number(arm['sd'])}" if arm["sd"] is not None else "")
    start = f"{best} has the highest {metric_name(metric)}, {score}"
    if baseline not in entry["arms"]:
        return f"{start}; the baseline {baseline} has no result here."
    if best == baseline:
        return f"{start}. It is the baseline: no other arm is ahead of it."
    test = arm["tests"][baseline]
    low, high = test["interval"]
    text = f"{start}, against {number(entry['arms'][baseline]['mean'])} of the baseline, {baseline}: "
    text += f"{number(test['difference'], sign=True)}"
    text += f" (× {test['ratio']:.2f})" if test["ratio"] else ""
    text += f", 95 % interval {number(low, sign=True)} to {number(high, sign=True)}. "
    sure = test["p_holm_all"] < ALPHA
    text += "This is beyond chance" if sure else "This may be chance"
    text += f": p {p_equals(test['p_holm_all'])} over queries, corrected for all arms"
    text += " and languages" if len(entry["languages"]) == 1 else ""
    if test["p_seeds"] is not None:
        text += f"; p {p_equals(test['p_seeds'])} with seeds treated as a random sample"
        text += f", ahead in {test['seeds_ahead']} of {test['seeds']} seeds"
    return f"{text}.{_by_language(test, entry)}"


def _by_language(test: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    if "ahead_in" not in test:
        return ""
    text = f" By language it is ahead in {len(test['ahead_in'])} of {len(entry['languages'])}"
    sure = [row_name(code) for code in test["significant_in"]]
    text += f", beyond chance in {len(sure)}" + (f" ({', '.join(sure)})" if sure else "")
    worse = [row_name(code) for code in test["behind_in"]]
    return text + (f", behind beyond chance in {', '.join(worse)}." if worse else ".")


def _others(entry: Mapping[str, Any], best: str) -> str:
    tests = {arm: entry["arms"][best]["tests"][arm] for arm in entry["arms"] if arm != best}
    level = [arm for arm, test in tests.items() if test["p_holm_all"] >= ALPHA]
    if not tests:
        return ""
    if not level:
        return f"Every other arm is behind {best} beyond chance."
    return f"These queries show no difference between {best} and {', '.join(level)}."


def _losers(entry: Mapping[str, Any], baseline: str) -> str:
    worse = []
    for arm, found in entry["arms"].items():
        test = found["tests"].get(baseline)
        if test and test["difference"] < 0 and test["p_holm_all"] < ALPHA:
            worse.append(f"{arm} ({number(test['difference'], sign=True)})")
    return f"Worse than the baseline beyond chance: {', '.join(worse)}." if worse else ""


def _training(entry: Mapping[str, Any], starts: Mapping[str, str]) -> str:
    idle = []
    for arm, found in entry["arms"].items():
        test = found["tests"].get(starts.get(arm, ""))
        if test and not (test["difference"] > 0 and test["p_holm_all"] < ALPHA):
            idle.append(f"{arm} ({number(test['difference'], sign=True)})")
    if not idle:
        return ""
    return f"Not better, beyond chance, than the student before training: {', '.join(idle)}."


def _today(entry: Mapping[str, Any], best: str, metric: str) -> str:
    references, score = entry["references"], entry["arms"][best]["mean"]
    free = [name for name in (RAW, BM25, TRANSLATE, OFF_THE_SHELF) if name in references]
    known = [f"{display(name)} {number(references[name])}" for name in free]
    if not known:
        return ""
    text = f"Without training: {', '.join(known)}"
    if CEILING in references:
        text += f"; {display('ceiling')} (the ceiling) {number(references[CEILING])}"
        gap = references[CEILING] - references.get(RAW, references[CEILING])
        if gap > 0:
            share = 100 * (score - references[RAW]) / gap
            text += f". Of the gap between the raw query and the ceiling {best} closes {share:.0f} %"
    if TRANSLATE in references:
        test = entry["arms"][best]["tests"][TRANSLATE]
        sure = "beyond chance" if test["p_holm_all"] < ALPHA else "perhaps by chance"
        text += f". {best} is {number(test['difference'], sign=True)} from translate-test, {sure}"
    return f"{text}."
