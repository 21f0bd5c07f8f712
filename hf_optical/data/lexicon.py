"""Reader of lexicons: English words or terms and their translations."""

from __future__ import annotations

from collections.abc import Iterator

import datasets

from hf_optical.data.pair_storage import Pair, to_dataset
from hf_optical.data.pairs import OnBadRows, PairReport, pairs_of
from hf_optical.data.sources import PairSource

__all__ = ["read_lexicon"]


def read_lexicon(
    source: PairSource,
    *,
    source_field: str | None = None,
    translation_field: str | None = None,
    language: str | None = None,
    split: str | None = None,
    on_bad_rows: OnBadRows = "error",
    report: PairReport | None = None,
) -> datasets.Dataset:
    """Read a lexicon into a dataset with two text columns, ``source`` (English) and ``translation``.

    Outer space is removed. Repeated pairs are omitted and counted (``report.duplicates``), because they would have a
    higher weight than other entries. One word may have several translations.

    Args:
        source: As in :func:`hf_optical.data.bitext.read_bitext`.
        source_field: The English column. By default it is guessed, and a message says which column was taken.
        translation_field: The column of the other language, guessed in the same way by default.
        language: The language of the translations, to recognise its column among several.
        split: The split of a Hub dataset. Default ``"train"``.
        on_bad_rows: ``"error"`` (default) stops at the first bad row; ``"skip"`` omits bad rows.
        report: Object to which counts, skipped rows and messages are added.

    Returns:
        A dataset of distinct pairs in the order of their first occurrence.

    Raises:
        InputError: As in :func:`hf_optical.data.bitext.read_bitext`.

    Example:
        >>> read_lexicon([("water", "maji"), ("water ", "maji")]).num_rows
        1
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
    )
    dataset = to_dataset(_distinct(pairs, report))
    found = report.counts() - before
    report.note(
        f"lexicon: {found['kept']} pairs; {found['duplicates']} repeated and left out; "
        f"{found['skipped']} bad rows left out"
    )
    return dataset


def _distinct(pairs: Iterator[Pair], report: PairReport) -> Iterator[Pair]:
    """Yield each pair once, without outer space, and count the pairs."""
    seen: set[Pair] = set()
    for source, translation in pairs:
        pair = (source.strip(), translation.strip())
        report.copies += pair[0].casefold() == pair[1].casefold()
        if pair in seen:
            report.duplicates += 1
            continue
        seen.add(pair)
        report.kept += 1
        yield pair
