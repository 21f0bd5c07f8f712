"""Spoil a share of a bitext as found corpora are spoilt.

``python benchmarks/plant_noise.py IN OUT --share 0.2 --seed K``

A fifth of the spoilt rows each: the translation of another row (half from anywhere, half from a neighbour), the English
in place of the translation, a sentence of another file's language (``--other FILE``; without it a translation with its
words in random order from other rows), the translation cut to a third, and mojibake (UTF-8 read as Windows-1252; ASCII
texts, which survive that, lose characters to U+FFFD). Which row got what is in ``OUT.planted.json``. The same seed
gives the same file.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

NOISE = ("misaligned", "copy", "language", "truncated", "mojibake")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--other", type=Path, help="bitext in another language, for rows in a wrong language")
    parser.add_argument("--fields", nargs=2, default=["en", "xx"], help="English and its translation")
    options = parser.parse_args()
    rows = read(options.source)
    foreign = [row[options.fields[1]] for row in read(options.other)] if options.other else []
    pairs = [(row[options.fields[0]], row[options.fields[1]]) for row in rows]
    noisy, planted = plant_noise(pairs, options.share, options.seed, foreign)
    for row, (_, translation) in zip(rows, noisy, strict=True):
        row[options.fields[1]] = translation
    write(options.target, rows)
    listed = Path(f"{options.target}.planted.json")
    listed.write_text(json.dumps({str(row + 1): kind for row, kind in sorted(planted.items())}, indent=0) + "\n")
    print(f"{len(planted)} of {len(rows)} rows spoilt; which ones: {listed}")


def plant_noise(
    pairs: Sequence[tuple[str, str]], share: float, seed: int, foreign: Sequence[str] = ()
) -> tuple[list[tuple[str, str]], dict[int, str]]:
    """Spoil a share of the translations; returns the pairs and, by place, the kind of noise."""
    draw = random.Random(seed)
    chosen = draw.sample(range(len(pairs)), round(share * len(pairs)))
    spoil: dict[str, Callable[[int], str]] = {
        "misaligned": lambda row: _other(pairs, row, draw),
        "copy": lambda row: pairs[row][0],
        "language": lambda row: draw.choice(foreign) if foreign else _salad(pairs, row, draw),
        "truncated": lambda row: pairs[row][1][: max(1, len(pairs[row][1]) // 3)],
        "mojibake": lambda row: _mojibake(pairs[row][1], draw),
    }
    noisy, planted = list(pairs), {}
    for index, row in enumerate(chosen):
        kind = NOISE[index % len(NOISE)]
        noisy[row] = (pairs[row][0], spoil[kind](row))
        planted[row] = kind
    return noisy, planted


def _other(pairs: Sequence[tuple[str, str]], row: int, draw: random.Random) -> str:
    step = draw.randint(1, 3) if draw.random() < 0.5 else draw.randrange(1, len(pairs))
    return pairs[(row + step) % len(pairs)][1]


def _salad(pairs: Sequence[tuple[str, str]], row: int, draw: random.Random) -> str:
    return " ".join(draw.choice(draw.choice(pairs)[1].split() or ["?"]) for _ in pairs[row][1].split())


def _mojibake(text: str, draw: random.Random) -> str:
    if text.isascii():
        return "".join("\ufffd" if draw.random() < 0.08 else character for character in text) + "\ufffd"
    return "".join(_misread(byte) for byte in text.encode("utf-8"))


def _misread(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:
        return chr(byte)


def read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") if path.suffix == ".gz" else path.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    main()
