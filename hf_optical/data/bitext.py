"""Bitext: English sentences and their translations, read and checked before anything is trained on them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import datasets
import numpy as np

from hf_optical.data.pair_storage import Pair, to_dataset
from hf_optical.data.pairs import OnBadRows, PairReport, pairs_of
from hf_optical.data.sources import PairSource

__all__ = ["read_bitext"]


def read_bitext(
    source: PairSource,
    *,
    source_field: str | None = None,
    translation_field: str | None = None,
    language: str | None = None,
    split: str | None = None,
    on_bad_rows: OnBadRows = "error",
    report: PairReport | None = None,
) -> datasets.Dataset:
    """Read a bitext into a dataset with exactly two text columns, ``source`` (English) and ``translation``.

    Texts come out as they are in the file, outer space included, in Unicode's form NFC. Duplicates and untranslated
    copies are counted and reported, never removed: repeated short sentences are normal in some corpora.

    Args:
        source: A file (``.jsonl``, ``.json``, ``.tsv``, ``.csv``, also ``.gz``; ``.parquet``, ``.arrow``), a folder of
            such files or one that ``save_to_disk`` wrote, two text files in parallel, of which one is named
            (``corpus.en``, with ``corpus.sw`` beside it), several of these, a Hub dataset id (``owner/name`` or
            ``owner/name:configuration``), a dataset, or rows: mappings or pairs. TSV is split at tabs, without
            quoting, but for cells that pandas quoted; CSV follows RFC 4180.
        source_field: The English column. Default: guessed, with a message. ``"1"`` is the first column of a TSV or
            CSV without a header.
        translation_field: The column of the other language, likewise.
        language: The language of the translations, to recognise its column among several.
        split: The split of a Hub dataset (default ``"train"``).
        on_bad_rows: ``"error"`` stops at the first bad row; ``"skip"`` leaves such rows out, listed in ``report``.
        report: Filled with counts, the rows left out and the messages; several readings add up.

    Returns:
        A dataset of strings, memory-mapped where it has ten thousand rows or more.

    Raises:
        InputError: For a bad row (file, row, field, what was found), unclear columns, columns that were guessed the
            wrong way round, an empty or unreadable source.

    Example:
        >>> read_bitext([{"en": "Thank you", "sw": "Asante"}])[0]
        {'source': 'Thank you', 'translation': 'Asante'}
    """
    report = report if report is not None else PairReport()
    before = report.counts()
    pairs = pairs_of(
        source,
        source_field=source_field,
        translation_field=translation_field,
        language=language,
        split=split,
        on_bad_rows=on_bad_rows,
        report=report,
        sentences=True,
    )
    dataset = to_dataset(_counted(pairs, report))
    found = report.counts() - before
    report.note(
        f"bitext: {found['kept']} pairs; {found['duplicates']} exact duplicates and {found['copies']} untranslated "
        f"copies among them (kept); {found['skipped']} bad rows left out"
    )
    return dataset


def _counted(pairs: Iterator[Pair], report: PairReport) -> Iterator[Pair]:
    # Hashes, not texts, are kept, and not in a set, whose entries are objects: 8 bytes a pair. A collision among ten
    # million pairs has a chance of 3e-6, and would only make a reported count one too high.
    seen = array("q")
    for pair in pairs:
        seen.append(hash(pair))
        report.copies += pair[0].strip().casefold() == pair[1].strip().casefold()
        report.kept += 1
        yield pair
    report.duplicates += len(seen) - len(np.unique(np.frombuffer(seen, dtype=np.int64)))
