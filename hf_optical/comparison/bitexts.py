"""Sentence pairs of a comparison: their number by language, and examples for pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from datasets import Dataset

from hf_optical.comparison.matrix import RunSpec, codes, listed
from hf_optical.data.bitext import read_bitext
from hf_optical.runs.training_data import bitext_by_language

_FEWEST_WORDS, _MOST_WORDS = 5, 9


def count_pairs(common: Mapping[str, Any], languages: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Count the sentence pairs that a run on the whole bitext reads, by language or group of languages.

    Args:
        common: Options of every run.
        languages: Options by language.
    """
    found = {}
    for language, own in languages.items():
        options = {**common, **own}
        rows = (len(rows) for rows in _bitexts(options, language))
        most = options.get("max_pairs")
        found[language] = sum(min(count, int(most)) if most else count for count in rows)
    return found


def example_pairs(cell: RunSpec, count: int = 1) -> list[tuple[str, str]]:
    """Choose the first sentence pairs of a run's bitext that have five to nine words on both sides, for pictures."""
    pairs = (
        (str(row["source"]), str(row["translation"]))
        for rows in _bitexts(cell.options, cell.language)
        for row in rows
        if all(_FEWEST_WORDS <= len(str(text).split()) <= _MOST_WORDS for text in row.values())
    )
    return list(islice(pairs, count))


def _bitexts(options: Mapping[str, Any], language: str) -> Iterator[Dataset]:
    """Return the bitext of each language of a run."""
    # If a run has several languages, the bitext option maps languages to files.
    alone = None if "+" in language else codes(language)
    for code, file in bitext_by_language(listed(options.get("bitext") or []), alone).items():
        yield read_bitext(
            file,
            source_field=options.get("source_field"),
            translation_field=options.get("translation_field"),
            language=code,
            on_bad_rows=options.get("on_bad_rows", "error"),
        )
