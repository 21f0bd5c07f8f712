"""Detection of misaligned pairs without a neural model, by comparison with random pairs of the same file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hf_optical.doctor.lexical import Stems, content, learn
from hf_optical.doctor.mixture import Mixture, fit_separator, mixture

__all__ = ["LEAST_AUC", "LEAST_PAIRS", "Alignment", "alignment", "undecided"]

LEAST_PAIRS = 300
"""Least number of pairs to learn from."""
LEAST_AUC = 0.95
"""Least estimated AUC for single rows to be marked. Below it, three of five rows that would have been marked in Somali
news were sound; above it, nine of ten marked rows were defective."""
_LEARN_FROM = 15_000  # most pairs from which a lexicon is learnt
_SHUFFLED = 8_000  # number of random pairs
_THREADS_FROM = 2_000  # number of pairs from which two threads are used


@dataclass(frozen=True)
class Alignment:
    """Result of the lexical check.

    Attributes:
        rows: Indices of the rows that were scored, which have words on both sides, ``(n,)``.
        scores: Their scores, which are high for true pairs, ``(n,)``.
        shuffled: Scores of random pairs, ``(m,)``.
        mixture: Probability that each row is a random pair.
    """

    rows: np.ndarray
    scores: np.ndarray
    shuffled: np.ndarray
    mixture: Mixture


def alignment(
    source: Stems, translation: Stems, lengths: np.ndarray, sound: np.ndarray, *, seed: int = 0
) -> Alignment | None:
    """Score every pair by what its sides have in common, in comparison with random pairs of the same file.

    Args:
        source: Stems of the English texts.
        translation: Stems of the translations.
        lengths: Visible characters of both sides, ``(n, 2)``.
        sound: Rows to learn from and to score, bool ``(n,)``. Copies and damaged texts should be excluded.
        seed: Random seed of the folds and the random pairs.

    Returns:
        The result, or ``None`` if fewer than 300 pairs can be scored, which are too few to learn from.
    """
    rng = np.random.default_rng(seed)
    *tables, none = content(source, translation)
    usable = np.flatnonzero((tables[0][:, 0] != none) & (tables[1][:, 0] != none) & sound)
    if len(usable) < LEAST_PAIRS:
        return None
    # Each fold of the file is scored by a lexicon that is learnt from the others; half of a large file is enough.
    folds = 2 if len(usable) > _LEARN_FROM else 4
    fold = rng.integers(folds, size=len(tables[0]))
    left, right, near = _random_pairs(usable, fold, folds, rng)
    lexical = np.zeros((len(tables[0]), 2), dtype=np.float32)
    random = np.zeros((len(left), 2), dtype=np.float32)

    def judge(number: int, others: np.ndarray) -> None:
        lexicon = learn(tables[0][others], tables[1][others], none)
        mine, shuffle = usable[fold[usable] == number], np.flatnonzero(fold[left] == number)
        lexical[mine] = lexicon.score(tables[0][mine], tables[1][mine])
        random[shuffle] = lexicon.score(tables[0][left[shuffle]], tables[1][right[shuffle]])

    learnt = [rng.permutation(usable[fold[usable] != number])[:_LEARN_FROM] for number in range(folds)]
    # Threads help because NumPy releases the interpreter lock in large operations, and each fold writes its own rows.
    if len(usable) > _THREADS_FROM:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(judge, range(folds), learnt))
    else:
        for number, others in enumerate(learnt):
            judge(number, others)
    given = _features(lexical[usable], tables[0][usable], tables[1][usable], lengths[usable], none)
    mixed = np.column_stack([lengths[left, 0], lengths[right, 1]])
    shuffled = _features(random, tables[0][left], tables[1][right], mixed, none)

    sample = rng.permutation(len(usable))[:_SHUFFLED]
    centre, weights = fit_separator(given[sample], shuffled)
    scores, baseline = (given - centre) @ weights, (shuffled - centre) @ weights
    # Pairs of neighbouring rows are used to fit the weights, so that shifted files are recognised, but not as the
    # reference of random pairs.
    return Alignment(usable, scores, baseline[~near], mixture(scores, baseline[~near]))


def undecided(rows: int, auc: float, share: float) -> str:
    """Return the warning for a lexical check that is not reliable enough to mark single rows.

    Args:
        rows: Number of scored pairs.
        auc: Estimated AUC of the check.
        share: Estimated share of random pairs.
    """
    return (
        f"whether {rows:,} pairs belong together was not decided: the lexical check ranks a pair above a random one "
        f"{auc:.1%} of the time, and is trusted from {LEAST_AUC:.0%}; about {share:.1%} of the pairs share no more "
        "than random ones. Read some of the pairs."
    )


def _random_pairs(
    usable: np.ndarray, fold: np.ndarray, folds: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw wrong pairs within each fold, so that the lexicon which scores them was not learnt from either side.

    Half of them come from anywhere in the file and half from neighbouring rows, which share their topic like the rows
    of a shifted file.

    Returns:
        Row indices of the sources and of the translations, and whether they are neighbours, each ``(m,)``.
    """
    lefts, rights, nears = [], [], []
    for number in range(folds):
        mine = usable[fold[usable] == number]
        for near in (False, True):
            drawn = rng.permutation(len(mine))[: _SHUFFLED // (2 * folds)]
            others = (drawn + 1) % len(mine) if near else np.roll(drawn, 1)
            lefts.append(mine[drawn])
            rights.append(mine[others])
            nears.append(np.full(len(drawn), near))
    return np.concatenate(lefts), np.concatenate(rights), np.concatenate(nears)


def _features(
    lexical: np.ndarray, source: np.ndarray, translation: np.ndarray, lengths: np.ndarray, none: int
) -> np.ndarray:
    """Compute the features of pairs, ``(n, 8)``.

    These are the scores of both sides, the lower of the two, the share of identical stems (names and numbers), the
    deviation of the length ratio, and the size of the pair.
    """
    left, right = np.ascontiguousarray(source.T), np.ascontiguousarray(translation.T)
    sizes = [(side != none).sum(axis=0) for side in (left, right)]
    same = (left[:, None] == right).any(axis=1) & (left != none)
    names = same.sum(axis=0) / np.maximum(np.minimum(*sizes), 1)
    ratio = np.log((lengths[:, 1] + 4.0) / (lengths[:, 0] + 4.0))
    off = np.abs(ratio - np.median(ratio))
    size = np.log(np.minimum(*sizes))
    return np.column_stack(
        [lexical, lexical.min(axis=1), np.sqrt(names), off, np.minimum(off, 0.5) ** 2, lexical.sum(axis=1) * size, size]
    )
