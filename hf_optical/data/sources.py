"""Opening of sources of pairs: files, folders, parallel files, Hub data sets, data sets and rows in memory."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import datasets

from hf_optical.data.parallel_files import ParallelFiles, parallel_files
from hf_optical.data.shards import shards
from hf_optical.data.tables import FORMATS, Fault, Numbered, Records, read_records
from hf_optical.errors import InputError
from hf_optical.places import user_path

__all__ = ["PairSource", "records_of", "single_sources"]

PairSource: TypeAlias = str | Path | ParallelFiles | Sequence[Any] | datasets.Dataset

_CHUNK = 10_000
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?")


def _several(source: PairSource) -> bool:
    """Return whether a list holds paths or ids of sources and not rows."""
    return isinstance(source, list | tuple) and len(source) > 0 and all(isinstance(one, str | Path) for one in source)


def single_sources(
    source: PairSource | Sequence[PairSource], *, language: str | None = None, split: str | None = None
) -> list[PairSource]:
    """List the single tables of a source: the files of a folder, or those of each source of a list.

    Args:
        source: As in :func:`hf_optical.data.bitext.read_bitext`.
        language: FLORES code of the translations, to find the partner of an English text file. Two parallel files are
            one table.
        split: Split to read if a folder has several.

    Raises:
        InputError: A folder has no data, or a text file has no partner.
    """
    if isinstance(source, list | tuple) and _several(source):
        return [one for item in source for one in single_sources(item, language=language, split=split)]
    if not isinstance(source, str | Path):
        return [source]
    path = user_path(source)
    pair = parallel_files(path, language)
    if pair is not None:
        return [pair]
    return list(shards(path, split)) if path.is_dir() else [source]


def records_of(source: PairSource, split: str | None) -> tuple[str, Records]:
    """Open a file, load a Hub data set or wrap rows in memory.

    Args:
        source: A single source, as :func:`single_sources` returns it.
        split: Split of a Hub data set. Default ``"train"``.

    Returns:
        The name of the source for messages, and its records.

    Raises:
        InputError: There is no such file or data set, or it cannot be read.
    """
    if isinstance(source, datasets.Dataset):
        return "dataset", _dataset_records(source)
    if isinstance(source, ParallelFiles):
        return str(source), source.records()
    if not isinstance(source, str | Path):
        return "rows", _sequence_records(source)
    path = user_path(source)
    if path.exists():
        return str(source), read_records(path)
    named_like_a_file = path.suffix.lower() in (*FORMATS, ".gz", ".txt") or path.is_absolute()
    if isinstance(source, Path) or named_like_a_file or not _HUB_ID.fullmatch(source):
        raise InputError(
            "there is no such file", "check the path, or give a Hub dataset id as 'owner/name'", path=source
        )
    return source, _dataset_records(_load_hub(source, split))


def _load_hub(identifier: str, split: str | None) -> datasets.Dataset:
    """Load ``owner/name`` or ``owner/name:configuration`` from the Hub or its local cache, without remote code."""
    name, _, configuration = identifier.partition(":")
    try:
        return datasets.load_dataset(name, configuration or None, split=split or "train")
    except Exception as error:  # the Hub client raises a dozen unrelated types
        raise InputError(
            f"this is not an existing file, and no such dataset could be loaded from the Hub "
            f"({type(error).__name__}: {error})",
            "check the path or the id ('owner/name' or 'owner/name:configuration') and the split; without a network, "
            "download it beforehand or give a file",
            path=identifier,
        ) from error


def _dataset_records(dataset: datasets.Dataset) -> Records:
    flat = dataset.flatten()
    columns = list(flat.column_names)

    def rows() -> Iterator[Numbered]:
        numbers = itertools.count(1)
        for batch in flat.iter(batch_size=_CHUNK):
            for values in zip(*(batch[column] for column in columns), strict=True):
                yield next(numbers), dict(zip(columns, values, strict=True))

    return Records(columns, rows())


def _sequence_records(rows: Sequence[Any]) -> Records:
    """Wrap rows in memory, which are mappings or (English, translation) pairs."""
    if not isinstance(rows, Sequence):
        remedy = "give a file, a Hub id, a datasets.Dataset, or a list of mappings or pairs"
        raise InputError(f"found {type(rows).__name__} where a source of pairs is expected", remedy)
    if not rows:
        raise InputError("there are no rows", "give at least one pair")
    named = dict.fromkeys(str(key) for row in rows[:100] if isinstance(row, Mapping) for key in row)
    columns = list(named) or ["source", "translation"]

    def numbered() -> Iterator[Numbered]:
        for number, row in enumerate(rows, start=1):
            if isinstance(row, Mapping):
                yield number, dict(row)
            elif not named and isinstance(row, Sequence) and not isinstance(row, str) and len(row) == 2:
                yield number, dict(zip(columns, row, strict=True))
            else:
                yield number, Fault(f"found {row!r:.60}, which is neither a mapping nor a pair")

    return Records(columns, numbered(), placed=not named)
