"""Storage of pairs of texts as a dataset, in memory if they are few and otherwise in a temporary memory-mapped file."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import datasets
import pyarrow as pa

__all__ = ["Pair", "to_dataset"]

Pair = tuple[str, str]

_SCHEMA = pa.schema([("source", pa.string()), ("translation", pa.string())])
_CHUNK = 10_000


def to_dataset(pairs: Iterator[Pair]) -> datasets.Dataset:
    """Write pairs into a dataset with the columns ``source`` and ``translation``.

    Fewer than ten thousand pairs stay in memory; more are written to an Arrow file in the temporary folder and
    memory-mapped, so that memory does not grow with the bitext. The file is removed when the process ends that wrote
    it.

    Example:
        >>> to_dataset(iter([("Good morning", "Habari ya asubuhi")])).column_names
        ['source', 'translation']
    """
    first = list(itertools.islice(pairs, _CHUNK))
    if len(first) < _CHUNK:
        return datasets.Dataset(_arrow(first))
    path = _temporary_folder() / "pairs.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, _SCHEMA) as writer:
        while first:
            writer.write_table(_arrow(first))
            first = list(itertools.islice(pairs, _CHUNK))
    return datasets.Dataset.from_file(str(path))


def _arrow(pairs: Sequence[Pair]) -> pa.Table:
    return pa.table(
        {"source": [source for source, _ in pairs], "translation": [other for _, other in pairs]}, schema=_SCHEMA
    )


def _temporary_folder() -> Path:
    """Create a temporary folder that is removed when this process ends."""
    folder, owner = Path(tempfile.mkdtemp(prefix="hf_optical-")), os.getpid()

    def remove() -> None:
        # A forked data-loader worker inherits this handler, but must not remove the folder of its parent.
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
