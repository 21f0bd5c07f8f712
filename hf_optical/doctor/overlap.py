"""Detection of training texts that are queries or documents of an evaluation set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_optical.data.languages import ENGLISH
from hf_optical.data.retrieval_files import scan
from hf_optical.data.tables import Fault, read_json_rows
from hf_optical.doctor.word_hashes import Words, mixed, words_of

__all__ = ["EvaluationIndex", "Overlap", "evaluation_index"]

_LEAST_SHARE = 0.6  # least share of common trigrams of a near match
_LEAST_SHINGLES = 4  # least number of common trigrams of a near match
_COMMONEST = 50  # number of texts with a trigram above which it is ignored, because it is not specific
_SIEVE_BITS = 22  # size of the filter of trigrams, as a power of two


@dataclass(frozen=True)
class Overlap:
    """Training text that is also in the evaluation set.

    Attributes:
        row: Index of the text in its chunk.
        exact: Whether the texts are the same except for case, punctuation and spaces; otherwise they share trigrams.
        text: The query or document, such as ``"queries.sw.jsonl.gz: q17"``.
        share: Share of common word trigrams among those of the shorter text; 1.0 for an exact match.
    """

    row: int
    exact: bool
    text: str
    share: float


class EvaluationIndex:
    """Index of the texts of evaluation sets by their words and word trigrams.

    Args:
        names: Name of each text in messages.
        texts: The texts, in any language.
    """

    def __init__(self, names: list[str], texts: list[str]) -> None:
        self.names = names
        words = words_of(texts)
        order = np.argsort(words.keys, kind="stable")
        self._keys, self._key_text = words.keys[order], order
        shingles, rows = _shingles(words)
        distinct = np.unique(np.column_stack([shingles, rows.astype(np.uint64)]), axis=0)
        _, inverse, counts = np.unique(distinct[:, 0], return_inverse=True, return_counts=True)
        kept = counts[inverse] <= _COMMONEST
        self._shingles = distinct[kept, 0]
        self._postings = distinct[kept, 1].astype(np.int64)
        self._sizes = np.bincount(self._postings, minlength=len(texts))
        self._sieve = np.zeros(1 << _SIEVE_BITS, dtype=bool)
        self._sieve[(self._shingles >> np.uint64(64 - _SIEVE_BITS)).astype(np.int64)] = True

    def find(self, words: Words) -> list[Overlap]:
        """Find the texts of a chunk that are in the evaluation set, exactly or nearly, with the best match of each."""
        place = np.minimum(np.searchsorted(self._keys, words.keys), len(self._keys) - 1)
        same = (self._keys[place] == words.keys) & (words.counts > 0)
        found = {int(row): Overlap(int(row), True, self._name(place[row]), 1.0) for row in np.flatnonzero(same)}
        for overlap in self._near(words):
            found.setdefault(overlap.row, overlap)
        return [found[row] for row in sorted(found)]

    def _name(self, place: int) -> str:
        return self.names[self._key_text[place]]

    def _near(self, words: Words) -> list[Overlap]:
        """Find the texts that share enough word trigrams with a text of the evaluation set."""
        shingles, rows = _shingles(words)
        passed = np.flatnonzero(self._sieve[(shingles >> np.uint64(64 - _SIEVE_BITS)).astype(np.int64)])
        candidates = np.bincount(rows[passed], minlength=len(words.keys)) >= _LEAST_SHINGLES
        passed = passed[candidates[rows[passed]]]
        if not len(passed):
            return []
        distinct = np.unique(np.column_stack([shingles[passed], rows[passed].astype(np.uint64)]), axis=0)
        start = np.searchsorted(self._shingles, distinct[:, 0], side="left")
        count = np.searchsorted(self._shingles, distinct[:, 0], side="right") - start
        row = np.repeat(distinct[:, 1].astype(np.int64), count)
        inside = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        text = self._postings[np.repeat(start, count) + inside]
        couples, shared = np.unique(row * len(self.names) + text, return_counts=True)
        row, text = couples // len(self.names), couples % len(self.names)
        shorter = np.minimum(np.maximum(words.counts[row] - 2, 1), np.maximum(self._sizes[text], 1))
        share = np.minimum(shared / shorter, 1.0)
        near = np.flatnonzero((share >= _LEAST_SHARE) & (shared >= _LEAST_SHINGLES))
        best = near[np.lexsort((share[near], row[near]))]
        found = {int(row[i]): Overlap(int(row[i]), False, self.names[text[i]], float(share[i])) for i in best}
        return list(found.values())


def evaluation_index(folders: list[str], language: str | None) -> EvaluationIndex | None:
    """Index the queries and documents of retrieval sets in English and one language.

    Args:
        folders: Folders of retrieval sets (see :mod:`hf_optical.data.retrieval`).
        language: FLORES code of the translations; ``None`` to index all languages.

    Returns:
        The index, or ``None`` if the sets have no texts in these languages.

    Raises:
        InputError: A folder is not a retrieval set.
    """
    names, texts = [], []
    for folder in folders:
        files = scan(Path(folder))
        for kind in (files.queries, files.corpus):
            for tag, path in kind.items():
                if tag not in (ENGLISH, None, language) and language is not None:
                    continue
                for _, row in read_json_rows(path):
                    if isinstance(row, Fault):
                        continue  # the evaluation reports damaged rows; they have no text that could be shared
                    for field in ("text", "text_en"):
                        if isinstance(row.get(field), str):
                            name = row.get("_id", row.get("id"))
                            names.append(f"{path.parent.name}/{path.name}: {name}")
                            texts.append(row[field])
    return EvaluationIndex(names, texts) if texts else None


def _shingles(words: Words) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes of all word trigrams and the index of the text of each."""
    rows = words.rows
    if len(rows) < 3:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    inside = np.flatnonzero(rows[2:] == rows[:-2])
    hashes = words.hashes
    values = hashes[inside] * np.uint64(961) + hashes[inside + 1] * np.uint64(31) + hashes[inside + 2]
    return mixed(values), rows[inside]
