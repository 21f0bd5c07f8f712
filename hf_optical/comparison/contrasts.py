"""Contrasts named before the runs: one difference between two arms per claim, tested over queries and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hf_optical.comparison.collect import Collected, Item
from hf_optical.comparison.summary import scores_over_languages
from hf_optical.comparison.verdicts import number, p_equals
from hf_optical.errors import InputError
from hf_optical.evaluation.paired_statistics import ALPHA, holm, paired_tests, seed_aware_p
from hf_optical.evaluation.tasks import row_name


def check_contrasts(contrasts: Mapping[str, Any], arms: Sequence[str]) -> None:
    """Check that every contrast names two different arms.

    Args:
        contrasts: By claim: the arm that should score higher, and the arm that it is compared with.
        arms: Names of the arms.

    Raises:
        InputError: A contrast is not a pair of arms, or one of its arms does not exist.
    """
    for claim, pair in contrasts.items():
        if not isinstance(pair, list) or len(pair) != 2 or pair[0] == pair[1]:
            raise InputError(f"is {pair!r}", "write two different arms: [ours, theirs]", field=f"contrasts.{claim}")
        for arm in pair:
            if arm not in arms:
                remedy = f"name two of the arms: {', '.join(arms)}"
                raise InputError(f"{arm!r} is not an arm", remedy, field=f"contrasts.{claim}")


def contrast_tests(
    found: Collected, contrasts: Mapping[str, Sequence[str]], *, bound: float = 0.01, resamples: int = 10_000
) -> list[dict[str, Any]]:
    """Test every contrast on every set, over the languages that have both arms.

    Each language has the same weight, and a query that several languages share is one cluster. The p-values are those
    of the randomisation test over queries and of the test that treats seeds as a random sample too; both are corrected
    by Holm's method over the contrasts of a set. Two arms are called equivalent if the 90 % interval of their
    difference lies within ± ``bound``, which is the two one-sided tests procedure at 5 % (Schuirmann, 1987).

    Args:
        found: Results of the comparison.
        contrasts: By claim: the arm that should score higher, and the arm that it is compared with.
        bound: Largest difference that counts as equivalent.
        resamples: Number of resamples of tests and intervals.

    Returns:
        Entries with ``claim``, ``set``, ``arms``, ``languages``, ``n``, ``seeds``, ``difference``, ``interval`` (95 %),
        ``p``, ``p_holm``, ``p_seeds``, ``p_seeds_holm``, ``outcome`` (``ahead``, ``behind``, ``equivalent``,
        ``undecided``) and ``sentence``.
    """
    entries: list[dict[str, Any]] = []
    for name in dict.fromkeys(item.set for item in found.items):
        items = [item for item in found.items if item.set == name]
        of_set = [
            entry for claim, pair in contrasts.items() if (entry := _tested(claim, pair, items, bound, resamples))
        ]
        _correct(of_set, "p", "p_holm")
        _correct(of_set, "p_seeds", "p_seeds_holm")
        for entry in of_set:
            entry["outcome"] = _outcome(entry)
            entry["sentence"] = _sentence(entry, bound)
        entries += of_set
    return entries


def _tested(
    claim: str, pair: Sequence[str], items: Sequence[Item], bound: float, resamples: int
) -> dict[str, Any] | None:
    arm, base = pair
    items = [item for item in items if arm in item.systems and base in item.systems]
    if not items:
        return None
    scores = scores_over_languages(items, [arm, base])
    difference = scores[arm].mean(axis=0) - scores[base].mean(axis=0)
    tests = paired_tests(difference[:, None], resamples=resamples)
    low, high = paired_tests(difference[:, None], confidence=0.9, resamples=resamples).interval[0].tolist()
    return {
        "claim": claim,
        "set": items[0].set,
        "arms": [arm, base],
        "languages": [item.language for item in items],
        "n": len(difference),
        "seeds": min(len(scores[arm]), len(scores[base])),
        "means": [float(scores[arm].mean()), float(scores[base].mean())],
        "difference": float(tests.difference[0]),
        "interval": tests.interval[0].tolist(),
        "equivalent": bool(-bound < low and high < bound),
        "p": float(tests.p[0]),
        "p_seeds": seed_aware_p(scores[arm], scores[base]),
    }


def _correct(entries: Sequence[dict[str, Any]], name: str, corrected: str) -> None:
    known = [entry for entry in entries if entry[name] is not None]
    for entry in entries:
        entry[corrected] = None
    for entry, value in zip(known, holm([entry[name] for entry in known]) if known else [], strict=True):
        entry[corrected] = value


def _outcome(entry: Mapping[str, Any]) -> str:
    over_seeds = entry["p_seeds_holm"]
    if entry["p_holm"] < ALPHA and (over_seeds is None or over_seeds < ALPHA):
        return "ahead" if entry["difference"] > 0 else "behind"
    return "equivalent" if entry["equivalent"] else "undecided"


def _sentence(entry: Mapping[str, Any], bound: float) -> str:
    arm, base = entry["arms"]
    low, high = entry["interval"]
    said = {
        "ahead": "ahead beyond chance",
        "behind": "behind beyond chance",
        "equivalent": f"equivalent within ± {number(bound)}",
        "undecided": "not decided",
    }[entry["outcome"]]
    over_seeds = (
        ""
        if entry["p_seeds_holm"] is None
        else f", p {p_equals(entry['p_seeds_holm'])} with seeds treated as a random sample"
    )
    seeds = f"{entry['seeds']} seed{'s' * (entry['seeds'] > 1)}"
    languages = ", ".join(row_name(language) for language in entry["languages"])
    return (
        f"{entry['claim']}: {arm} {number(entry['means'][0])}, {base} {number(entry['means'][1])}, difference "
        f"{number(entry['difference'], sign=True)} [{number(low, sign=True)}, {number(high, sign=True)}], "
        f"p {p_equals(entry['p_holm'])} over queries{over_seeds} ({entry['n']} queries, {seeds}; {languages}): {said}."
    )
