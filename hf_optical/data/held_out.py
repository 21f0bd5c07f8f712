"""Pairs held out of a bitext: how many, and which, documents kept together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset

from hf_optical.data.tables import Fault, read_records, renamed

__all__ = ["SHARE", "Split", "document_names", "held_out_size", "split_bitext"]

SHARE, LEAST, MOST = 0.05, 50, 500
_SMALLEST = 100  # pairs of a bitext of which some are held out; a fifth of fewer would say nothing
_DOCUMENT_FIELDS = ("doc", "document", "doc_id", "document_id")


@dataclass(frozen=True)
class Split:
    """A bitext in two.

    Attributes:
        train: What is trained on.
        held_out: What is not, in the order of the file.
        documents: How many documents the held-out pairs come from, and 0 where no row names one.
        echoes: Pairs left out of both, because one of their sides is that of a held-out pair.
    """

    train: Dataset
    held_out: Dataset
    documents: int
    echoes: int


def held_out_size(pairs: int, share: float = SHARE) -> int:
    """Return how many pairs are held out: the share, at least 50, at most 500, never more than a fifth.

    Args:
        pairs: Of the bitext.
        share: Of them; 0 holds nothing out.

    Returns:
        The number; 0 for fewer than 100 pairs.

    Example:
        >>> [held_out_size(pairs) for pairs in (60, 100, 500, 3785, 41_482)]
        [0, 20, 50, 189, 500]
    """
    if share <= 0 or pairs < _SMALLEST:
        return 0
    return min(max(round(share * pairs), LEAST), MOST, pairs // 5)


def split_bitext(
    rows: Dataset, documents: Sequence[str | None] | None = None, *, share: float = SHARE, seed: int = 0
) -> Split:
    """Hold some pairs out of a bitext, whole documents where rows name one.

    Sentences of one document speak of the same things in the same words: with its neighbours trained on, a held-out
    sentence would be easier than any that a user will type. For the same reason a pair whose English or whose
    translation is that of a held-out pair is trained on by nobody.

    Args:
        rows: The columns ``source`` and ``translation``.
        documents: The document of every row, or ``None``; a row without one stands alone.
        share: As in `held_out_size`.
        seed: Random seed of the choice.

    Returns:
        The two parts; the held-out one is empty where the bitext is too small.

    Example:
        >>> rows = Dataset.from_dict({"source": [f"line {i}" for i in range(200)], "translation": ["x"] * 200})
        >>> split = split_bitext(rows.remove_columns("translation").add_column("translation", rows["source"]))
        >>> len(split.train), len(split.held_out)
        (160, 40)
    """
    size = held_out_size(len(rows), share)
    if not size:
        return Split(rows, rows.select([]), 0, 0)
    groups: dict[str, list[int]] = {}
    for place in range(len(rows)):
        name = documents[place] if documents is not None else None
        # A row of its own has a number for a name, which the separator keeps apart from any document.
        groups.setdefault(f"document\0{name}" if name is not None else f"row\0{place}", []).append(place)
    names = list(groups)
    drawn: list[int] = []
    of_documents = 0
    for number in np.random.default_rng(seed).permutation(len(names)):
        group = groups[names[number]]
        if len(drawn) + len(group) <= size:
            drawn += group
            of_documents += names[number].startswith("document")
        if len(drawn) == size:
            break
    if not drawn:  # every document is larger than what may be held out
        smallest = min(groups.values(), key=len)
        if len(smallest) > len(rows) // 3:
            return Split(rows, rows.select([]), 0, 0)
        drawn, of_documents = smallest, 1
    inside = set(drawn)
    held = rows.select(sorted(inside))
    english, other = set(held["source"]), set(held["translation"])
    kept = [
        place
        for place, (source, translation) in enumerate(zip(rows["source"], rows["translation"], strict=True))
        if place not in inside and source not in english and translation not in other
    ]
    return Split(rows.select(kept), held, of_documents, len(rows) - len(kept) - len(inside))


def document_names(source: str | Path) -> list[str | None] | None:
    """The document that each row of a bitext file names in a column ``doc`` (``document``, ``doc_id``).

    Args:
        source: The file. A Hub id has none.

    Returns:
        One entry a row, in the order of the file; ``None`` where no row names a document.
    """
    path = Path(source)
    if not path.is_file():
        return None
    records = read_records(path)
    header = records.first
    rows = renamed(records.rows, header) if header else records.rows
    found: list[str | None] = []
    for _, row in rows:
        named = () if isinstance(row, Fault) else (row[field] for field in _DOCUMENT_FIELDS if row.get(field))
        name = next(iter(named), None)
        found.append(None if name is None else str(name))
    return found if any(name is not None for name in found) else None
