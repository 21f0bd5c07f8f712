"""Layer probe: find the layers at which words and their translations are near each other, controlling for anisotropy.

A high cosine between translations proves nothing if all words are close. For every layer the probe therefore reports
true minus shuffled similarity, and how often the nearest word is the translation (P@1, MRR, both directions).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from sentence_transformers.base.model import BaseModel
from torch import Tensor
from torch.nn import functional
from tqdm.auto import trange

from hf_optical.encoders.teachers import is_late_interaction, query_prompt
from hf_optical.encoders.word_vectors import (
    WordPooling,
    comparable_layers,
    number_of_layers,
    read_words,
    tokens_outside_words,
)
from hf_optical.errors import InputError, NonFiniteError

_CHUNK = 1024
_TIE = 1e-6


@dataclass(frozen=True)
class LexiconScores:
    """Scores of how well one layer separates a lexicon's translations from other words.

    Attributes:
        true: Mean cosine of translations.
        shuffled: Mean cosine over all word pairs that are not translations, the expectation for shuffled pairs.
        p1_to_english: Share of translations whose nearest word is their English word (P@1), 0 to 1.
        mrr_to_english: Mean reciprocal rank of the nearest correct word.
        p1_from_english: P@1 of the other direction.
        mrr_from_english: MRR of the other direction.
    """

    true: float
    shuffled: float
    p1_to_english: float
    mrr_to_english: float
    p1_from_english: float
    mrr_from_english: float

    @property
    def difference(self) -> float:
        """Return true minus shuffled similarity."""
        return self.true - self.shuffled

    @property
    def p1(self) -> float:
        """Return P@1, the mean of both directions."""
        return (self.p1_to_english + self.p1_from_english) / 2

    @property
    def mrr(self) -> float:
        """Return MRR, the mean of both directions."""
        return (self.mrr_to_english + self.mrr_from_english) / 2

    def to_dict(self) -> dict[str, float]:
        """Return all numbers by name, including the derived ones."""
        return {**asdict(self), "difference": self.difference, "p1": self.p1, "mrr": self.mrr}


@dataclass(frozen=True)
class LayerProbe:
    """Result of the probe.

    Attributes:
        layers: Scores of every hidden state; the first is the embedding layer.
        output: Scores of the encoder's output.
        pairs: Number of pairs of the lexicon that were scored.
    """

    layers: tuple[LexiconScores, ...]
    output: LexiconScores
    pairs: int

    @property
    def recommended_layer(self) -> int:
        """See :func:`recommended_layer`."""
        return recommended_layer(self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of ``results.json``."""
        return {
            "pairs": self.pairs,
            "recommended_layer": self.recommended_layer,
            "layers": [scores.to_dict() for scores in self.layers],
            "output": self.output.to_dict(),
        }

    def table(self) -> str:
        """Format a Markdown table with one line per layer."""
        names = ["true", "shuffled", "difference", "p1_to_english", "p1_from_english", "mrr_to_english"]
        names += ["mrr_from_english"]
        titles = ["true", "shuffled", "true - shuffled", "P@1 to en", "P@1 from en", "MRR to en", "MRR from en"]
        lines = [f"| layer | {' | '.join(titles)} |", f"| --- |{' ---: |' * len(names)}"]
        marks = {self.recommended_layer: " *"}
        rows = [(f"{index}{marks.get(index, '')}", scores) for index, scores in enumerate(self.layers)]
        for name, scores in [*rows, ("output", self.output)]:
            found = scores.to_dict()
            lines.append(f"| {name} | {' | '.join(f'{found[key]:.3f}' for key in names)} |")
        return "\n".join([*lines, "", f"{self.pairs} pairs; * the layer recommended for lexical injection"])


def recommended_layer(layers: Sequence[LexiconScores], share: float = 0.95) -> int:
    """Find the earliest transformer layer whose MRR is at least ``share`` of the best layer's.

    A layer that separates words has alignment to sharpen, and all layers after an early one can profit. The rule is
    ours: the paper chose by plain similarity, which is dominated by special tokens. The embedding layer is excluded,
    because there is no attention below it for an adapter to train.

    Example:
        >>> scores = [LexiconScores(0, 0, mrr, mrr, mrr, mrr) for mrr in (0.9, 0.5, 0.78, 0.8)]
        >>> recommended_layer(scores)
        2
    """
    if len(layers) < 2:
        raise InputError("there is no transformer layer among the scores", "give the scores of all hidden states")
    best = max(scores.mrr for scores in layers[1:])
    return next(index for index, scores in enumerate(layers) if index and scores.mrr >= share * best)


def score_lexicon(source: Tensor, translation: Tensor, pairs: Sequence[tuple[str, str]]) -> LexiconScores:
    """Score the vectors of a lexicon's pairs; no model is involved.

    Every distinct word is a query once. The candidates are all distinct words of the other side, and any of its
    translations counts as correct. A wrong word that is as near as the correct one counts as nearer.

    Args:
        source: Vectors of the English words, one per pair, (n, d).
        translation: Vectors of their translations, (n, d).
        pairs: The words themselves, n pairs; case and surrounding space are ignored.

    Returns:
        The scores.

    Raises:
        InputError: A side has fewer than two distinct words.

    Example:
        >>> vectors = torch.eye(3)
        >>> scores = score_lexicon(vectors, vectors[[0, 2, 1]], [("a", "x"), ("b", "y"), ("c", "z")])
        >>> round(scores.true, 3), round(scores.shuffled, 3), round(scores.p1_to_english, 3)
        (0.333, 0.333, 0.333)
    """
    rows, columns, right = _distinct(pairs)
    if min(right.shape) < 2:
        raise InputError(f"found only {right.shape[0]} and {right.shape[1]} distinct words", "give a larger lexicon")
    source, translation = (functional.normalize(side.float(), dim=-1) for side in (source, translation))
    true = float((source * translation).sum(1).double().mean())
    source, translation = source[rows], translation[columns]
    similarity = source @ translation.T
    shuffled = float(similarity.masked_select(~right).double().mean()) if not right.all() else true
    p1_from, mrr_from = _ranking(similarity, right)
    p1_to, mrr_to = _ranking(similarity.T, right.T)
    return LexiconScores(true, shuffled, p1_to, mrr_to, p1_from, mrr_from)


def _distinct(pairs: Sequence[tuple[str, str]]) -> tuple[Tensor, Tensor, Tensor]:
    """Find the first pair of each distinct word on either side, and the matrix of translations."""
    sides: list[dict[str, int]] = [{}, {}]
    first: list[list[int]] = [[], []]
    links = []
    for number, pair in enumerate(pairs):
        found = []
        for side, word in enumerate(pair):
            name = word.strip().casefold()
            if name not in sides[side]:
                sides[side][name] = len(sides[side])
                first[side].append(number)
            found.append(sides[side][name])
        links.append(found)
    right = torch.zeros(len(sides[0]), len(sides[1]), dtype=torch.bool)
    index = torch.tensor(links, dtype=torch.long).reshape(-1, 2)
    right[index[:, 0], index[:, 1]] = True
    return torch.tensor(first[0]), torch.tensor(first[1]), right


def _ranking(similarity: Tensor, right: Tensor) -> tuple[float, float]:
    """Compute P@1 and MRR of the nearest correct candidate of each row; ties count against it."""
    ranks = []
    for start in range(0, len(similarity), _CHUNK):
        some, correct = similarity[start : start + _CHUNK], right[start : start + _CHUNK]
        best = some.masked_fill(~correct, -torch.inf).max(dim=1, keepdim=True).values
        ranks.append(1 + ((some >= best - _TIE) & ~correct).sum(dim=1))
    rank = torch.cat(ranks).double()
    return float((rank == 1).double().mean()), float((1 / rank).mean())


def without_copies(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Keep pairs whose two words differ, because a name that is equal in both languages tests nothing.

    Example:
        >>> without_copies([("Kenya", "kenya"), ("water", "maji")])
        [('water', 'maji')]
    """
    return [pair for pair in pairs if pair[0].strip().casefold() != pair[1].strip().casefold()]


def probe_layers(
    model: BaseModel,
    pairs: Sequence[tuple[str, str]],
    *,
    teacher: BaseModel | None = None,
    special_tokens: WordPooling = "exclude",
    batch_size: int = 64,
    show_progress: bool = False,
) -> LayerProbe:
    """Score a lexicon at every layer of an encoder, and at its output.

    All vectors are held in memory: ``2 (layers + 1) n d`` numbers, 0.4 GB for 4,000 pairs and XLM-R base.

    Args:
        model: Encoder of the translations and, without a teacher, of the English; under its query prompt.
        pairs: (English word, translation).
        teacher: Encoder of the English for a student grown from it; layer k of one is compared with layer k of the
            other.
        special_tokens: ``"exclude"``; or ``"include"`` and ``"first"``, which show the effect of special tokens on such
            a probe: in the first layers their vectors are nearly equal for every word, so that true similarity is near
            1 at chance P@1.
        batch_size: Words per forward pass.
        show_progress: Show progress bars.

    Raises:
        InputError: There are too few words, or the teacher's layers cannot be compared with the model's.
        NonFiniteError: A model returns NaN or infinity.
    """
    if teacher is not None and not comparable_layers(model, teacher):
        raise InputError(
            "the teacher's layers differ from the model's, so that their hidden states cannot be compared",
            "leave the teacher out; the model then encodes both sides",
        )
    pairs = list(pairs)
    options: dict[str, Any] = {
        "special_tokens": special_tokens,
        "batch_size": batch_size,
        "show_progress": show_progress,
    }
    english = word_states(teacher if teacher is not None else model, [pair[0] for pair in pairs], **options)
    other = word_states(model, [pair[1] for pair in pairs], **options)
    scores = [score_lexicon(one, two, pairs) for one, two in zip(english, other, strict=True)]
    return LayerProbe(tuple(scores[:-1]), scores[-1], len(pairs))


@torch.no_grad()
def word_states(
    model: BaseModel,
    words: Sequence[str],
    *,
    special_tokens: WordPooling = "exclude",
    batch_size: int = 64,
    show_progress: bool = False,
) -> list[Tensor]:
    """Encode words at every hidden state and then at the output: (n, d) each, on the CPU, float32."""
    layers = range(number_of_layers(model) + 1)
    outside, late, training = tokens_outside_words(model), is_late_interaction(model), model.training
    prompt = {"prompt": query_prompt(model), **({"task": "query"} if late else {})}
    # Each distinct word is encoded once, together with words of similar length.
    distinct = sorted(dict.fromkeys(words), key=len)
    parts: list[tuple[Tensor, ...]] = []
    model.eval()
    for start in trange(0, len(distinct), batch_size, desc="Words", disable=not show_progress, leave=False):
        features = model.preprocess(distinct[start : start + batch_size], **prompt)
        features = {
            key: value.to(model.device) if isinstance(value, Tensor) else value for key, value in features.items()
        }
        read = read_words(model, features, outside, layers, late_interaction=late, special_tokens=special_tokens)
        parts.append(tuple(vectors.cpu() for vectors in (*read.layers, read.output)))
    model.train(training)
    place = {word: index for index, word in enumerate(distinct)}
    order = torch.tensor([place[word] for word in words], dtype=torch.long)
    states = [torch.cat(vectors)[order] for vectors in zip(*parts, strict=True)]
    if not all(torch.isfinite(vectors).all() for vectors in states):
        raise NonFiniteError("the model's word vectors are not finite: its weights are broken")
    return states
