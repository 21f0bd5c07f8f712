"""Reader of bitext: English sentences and their translations, checked before training."""

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

    Texts are kept as they are in the file, with outer space, but in Unicode's normal form NFC. Duplicates and
    untranslated copies are counted and reported but never removed, because repeated short sentences are normal in some
    corpora.

    Args:
        source: A file (``.jsonl``, ``.json``, ``.tsv``, ``.csv``, also ``.gz``; ``.parquet``, ``.arrow``), a folder of
            such files or one that ``save_to_disk`` wrote, two parallel text files, of which one is named
            (``corpus.en``, with ``corpus.sw`` beside it), a list of these, a Hub dataset id (``owner/name`` or
            ``owner/name:configuration``), a dataset, or rows that are mappings or pairs. TSV is split at tabs without
            quoting, except for cells that pandas quoted; CSV follows RFC 4180.
        source_field: The English column. By default it is guessed, and a message says which column was taken. ``"1"``
            is the first column of a TSV or CSV without a header.
        translation_field: The column of the other language, guessed in the same way by default.
        language: The language of the translations, to recognise its column among several.
        split: The split of a Hub dataset. Default ``"train"``.
        on_bad_rows: ``"error"`` (default) stops at the first bad row; ``"skip"`` omits bad rows and lists them in
            ``report``.
        report: Object to which counts, skipped rows and messages are added.

    Returns:
        A dataset of strings, which is memory-mapped if it has ten thousand rows or more.

    Raises:
        InputError: A row is bad (the message names file, row, field and what was found), the columns are unclear or
            were guessed in the wrong order, or the source is empty or unreadable.

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
    """Pass pairs through and count them, their duplicates and untranslated copies."""
    # An array of hashes needs 8 bytes a pair, a set of texts or of int objects far more. A collision among ten million
    # pairs has a probability of 3e-6, and would only increase a reported count by one.
    seen = array("q")
    for pair in pairs:
        seen.append(hash(pair))
        report.copies += pair[0].strip().casefold() == pair[1].strip().casefold()
        report.kept += 1
        yield pair
    report.duplicates += len(seen) - len(np.unique(np.frombuffer(seen, dtype=np.int64)))
