"""Splitting of a bitext into training pairs and held-out pairs, with documents kept together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset

from hf_optical.data.tables import Fault, read_records, renamed
from hf_optical.places import user_path

__all__ = ["SHARE", "Split", "document_names", "held_out_size", "split_bitext"]

SHARE, LEAST, MOST = 0.05, 50, 500
_SMALLEST = 100  # least number of pairs from which some are held out; a fifth of fewer is too few to measure anything
_DOCUMENT_FIELDS = ("doc", "document", "doc_id", "document_id")


@dataclass(frozen=True)
class Split:
    """Split of a bitext.

    Attributes:
        train: The pairs for training.
        held_out: The held-out pairs, in the order of the file.
        documents: Number of documents from which the held-out pairs come; 0 if no row names one.
        echoes: Number of pairs in neither part, because they share a side with a held-out pair.
    """

    train: Dataset
    held_out: Dataset
    documents: int
    echoes: int


def held_out_size(pairs: int, share: float = SHARE) -> int:
    """Return how many pairs are held out: the share, but at least 50, at most 500, and at most a fifth.

    Args:
        pairs: Number of pairs of the bitext.
        share: Share to hold out, from 0 to 1; 0 for none.

    Returns:
        The number of pairs; 0 if the bitext has fewer than 100.

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
    """Hold some pairs out of a bitext, in whole documents if rows name their document.

    Sentences of one document share topics and words. If the sentences around a held-out sentence were trained on, it
    would be easier than those of a user. For the same reason pairs that share their English or their translation with a
    held-out pair are removed from the training pairs.

    Args:
        rows: A dataset with the columns ``source`` and ``translation``.
        documents: The document of every row, or ``None``. A row without one is its own document.
        share: As in `held_out_size`.
        seed: Random seed of the choice.

    Returns:
        The two parts; the held-out part is empty if the bitext is too small.

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
        # Rows without a document are groups of one; the prefixes keep their numbers apart from names of documents.
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
    if not drawn:  # every document is larger than the number of pairs to hold out
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
    """Read the document of each row of a bitext file, from a column ``doc`` (``document``, ``doc_id``).

    Args:
        source: The file.

    Returns:
        One entry for each row in the order of the file; ``None`` if no row names a document, or for a Hub id.
    """
    path = user_path(source)
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
