"""Choice of a linear map into the teacher's space by pairs, and documents of an index, that are held out of the fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hf_optical.errors import InputError
from hf_optical.students.index_sample import said
from hf_optical.students.map_ranking import ranked_maps
from hf_optical.students.own_search import (
    FEWEST_DOCUMENTS,
    different_documents,
    held_out_documents,
    held_out_rows,
    score_of_own,
)
from hf_optical.students.readings import Reading, token_blocks
from hf_optical.students.space_map import LinearMap, Moments, alternate, joined, procrustes, ridge
from hf_optical.transport import Sinkhorn

PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Penalties of the ridge that are tried, in units of the sources' mean variance."""
FEWEST_PAIRS = 20
"""Least number of pairs on which a map is fitted."""
_INDEX_SHARES = (0.25, 0.5, 0.75)  # shares of the mass that are tried for the index's documents
_TOKEN_SHARES = (0.5, 0.8)  # shares of the mass that are tried for tokens
_MOST_TOKEN_SENTENCES = 1_000  # sentences whose tokens are used
_SOLVER = Sinkhorn(iterations=50)


Documents = tuple[Tensor, Tensor]
"""Documents of an index as encoded by the student, ``(n, d)``, and their vectors, ``(n, e)``."""
Judgement = tuple[float, float, float | None]
"""The last three numbers of a `MapScore` before ``steps``: fit, nDCG@10 of translations, nDCG@10 of documents."""


@dataclass(frozen=True)
class MapScore:
    """Settings of a fit with its scores on what was held out.

    Attributes:
        kind: ``ridge`` or ``procrustes``, or either with tokens: ``ridge+tokens``, ``procrustes+tokens``; or any of
            these refined by ranking: ``ridge+rank``.
        penalty: Penalty of the ridge; 0 for Procrustes.
        offset: ``joint`` for one mean of both languages, ``own`` for the mean of the translations.
        index: Share of the mass of the index's documents; 0 if they are not used.
        tokens: Share of the mass of tokens; 0 if they are not used.
        fit: Mean log-probability of the right English sentence for held-out translations, among the English of all
            pairs, with cosines divided by a temperature. The choice is made by it, because it distinguishes maps even
            if all translations are found in the first place. With an index it is the mean of this and of the mean
            log-probability with which held-out documents find their own vectors among those of all documents.
        ndcg: nDCG@10 of the translations' search, for reports. In a fit on an index alone, fit and nDCG are those of
            the documents until the offset is decided.
        documents: nDCG@10 of the held-out documents' search beside pairs; ``None`` without an index, or with one of
            fewer than 50 different documents.
        steps: Steps of the refinement by ranking; 0 for a map in closed form.
    """

    kind: str
    penalty: float
    offset: str
    index: float
    tokens: float
    fit: float
    ndcg: float
    documents: float | None = None
    steps: int = 0

    def said(self) -> str:
        """Return nDCG@10 of translations, and of documents after a slash."""
        return f"{self.ndcg:.3f}" + ("" if self.documents is None else f"/{self.documents:.3f}")


@dataclass(frozen=True)
class MapReport:
    """Report on the choice of a map.

    Attributes:
        chosen: Settings that were best on what was held out.
        scores: All settings that were tried.
        pairs: Number of sentence pairs, including held-out ones.
        held_out: Number of held-out pairs.
        index_rows: Number of rows of the index on which the map was fitted too.
        seconds: Duration of the fits, without encoding.
        index_total: Number of rows of the index, of which ``index_rows`` were drawn.
    """

    chosen: MapScore
    scores: list[MapScore]
    pairs: int
    held_out: int
    index_rows: int
    seconds: float
    index_total: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of ``results.json``."""
        return asdict(self)

    def best(self, kind: str) -> MapScore | None:
        """Return the best score of a kind, or ``None`` if the kind was not tried."""
        return max((score for score in self.scores if score.kind == kind), key=lambda score: score.fit, default=None)

    def sentence(self) -> str:
        """Describe the choice in a sentence."""
        kinds = dict.fromkeys(score.kind for score in self.scores)
        parts = [f"{kind} {best.said()}" for kind in kinds if (best := self.best(kind)) is not None]
        share = f", share of the index {self.chosen.index:g}" if self.index_rows and self.pairs else ""
        index = f" and {said(self.index_rows, self.index_total)}" if self.index_rows else ""
        return (
            f"Map into the teacher's space, fitted on {self.pairs:,} pairs{index} in {self.seconds:.1f} s; nDCG@10 of "
            f"{self.held_out} held-out pairs{' / of held-out documents' if self.chosen.documents is not None else ''}: "
            f"{', '.join(parts)}; chosen: {self.chosen.kind}{share}"
        )


def choose_map(
    translations: Reading,
    english: Reading,
    target: Reading,
    finish: Callable[[Tensor], Tensor],
    sources: Sequence[str],
    *,
    index: Documents | None = None,
    refine: bool = True,
    seed: int = 0,
) -> tuple[LinearMap, MapReport]:
    """Fit maps with several settings, choose the best on what is held out, and fit it again on all data.

    Sentences of both languages are mapped to the teacher's vector of the English sentence, by ridge regression and by
    Procrustes. With an index, its documents are mapped to their own vectors, with several shares, and some are held out
    too, because pairs of another kind of text than the index would have no use for it. The best of each is tried with
    tokens too: the student's tokens of the English sentence are paired with
    the teacher's tokens of it by the transport plan between them. Tokens of translations are not used, because their
    plans are too uncertain before training, and they made every map worse. The best of all is refined by ranking
    (:func:`~hf_optical.students.map_ranking.ranked_maps`).

    Args:
        translations: Translations as encoded by the student.
        english: English sentences of the same pairs as encoded by the student, with or without tokens.
        target: English sentences as encoded by the teacher, pooled before any head, with or without tokens.
        finish: The teacher's modules after its pooling, from ``(n, e)`` to its sentence vectors.
        sources: English texts; pairs with equal English are held out together.
        index: The index's documents as encoded by the student, ``(n, d)``, and their vectors, ``(n, e)``.
        refine: Whether to refine the best map by ranking too, on sentence vectors.
        seed: Random seed of the held-out pairs.

    Returns:
        The map from the student's tokens to the teacher's, for targets of length 1, and a report on its choice.

    Raises:
        InputError: There are fewer than 20 pairs, or all have the same English.
    """
    import time

    started = time.monotonic()
    if len(sources) < FEWEST_PAIRS:
        raise InputError(
            f"a map into the teacher's space is fitted on sentence pairs, and there are {len(sources)}",
            f"give {FEWEST_PAIRS} or more; some hundreds are enough for a usable map",
            field="bitext",
        )
    held, fitted = held_out_rows(sources, seed)
    with torch.no_grad():
        bank = functional.normalize(finish(target.pooled), dim=-1)
    length = float(target.pooled.norm(dim=1).mean())

    def finished(mapped: Tensor) -> Tensor:
        """Apply the later modules to outputs of a map, at the length that they will have in the student."""
        return finish(length * mapped)

    judged, kept = _split_documents(index)
    language = translations.pooled[fitted].mean(0) - english.pooled[fitted].mean(0)

    @torch.no_grad()
    def score(found: LinearMap, offset: str) -> Judgement:
        def unit(rows: Tensor) -> Tensor:
            return functional.normalize(finished(found(rows).float()), dim=-1)

        fit, ndcg = score_of_own(unit(translations.pooled[held]), bank, torch.tensor(held))
        if index is None or not len(judged):
            return fit, ndcg, None
        rows = index[0][judged]
        if offset == "own":  # such a map is for texts of the language; documents are English
            rows = rows + language
        own, found_own = score_of_own(unit(rows), functional.normalize(index[1].float(), dim=-1), judged)
        # Queries are translations, and what they look for are documents: neither alone says how well a search goes.
        return (fit + own) / 2, ndcg, found_own

    target = target.unit()
    moments = Moments.of(*kept) if kept is not None else None
    parts = _Parts.of(translations.select(fitted), english.select(fitted), target.select(fitted), moments)
    scores = _closed_forms(parts, score)
    closed = max(scores, key=lambda one: one.fit)

    def refined(start: LinearMap, rows: Sequence[int], documents: Documents | None) -> dict[int, LinearMap]:
        sides = translations.pooled[list(rows)], english.pooled[list(rows)]
        sources, targets, weights = _ranked(sides, bank[list(rows)], documents if closed.index else None, closed)
        return ranked_maps(start, sources, targets, finished, weights=weights, seed=seed)

    if refine:
        maps = refined(parts.fit_as(closed), fitted, kept)
        scores += refined_scores(closed, maps, partial(score, offset=closed.offset))
    chosen = max(scores, key=lambda one: one.fit)
    whole = Moments.of(*index) if index is not None else None
    final = _Parts.of(translations, english, target, whole).fit_as(closed)
    if chosen.steps:
        final = refined(final, range(len(sources)), index)[chosen.steps]
    count = len(index[0]) if index is not None else 0
    return final, MapReport(chosen, scores, len(sources), len(held), count, time.monotonic() - started, count)


def refined_scores(
    closed: MapScore, maps: Mapping[int, LinearMap], score: Callable[[LinearMap], Judgement]
) -> list[MapScore]:
    """Score maps refined by ranking, given by number of steps, that start from the map with the score ``closed``."""
    found = {steps: score(one) for steps, one in maps.items()}
    return [
        replace(closed, kind=f"{closed.kind}+rank", fit=fit, ndcg=ndcg, documents=documents, steps=steps)
        for steps, (fit, ndcg, documents) in found.items()
    ]


def _split_documents(index: Documents | None) -> tuple[Tensor, Documents | None]:
    """Hold documents out of the fits by which maps are chosen.

    Returns:
        Rows of the held-out documents, none if there are too few different ones, and the other documents.
    """
    if index is None:
        return torch.empty(0, dtype=torch.long), None
    if different_documents(index[1]) < FEWEST_DOCUMENTS:
        return torch.empty(0, dtype=torch.long), index
    held, kept = held_out_documents(index[1])
    return held, (index[0][kept], index[1][kept])


def _closed_forms(parts: _Parts, score: Callable[[LinearMap, str], Judgement]) -> list[MapScore]:
    """Fit with all settings, and score each map; with tokens only the best of either kind."""
    scores: list[MapScore] = []

    def attempt(kind: str, penalty: float, offset: str, rows: float, tokens: float = 0.0) -> None:
        found = parts.fit(kind, penalty, offset, rows, tokens)
        scores.append(MapScore(kind, penalty, offset, rows, tokens, *score(found, offset)))

    for rows in (0.0, *_INDEX_SHARES) if parts.index is not None else (0.0,):
        for offset in ("joint", "own"):
            for penalty in PENALTIES:
                attempt("ridge", penalty, offset, rows)
            attempt("procrustes", 0.0, offset, rows)
    if parts.english.tokens and parts.target.tokens:
        for kind in ("ridge", "procrustes"):
            best = max((one for one in scores if one.kind == kind), key=lambda one: one.fit)
            for share in _TOKEN_SHARES:
                attempt(f"{kind}+tokens", best.penalty, best.offset, best.index, share)
    return scores


def _ranked(
    sides: tuple[Tensor, Tensor], wanted: Tensor, index: Documents | None, closed: MapScore
) -> tuple[Tensor, Tensor, Tensor]:
    """Collect the rows on which a map is refined: translations, their English, and documents of the index.

    With the translations' own offset English is moved to their mean, as in `Moments.within`.

    Returns:
        The student's vectors, ``(n, d)``, the teacher's unit vectors, ``(n, e)``, and the shares of the rows, ``(n,)``;
        documents have the share of the mass that the fit in closed form gave them.
    """
    foreign, english = sides
    sources, targets = [foreign, english], [wanted, wanted]
    weights = [torch.full((len(rows),), 0.5 * (1 - closed.index) / len(rows)) for rows in sources]
    if index is not None:
        sources.append(index[0])
        targets.append(functional.normalize(index[1].float(), dim=-1))
        weights.append(torch.full((len(index[0]),), closed.index / len(index[0])))
    if closed.offset == "own":
        sources[1:] = [rows - rows.mean(0) + foreign.mean(0) for rows in sources[1:]]
    return torch.cat(sources), torch.cat(targets), torch.cat(weights)


@dataclass
class _Parts:
    """Data on which maps are fitted: moments of sentences by offset, readings with tokens, and moments of the index.

    Targets have length 1.
    """

    english: Reading
    target: Reading
    both: dict[str, Moments]
    index: Moments | None

    @classmethod
    def of(cls, translations: Reading, english: Reading, target: Reading, index: Moments | None) -> _Parts:
        own, other = (Moments.of(side.pooled, target.pooled) for side in (translations, english))
        few = range(min(_MOST_TOKEN_SENTENCES, len(english.tokens)))
        return cls(english.select(few), target.select(few), {"joint": own + other, "own": own.within(other)}, index)

    def fit_as(self, found: MapScore) -> LinearMap:
        """Fit a map with the settings of a `MapScore`, in closed form."""
        return self.fit(found.kind, found.penalty, found.offset, found.index, found.tokens)

    def fit(self, kind: str, penalty: float, offset: str, rows: float, share: float) -> LinearMap:
        """Fit a map with the settings of a `MapScore`."""
        # With the translations' own offset, neither the index's English nor tokens of English change the means.
        moments, own = self.both[offset], offset == "own"
        if rows and self.index is not None:
            moments = joined(moments, self.index, rows, own)

        def solve(some: Moments) -> LinearMap:
            return ridge(some, penalty) if kind.startswith("ridge") else procrustes(some)

        found = solve(moments)
        if not share:
            return found
        blocks = partial(token_blocks, self.english, self.target)
        return alternate(moments, blocks, found, solve, _SOLVER, share=share, keep_means=own)
