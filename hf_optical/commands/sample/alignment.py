"""Alignment error rate of transport plans against gold word alignments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers.base.model import BaseModel
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hf_optical.commands.sample.generate import Pair
from hf_optical.encoders.teachers import is_late_interaction
from hf_optical.encoders.token_view import TokenView, boundary_token_ids, content_mask, encode_tokens
from hf_optical.errors import InputError
from hf_optical.losses.alignment import transport_loss
from hf_optical.losses.token_side import TokenSide
from hf_optical.transport import IPOT, TransportSolver, document_frequencies, idf_weights


def alignment_error_rate(predicted: set[Any], gold: set[Any]) -> float:
    """Compute the alignment error rate `1 - 2 |A and S| / (|A| + |S|)` for gold links that are all sure.

    Och and Ney 2003 (https://aclanthology.org/J03-1002), section 5, without possible links.

    Args:
        predicted: The predicted links A; for a corpus, triples (sentence, source word, translation word).
        gold: The gold links S.

    Returns:
        0 for the gold alignment, 1 if no link is right, and 0 if both sets are empty.

    Example:
        >>> alignment_error_rate({(0, 0), (1, 2)}, {(0, 0), (1, 1)})
        0.5
    """
    total = len(predicted) + len(gold)
    return 1 - 2 * len(predicted & gold) / total if total else 0.0


def word_of_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Return for every token of a text, without special tokens, the index of its word in `text.split()`.

    A token that consists of the space before a word belongs to that word.

    Raises:
        InputError: The tokenizer is not a fast one and gives no character offsets.
    """
    if not tokenizer.is_fast:
        raise InputError("the tokenizer gives no character offsets", "use a model with a fast tokenizer")
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    word_at, word = [], 0
    for before, character in zip(" " + text, text, strict=False):
        word += before != " " and character == " "
        word_at.append(word)
    last = len(text.split()) - 1
    return [min(word_at[min(start, len(text) - 1)], last) for start, _ in offsets]


def word_plan(plan: Tensor, row_words: Sequence[int], column_words: Sequence[int]) -> Tensor:
    """Sum a plan between tokens over the tokens of each word; the total mass stays the same.

    Args:
        plan: Plan between tokens, (n, m).
        row_words: Index of the word of each row, n indices.
        column_words: Index of the word of each column, m indices.

    Returns:
        Plan between words, (words of the rows, words of the columns).

    Raises:
        InputError: The numbers of tokens differ from the shape of the plan.

    Example:
        >>> word_plan(torch.tensor([[0.2, 0.1], [0.3, 0.4]]), [0, 0], [0, 1])
        tensor([[0.5000, 0.5000]])
    """
    if plan.shape != (len(row_words), len(column_words)):
        raise InputError(
            f"the plan has shape {tuple(plan.shape)} for {len(row_words)} and {len(column_words)} tokens",
            "leave special tokens out of the plan, and do not truncate the texts",
        )
    rows = torch.nn.functional.one_hot(torch.tensor(row_words)).to(plan.dtype)  # (n, words of the rows)
    columns = torch.nn.functional.one_hot(torch.tensor(column_words)).to(plan.dtype)  # (m, words of the columns)
    return rows.T @ plan @ columns


def argmax_links(plan: Tensor) -> set[tuple[int, int]]:
    """Link every word of the translation to the source word to which it gives most mass.

    Args:
        plan: Plan between words, (translation words, source words), as from a student to its teacher.

    Returns:
        Pairs (source word, translation word).

    Example:
        >>> sorted(argmax_links(torch.tensor([[0.1, 0.4], [0.3, 0.2]])))
        [(0, 1), (1, 0)]
    """
    return {(int(source), word) for word, source in enumerate(plan.argmax(1))}


def random_plan(plan: Tensor, solver: TransportSolver, generator: torch.Generator) -> Tensor:
    """Compute a plan with the marginals of another one, for a random cost, as a baseline for alignments.

    Args:
        plan: Plan whose marginals are used, (n, m).
        solver: Solver that computed it.
        generator: Generator of the cost, which is uniform in [0, 2], the range of cosine distances.

    Returns:
        Plan, (n, m).
    """
    cost = 2 * torch.rand(plan.shape, generator=generator)
    return solver(cost[None], plan.sum(1)[None], plan.sum(0)[None])[0]


def token_weights(model: BaseModel, texts: Sequence[str]) -> Tensor:
    """Compute the inverse document frequency of every token of a model's vocabulary.

    Args:
        model: Model with the tokenizer.
        texts: Sentences in which the frequencies are counted.

    Returns:
        Weights, (size of the vocabulary,).
    """
    tokenized = model.tokenizer(list(texts), padding=True, return_tensors="pt")
    size = len(model.tokenizer)
    return idf_weights(document_frequencies(tokenized["input_ids"], tokenized["attention_mask"], size), len(texts))


@torch.no_grad()
def _content_plan(
    student: TokenView, teacher: TokenView, solver: TransportSolver, weights: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Compute the plan between the tokens of a translation and of its source, without special tokens.

    Args:
        student: View of one translation, with n tokens that are neither padding nor special.
        teacher: View of its source, with m such tokens.
        solver: Solver of the transport problem.
        weights: Mass of every token of the two vocabularies; ``None`` for uniform mass.

    Returns:
        Plan, (n, m), on the CPU.
    """
    views = (student, teacher)
    masses: tuple[Tensor | None, Tensor | None] = (None, None)
    if weights:
        masses = (
            weights[0].to(student.tokens.device)[student.input_ids],
            weights[1].to(teacher.tokens.device)[teacher.input_ids],
        )
    sides = [TokenSide(view.tokens, view.mask, view.special) for view in views]
    _, plan = transport_loss(sides[0], sides[1], solver, "exclude", masses)
    rows, columns = (content_mask(view.mask, view.special, "exclude")[0] for view in views)
    return plan[0][rows][:, columns].cpu()


def measure_alignment(
    student: BaseModel,
    teacher: BaseModel,
    pairs: Sequence[Pair],
    texts: tuple[Sequence[str], Sequence[str]],
    solver: TransportSolver | None = None,
    seed: int = 0,
) -> dict[str, float | int]:
    """Compute the alignment error rate of the plans between a student and its teacher, and that of random plans.

    It is computed for two choices of marginals. With the mass of each token in proportion to its inverse document
    frequency, articles and prepositions without a counterpart in the translation have little mass to be transported
    to other words. The second choice is uniform mass.

    Args:
        student: Encoder of the translations.
        teacher: Encoder of the English sentences.
        pairs: Sentences with gold alignments.
        texts: Translations and English sentences in which frequencies are counted.
        solver: Solver of the transport problem; `IPOT()` by default.
        seed: Seed of the random plans.

    Returns:
        `aer` and `aer_random` with inverse document frequencies, `aer_uniform` and `aer_random_uniform`, and the
        number `n` of pairs.
    """
    solver = solver or IPOT()
    generator = torch.Generator().manual_seed(seed)
    idf = (token_weights(student, texts[0]), token_weights(teacher, texts[1]))
    gold: set[tuple[int, int, int]] = set()
    found: dict[str, set[tuple[int, int, int]]] = {
        name: set() for name in ("aer", "aer_random", "aer_uniform", "aer_random_uniform")
    }
    for number, pair in enumerate(pairs):
        gold |= {(number, i, j) for i, j in pair["alignment"]}
        words = (
            word_of_tokens(student.tokenizer, pair["translation"]),
            word_of_tokens(teacher.tokenizer, pair["source"]),
        )
        views = (_view(student, pair["translation"]), _view(teacher, pair["source"]))
        for suffix, weights in (("", idf), ("_uniform", None)):
            plan = _content_plan(*views, solver, weights)
            for name, each in ((f"aer{suffix}", plan), (f"aer_random{suffix}", random_plan(plan, solver, generator))):
                found[name] |= {(number, i, j) for i, j in argmax_links(word_plan(each, *words))}
    return {"n": len(pairs), **{name: alignment_error_rate(links, gold) for name, links in found.items()}}


@torch.no_grad()
def _view(model: BaseModel, text: str) -> TokenView:
    """Encode one text as a query, and return its token view."""
    late = is_late_interaction(model)
    features = model.preprocess([text], **({"task": "query"} if late else {}))
    features = {key: value.to(model.device) if isinstance(value, Tensor) else value for key, value in features.items()}
    return encode_tokens(model, features, boundary_token_ids(model), late_interaction=late)
