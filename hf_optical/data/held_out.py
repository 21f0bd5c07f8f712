"""Splitting of a bitext into training pairs and held-out pairs, with documents kept together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset

from hf_optical.data.identifiers import document_of
from hf_optical.data.languages import normalize
from hf_optical.data.pair_columns import with_columns
from hf_optical.data.pairs import pair_fault
from hf_optical.data.sources import records_of, single_sources
from hf_optical.data.tables import Fault
from hf_optical.places import user_path

__all__ = ["SHARE", "Split", "document_names", "held_out_size", "split_bitext"]

SHARE, LEAST, MOST = 0.05, 50, 500
_SMALLEST = 100  # least number of pairs from which some are held out; a fifth of fewer is too few to measure anything


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


def document_names(
    source: str | Path,
    *,
    language: str | None = None,
    source_field: str | None = None,
    translation_field: str | None = None,
) -> list[str | None] | None:
    """Read the document of each pair of a bitext, from a column ``doc`` (``document``, ``doc_id``).

    Args:
        source: A file or a folder, as in :func:`hf_optical.data.bitext.read_bitext`.
        language: Language of the translations, as there.
        source_field: The English column, as there.
        translation_field: The column of the translations, as there.

    Returns:
        One entry for each pair that ``read_bitext`` returns with ``on_bad_rows="skip"``, in the same order; ``None`` if
        no row names a document, or for a Hub id.
    """
    if not user_path(source).exists():
        return None
    code = normalize(language) if language else None
    found: list[str | None] = []
    for one in single_sources(source, language=code):
        name, records = records_of(one, None)
        records, columns = with_columns(records, name, source_field, translation_field, code)
        for _, row in records.rows:
            if not isinstance(row, Fault) and pair_fault(row, columns) is None:
                found.append(document_of(row))
    return found if any(name is not None for name in found) else None
