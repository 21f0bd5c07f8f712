"""Transport plan between words: pieces are merged, so that it shows an alignment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sentence_transformers.base.model import BaseModel

from hf_optical.encoders.teachers import query_prompt
from hf_optical.encoders.token_view import boundary_token_ids
from hf_optical.figures.plan import sentence_plan
from hf_optical.figures.svg import ACCENT, FAINT, Svg
from hf_optical.transport import TransportSolver


def word_plan(
    student: BaseModel, teacher: BaseModel, source: str, translation: str, solver: TransportSolver | None = None
) -> dict[str, Any]:
    """Sum the plan of :func:`~hf_optical.figures.plan.sentence_plan` over the pieces of each word.

    Returns:
        ``rows`` (words of the translation), ``columns`` (English words), ``plan`` (rows by columns, sums to 1), and
        ``words``: whether pieces were merged, which needs a tokenizer that tells the word of a piece.
    """
    plan, row_tokens, column_tokens = sentence_plan(student, teacher, source, translation, solver)
    sides, known = [], []
    for model, text, tokens in ((student, translation, row_tokens), (teacher, source, column_tokens)):
        groups = _words_of(model, text, len(tokens))
        known.append(groups is not None)
        sides.append(groups or [(token, [place]) for place, token in enumerate(tokens)])
    rows, columns = sides
    matrix = np.asarray(plan, dtype=float)
    merged = np.array([[matrix[np.ix_(i, j)].sum() for _, j in columns] for _, i in rows])
    return {
        "rows": [word for word, _ in rows],
        "columns": [word for word, _ in columns],
        "plan": merged.tolist(),
        "words": all(known),
    }


def _words_of(model: BaseModel, text: str, tokens: int) -> list[tuple[str, list[int]]] | None:
    """Return the words of a text and the positions of their tokens among the transported ones; None if unknown."""
    tokenizer, prompt = model.tokenizer, query_prompt(model) or ""
    if not getattr(tokenizer, "is_fast", False):
        return None
    limit = getattr(model, "max_seq_length", None)
    encoded = tokenizer(prompt + text, truncation=limit is not None, max_length=limit, return_offsets_mapping=True)
    special = set(boundary_token_ids(model).tolist())
    groups: list[tuple[int | None, int, int, list[int]]] = []
    place = 0
    marks = zip(encoded["input_ids"], encoded.word_ids(), encoded["offset_mapping"], strict=True)
    for token, word, (start, end) in marks:
        if token in special or end <= len(prompt):
            continue
        if groups and word is not None and groups[-1][0] == word:
            groups[-1] = (word, groups[-1][1], end, [*groups[-1][3], place])
        else:
            groups.append((word, start, end, [place]))
        place += 1
    if place != tokens:  # expansion tokens, or punctuation that is not scored
        return None
    return [((prompt + text)[start:end].strip() or "·", places) for _, start, end, places in groups]


def draw_word_plan(rows: Sequence[str], columns: Sequence[str], plan: Sequence[Sequence[float]], *, title: str) -> Svg:
    """Draw a plan between words; every row is scaled to its own mass.

    Args:
        rows: Words of the translation.
        columns: English words.
        plan: (rows, columns).
        title: Title above the picture.

    Example:
        >>> picture = draw_word_plan(["mbuzi"], ["the", "goat"], [[0.2, 0.8]], title="before")
        >>> "mbuzi – goat: 80 %" in picture.render()
        True
    """
    share = np.asarray(plan, dtype=float)
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)
    left, top = 104, 96
    cell = min(24.0, max(14.0, (352 - left) / max(len(columns), 1)))
    width = max(360.0, left + cell * len(columns) + 40)
    picture = Svg(width, top + cell * len(rows) + 10, title)
    picture.text(4, 15, title, size=13, most=50)
    for column, word in enumerate(columns):
        picture.text(left + cell * (column + 0.7), top - 6, word, rotate=-50, size=11, most=12)
    for row, word in enumerate(rows):
        y = top + cell * row
        picture.text(left - 6, y + cell * 0.7, word, anchor="end", size=11, most=15)
        for column, other in enumerate(columns):
            value = float(share[row, column])
            x, tip = left + cell * column, f"{word} – {other}: {100 * value:.0f} %"
            picture.rectangle(x, y, cell - 1, cell - 1, FAINT, opacity=0.12)
            picture.rectangle(x, y, cell - 1, cell - 1, ACCENT, opacity=value, tip=tip)
    return picture
