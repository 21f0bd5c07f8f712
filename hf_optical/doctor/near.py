"""Duplicates and near-duplicates in a few bytes a row.

A row's signature holds one byte of each of 32 minima over the hashes of its words and word pairs, both sides (MinHash:
Broder, 1997, "On the resemblance and containment of documents"; with few bits kept: Li and König, 2010,
arXiv:0910.3349). The share of equal bytes estimates the Jaccard similarity of two rows. Rows that agree in four
neighbouring bytes are compared (banding: Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", 3.4).
"""

from __future__ import annotations

import numpy as np

from hf_optical.doctor.word_hashes import Words, mixed

__all__ = ["LEAST_EQUAL", "SIGNATURE", "first_seen", "near_duplicates", "pair_keys", "signatures"]

SIGNATURE = 32
"""Bytes of a row's signature."""
LEAST_EQUAL = 25
"""Equal bytes of 32 from which a row is a near-duplicate: an estimated Jaccard similarity of 0.78."""
_BAND = 4
_FACTORS = np.random.default_rng(20).integers(1 << 31, size=SIGNATURE, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
_ADDENDS = np.random.default_rng(21).integers(1 << 32, size=SIGNATURE, dtype=np.uint32)


def pair_keys(source: Words, translation: Words) -> np.ndarray:
    """One uint64 per pair, equal for pairs that differ in case, punctuation and spacing only."""
    return mixed(source.keys * np.uint64(3) + translation.keys)


def first_seen(keys: np.ndarray, earlier: np.ndarray | None = None) -> np.ndarray:
    """Return for each row the first row with the same key (itself included); -1 where a key was seen earlier.

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
    """The signature of every pair, uint8 ``(pairs, 32)``."""
    pairs = len(source.keys)
    lowest = np.full((SIGNATURE, pairs), np.iinfo(np.uint32).max, dtype=np.uint32)
    for salt, words in ((0, source), (0x5BD1E995, translation)):
        full = np.flatnonzero(words.counts)
        if not len(full):
            continue
        single = (words.hashes >> np.uint64(32)).astype(np.uint32) ^ np.uint32(salt)
        double = single.copy()
        # The last word of a text has no follower, and counts once more for itself.
        inner = np.ones(len(double), dtype=bool)
        inner[words.ends[1:][full] - 1] = False
        inner = np.flatnonzero(inner)
        joined = mixed(words.hashes[inner] * np.uint64(31) + words.hashes[inner + 1])
        double[inner] = (joined >> np.uint64(32)).astype(np.uint32) ^ np.uint32(salt)
        starts = words.ends[:-1][full]
        for index in range(SIGNATURE):
            values = np.minimum(single * _FACTORS[index] + _ADDENDS[index], double * _FACTORS[index] + _ADDENDS[index])
            lowest[index, full] = np.minimum(lowest[index, full], np.minimum.reduceat(values, starts))
    # The high bits of a minimum are zeros; a byte from below, mixed, tells minima apart.
    return np.ascontiguousarray(((lowest * np.uint32(0x85EBCA6B)) >> np.uint32(24)).astype(np.uint8).T)


def near_duplicates(signature: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find rows that nearly repeat an earlier one.

    Args:
        signature: Of all rows, ``(n, 32)`` uint8.
        rows: The rows to look at, ascending (such as those that are no exact duplicates and have words).

    Returns:
        The rows found, and for each the earlier row that it resembles.
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
