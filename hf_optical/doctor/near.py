"""Detection of duplicates and near-duplicates by signatures of a few bytes per row.

A row's signature has one byte of each of 32 minima over the hashes of the words and word pairs of both sides (MinHash:
Broder, 1997, "On the resemblance and containment of documents"; with few bits of each: Li and König, 2010,
arXiv:0910.3349). The share of equal bytes estimates the Jaccard similarity of two rows. Rows are compared if four
neighbouring bytes are equal (banding: Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", 3.4).
"""

from __future__ import annotations

import numpy as np

from hf_optical.doctor.word_hashes import Words, mixed

__all__ = ["LEAST_EQUAL", "SIGNATURE", "first_seen", "near_duplicates", "pair_keys", "signatures"]

SIGNATURE = 32
"""Number of bytes of a row's signature."""
LEAST_EQUAL = 25
"""Number of equal bytes, of 32, from which a row is a near-duplicate: an estimated Jaccard similarity of 0.78."""
_BAND = 4  # bytes of a band
_FACTORS = np.random.default_rng(20).integers(1 << 31, size=SIGNATURE, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
_ADDENDS = np.random.default_rng(21).integers(1 << 32, size=SIGNATURE, dtype=np.uint32)


def pair_keys(source: Words, translation: Words) -> np.ndarray:
    """Hash every pair to uint64, ``(pairs,)``, equal for pairs that differ only in case, punctuation and spaces."""
    return mixed(source.keys * np.uint64(3) + translation.keys)


def first_seen(keys: np.ndarray, earlier: np.ndarray | None = None) -> np.ndarray:
    """Find for each row the first row with the same key.

    Args:
        keys: Key of every row, ``(n,)``.
        earlier: Keys of rows of earlier files.

    Returns:
        Index of the first row with the key, which may be the row itself, or -1 if the key is among ``earlier``.

    Example:
        >>> first_seen(np.array([5, 7, 5, 9]), earlier=np.array([9])).tolist()
        [0, 1, 0, -1]
    """
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    found = first[inverse]
    if earlier is not None and len(earlier):
        found[np.isin(keys, earlier)] = -1
    return found


def signatures(source: Words, translation: Words) -> np.ndarray:
    """Compute the signature of every pair, uint8 ``(pairs, 32)``."""
    pairs = len(source.keys)
    lowest = np.full((SIGNATURE, pairs), np.iinfo(np.uint32).max, dtype=np.uint32)
    for salt, words in ((0, source), (0x5BD1E995, translation)):
        full = np.flatnonzero(words.counts)
        if not len(full):
            continue
        single = (words.hashes >> np.uint64(32)).astype(np.uint32) ^ np.uint32(salt)
        double = single.copy()
        # The last word of a text has no following word and is used alone in place of a word pair.
        inner = np.ones(len(double), dtype=bool)
        inner[words.ends[1:][full] - 1] = False
        inner = np.flatnonzero(inner)
        joined = mixed(words.hashes[inner] * np.uint64(31) + words.hashes[inner + 1])
        double[inner] = (joined >> np.uint64(32)).astype(np.uint32) ^ np.uint32(salt)
        starts = words.ends[:-1][full]
        for index in range(SIGNATURE):
            values = np.minimum(single * _FACTORS[index] + _ADDENDS[index], double * _FACTORS[index] + _ADDENDS[index])
            lowest[index, full] = np.minimum(lowest[index, full], np.minimum.reduceat(values, starts))
    # The high bits of minima are mostly zero, so the minima are mixed before one byte of them is kept.
    return np.ascontiguousarray(((lowest * np.uint32(0x85EBCA6B)) >> np.uint32(24)).astype(np.uint8).T)


def near_duplicates(signature: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find rows that are nearly the same as an earlier one.

    Args:
        signature: Signatures of all rows, uint8 ``(n, 32)``.
        rows: Indices of the rows to compare, ascending; exact duplicates should be excluded.

    Returns:
        Indices of the near-duplicates, and for each the index of an earlier row that is nearly the same.
    """
    original = np.full(len(signature), -1, dtype=np.int64)
    bands = signature.view(np.uint32)
    for band in range(SIGNATURE // _BAND):
        keys = bands[rows, band]
        order = np.argsort(keys, kind="stable")
        new = np.ones(len(order), dtype=bool)
        new[1:] = keys[order[1:]] != keys[order[:-1]]
        # Each row is compared with the one before it in its band, and with the first of the band.
        first = order[np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))]
        for other in (first, np.roll(order, 1)):
            mine, theirs = rows[order[~new]], rows[other[~new]]
            equal = (signature[mine] == signature[theirs]).sum(axis=1) >= LEAST_EQUAL
            original[mine[equal]] = theirs[equal]
    found = np.flatnonzero(original >= 0)
    return found, original[found]
