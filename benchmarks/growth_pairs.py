"""Synthetic pairs for ``benchmarks/growth.py``: drawn by Zipf's law, as JSONL.gz and as Arrow files of the reader."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from hf_optical.data.bitext import read_bitext


def words(seed: int) -> Callable[[int], str]:
    """Makes a text of so many words; the words are of random syllables."""
    rng = random.Random(seed)
    syllables = [a + b for a in "bcdfghjklmnpqrstvwyz" for b in "aeiou"]
    vocabulary = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(30_000)]
    weights = np.cumsum(1 / np.arange(1, len(vocabulary) + 1))
    generator = np.random.default_rng(seed)
    drawn: Iterator[int] = iter(())

    def text(count: int) -> str:
        nonlocal drawn
        found = []
        while len(found) < count:
            for index in drawn:
                found.append(vocabulary[index])
                if len(found) == count:
                    break
            else:
                drawn = iter(np.searchsorted(weights, generator.random(100_000) * weights[-1]).tolist())
        return " ".join(found)

    return text


def rows(count: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """Synthetic pairs, one after the other."""
    english, other, rng = words(seed), words(seed + 1), random.Random(seed)
    for _ in range(count):
        size = rng.randint(4, 24)
        yield {"source": english(size), "translation": other(size)}


def short_rows(count: int) -> Iterator[str]:
    """Lines of JSONL for ten million pairs, made quickly: short, and nearly all different."""
    text = words(0)
    heads = [text(4) for _ in range(1000)]
    tails = [text(3) for _ in range(997)]
    for number in range(count):
        yield f'{{"source": "{heads[number % 1000]} {number}", "translation": "{tails[number % 997]} {number}"}}\n'


def data(folder: Path, count: int) -> Path:
    """A JSONL.gz file of synthetic pairs; of short ones beyond a million."""
    path = folder / f"{count}.jsonl.gz"
    if not path.exists():
        lines = short_rows(count) if count > 1_000_000 else (json.dumps(row) + "\n" for row in rows(count))
        with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as stream:
            stream.writelines(lines)
    return path


def arrow_name(folder: Path, count: int) -> Path:
    return folder / f"{count}.arrow"


def arrow(folder: Path, count: int) -> Path:
    """The same pairs as an Arrow file, as the reader leaves them."""
    target = arrow_name(folder, count)
    if not target.exists():
        process = multiprocessing.get_context("fork").Process(target=_keep, args=(data(folder, count), target))
        process.start()
        process.join()
    return target


def _keep(path: Path, target: Path) -> None:
    found = read_bitext(path)
    if found.cache_files:
        shutil.copy(found.cache_files[0]["filename"], target)
        return
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_stream(sink, found.data.table.schema) as writer:
        writer.write_table(found.data.table)
