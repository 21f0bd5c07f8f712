"""How well transport plans align words: token plans summed into word plans, links read off, compared with gold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from sentence_transformers.base.model import BaseModel
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hf_optical.errors import InputError
from hf_optical.figures.plan import sentence_plan
from hf_optical.transport import IPOT, TransportSolver

from .generate import Pair


def alignment_error_rate(predicted: set[Any], gold: set[Any]) -> float:
    """`1 - 2 |A and S| / (|A| + |S|)`: the alignment error rate where all gold links are sure.

    Och and Ney 2003 (https://aclanthology.org/J03-1002), section 5, with no possible links beside the sure ones.

    Args:
        predicted: The links A; of a corpus, triples (sentence, source word, translation word).
        gold: The links S.

    Returns:
        0 for the gold alignment, 1 where nothing is right; 0 where both are empty.

    Example:
        >>> alignment_error_rate({(0, 0), (1, 2)}, {(0, 0), (1, 1)})
        0.5
    """
    total = len(predicted) + len(gold)
    return 1 - 2 * len(predicted & gold) / total if total else 0.0


def word_of_tokens(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """For every token of a text, special tokens left out, the index of its word in `text.split()`.

    A token that holds only the space before a word belongs to that word.

    Raises:
        InputError: When the tokenizer does not say where its tokens stand in the text.
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
    """Sums a plan between tokens into one between words; mass is neither lost nor made.

    Args:
        plan: (n, m).
        row_words: The word of each row, n indices.
        column_words: The word of each column, m indices.

    Returns:
        (words of the rows, words of the columns).

    Raises:
        InputError: When the numbers of tokens differ from the shape of the plan.

    Example:
        >>> word_plan(torch.tensor([[0.2, 0.1], [0.3, 0.4]]), [0, 0], [0, 1])
        tensor([[0.5000, 0.5000]])
    """
    if plan.shape != (len(row_words), len(column_words)):
        raise InputError(
            f"the plan has shape {tuple(plan.shape)} for {len(row_words)} and {len(column_words)} tokens",
            "leave special tokens out of the plan, and do not cut the texts",
        )
    rows = torch.nn.functional.one_hot(torch.tensor(row_words)).to(plan.dtype)
    columns = torch.nn.functional.one_hot(torch.tensor(column_words)).to(plan.dtype)
    return rows.T @ plan @ columns


def mutual_links(plan: Tensor) -> set[tuple[int, int]]:
    """The links of a word plan: pairs that give each other the largest share of their mass.

    The intersection of both directions, as SimAlign's "Argmax" (Jalili Sabet et al. 2020,
    https://aclanthology.org/2020.findings-emnlp.147): words without a counterpart stay unaligned.

    Args:
        plan: (translation words, source words), as the plan between a student and its teacher.

    Returns:
        Pairs (source word, translation word).

    Example:
        >>> sorted(mutual_links(torch.tensor([[0.1, 0.4], [0.3, 0.2]])))
        [(0, 1), (1, 0)]
    """
    best_row = (plan / plan.sum(1, keepdim=True).clamp_min(1e-12)).argmax(0)
    best_column = (plan / plan.sum(0, keepdim=True).clamp_min(1e-12)).argmax(1)
    return {(int(i), j) for j, i in enumerate(best_column) if int(best_row[i]) == j}


def random_plan(plan: Tensor, solver: TransportSolver, generator: torch.Generator) -> Tensor:
    """A plan with the marginals of another one, for costs drawn uniformly from [0, 2]: what chance aligns.

    Args:
        plan: (n, m).
        solver: What made that plan.
        generator: The source of chance.

    Returns:
        (n, m).
    """
    cost = 2 * torch.rand(plan.shape, generator=generator)
    return solver(cost[None], plan.sum(1)[None], plan.sum(0)[None])[0]


def measure_alignment(
    student: BaseModel,
    teacher: BaseModel,
    pairs: Iterable[Pair],
    solver: TransportSolver | None = None,
    seed: int = 0,
) -> dict[str, float | int]:
    """The alignment error rate of the plans between a student and its teacher, beside that of random plans.

    Args:
        student: Reads the translations.
        teacher: Reads the English.
        pairs: Sentences with gold alignments.
        solver: `IPOT()` if not given.
        seed: Seed of the random plans.

    Returns:
        `aer`, `aer_random`, and the number `n` of pairs.
    """
    solver = solver or IPOT()
    generator = torch.Generator().manual_seed(seed)
    found, chance, gold = set(), set(), set()
    count = 0
    for count, pair in enumerate(pairs, start=1):
        plan, _, _ = sentence_plan(student, teacher, pair["source"], pair["translation"], solver)
        rows = word_of_tokens(student.tokenizer, pair["translation"])
        columns = word_of_tokens(teacher.tokenizer, pair["source"])
        shuffled = random_plan(plan, solver, generator)
        gold |= {(count, *link) for link in map(tuple, pair["alignment"])}
        found |= {(count, *link) for link in mutual_links(word_plan(plan, rows, columns))}
        chance |= {(count, *link) for link in mutual_links(word_plan(shuffled, rows, columns))}
    return {"aer": alignment_error_rate(found, gold), "aer_random": alignment_error_rate(chance, gold), "n": count}
