"""Recall and precision of the doctor on planted defects, per kind.

``python benchmarks/doctor_planted.py BITEXT --against EVAL_DIR [--each 100] [--max-rows N] [--seed K] [--json FILE]``.
The bitext is first cleaned by the doctor itself (every kind dropped, the evaluation set's texts too), then rows are
spoilt: ``--each`` rows of every kind, at known places. A row is found if it is flagged with its own kind. A flag of a
kind on a row that was spoilt otherwise, or not at all, is a false one, except where one defect truly is another as
well (``ALSO``: a copy in Latin script, say, is also in the wrong script).
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hf_optical.data.languages import script_of
from hf_optical.data.tables import read_json_rows
from hf_optical.doctor import Checks, evaluation_index, examine
from hf_optical.doctor.kinds import KINDS, kinds_of

Row = dict[str, str | None]
# Planted kind to what it is as well.
ALSO = {
    "copy": {"script"},
    "script": {"length_ratio", "misaligned"},
    "encoding": {"misaligned", "length_ratio", "script", "control"},
    "overlong": {"length_ratio"},
    "eval_exact": {"misaligned", "length_ratio", "number"},
    "eval_near": {"misaligned", "length_ratio", "number"},
    "length_ratio": {"misaligned", "number"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bitext", type=Path)
    parser.add_argument("--against", type=Path, required=True)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--max-rows", type=int, default=0, help="use the last N rows only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    first = examine(options.bitext)
    language = first.verdict.language
    index = evaluation_index([str(options.against)], language)
    rows = [
        {"en": source, "xx": translation}
        for chunk in first.chunks()
        for source, translation in zip(chunk.source, chunk.translation, strict=True)
    ][-options.max_rows :]
    clean = cleaned(rows, language, index)
    print(f"{options.bitext.name}: {len(rows)} rows, {len(clean)} after cleaning, {options.each} planted of each kind")
    spoilt, planted = plant(clean, options.each, options.seed, language, str(options.against))
    # Without the lexical check: it judges a row by the file, and a wrong pair is no planted defect of another kind.
    checks = Checks(drop=["all"], misaligned=False)
    examination = examine(spoilt, language=language, checks=checks, index=index)
    found = {row: set(kinds_of(int(flags))) for row, flags in enumerate(examination.flags) if flags}
    report = [score(kind.name, planted, found) for kind in KINDS if kind.name in set(planted.values())]
    print(f"{'kind':<16}{'planted':>8}{'found':>7}{'flagged':>9}{'recall':>8}{'precision':>11}  false flags on")
    for row in report:
        print(
            f"{row['kind']:<16}{row['planted']:>8}{row['found']:>7}{row['flagged']:>9}{row['recall']:>8.3f}"
            f"{row['precision']:>11.3f}  {', '.join(f'{name} {n}' for name, n in row['false_on'].items())}"
        )
    if options.json:
        content = {"file": options.bitext.name, "rows": len(clean), "seed": options.seed, "kinds": report}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def cleaned(rows: list[Row], language: str | None, index: object) -> list[Row]:
    """Rows in which the doctor finds nothing; twice, for a cleaned file has narrower usual lengths."""
    for _ in range(2):
        flags = examine(rows, language=language, checks=Checks(misaligned=False), index=index).flags  # type: ignore[arg-type]
        rows = [row for row, bits in zip(rows, flags, strict=True) if not bits]
    return rows


def score(kind: str, planted: dict[int, str], found: dict[int, set[str]]) -> dict[str, Any]:
    mine = [row for row, name in planted.items() if name == kind]
    hits = sum(kind in found.get(row, ()) for row in mine)
    wrong = [
        planted.get(row, "sound")
        for row, names in found.items()
        if kind in names and planted.get(row) != kind and kind not in ALSO.get(planted.get(row, ""), ())
    ]
    flagged = hits + len(wrong)
    recall, precision = hits / len(mine), hits / flagged if flagged else 0.0
    return {
        "kind": kind, "planted": len(mine), "found": hits, "flagged": flagged,
        "recall": round(recall, 4), "precision": round(precision, 4), "false_on": dict(Counter(wrong)),
    }  # fmt: skip


def plant(
    rows: list[Row], each: int, seed: int, language: str | None, against: str
) -> tuple[list[Row], dict[int, str]]:
    """Spoil rows; duplicates and near-duplicates are spoilt by what an earlier row holds."""
    draw = random.Random(seed)
    rows = [dict(row) for row in rows]
    # Each text once: two rows with one text would be near-duplicates as well.
    texts = itertools.cycle(draw.sample(found := _evaluation_texts(against), len(found)))
    long = [i for i, row in enumerate(rows) if min(len(str(row[s]).split()) for s in ("en", "xx")) >= 14]
    # Mojibake and joined sentences are several times longer; from these rows they do not become overlong as well.
    short = {i for i, row in enumerate(rows) if max(len(str(text).split()) for text in row.values()) <= 40}
    numbers = [i for i, row in enumerate(rows) if _shared_number(row)]
    half = len(rows) // 2
    makers: dict[str, tuple[Callable[[Row], Row], list[int] | None]] = {
        "number": (lambda row: _other_number(row), numbers),
        "near_duplicate": (lambda row: _nearly(rows[draw.choice([i for i in long if i < half])], draw), None),
        "duplicate": (lambda row: _again(rows[draw.randrange(half)]), None),
        "unreadable": (lambda row: {"en": row["en"], "xx": None}, None),
        "empty": (lambda row: {**row, draw.choice(["en", "xx"]): draw.choice(["", "  ", "\u200b", "\u3164"])}, None),
        "encoding": (lambda row: _broken(row, draw), sorted(short)),
        "control": (lambda row: _inserted(row, draw.choice("\x00\x07\x1b\x9d\u202e\ue000\ufeff"), draw), None),
        "copy": (lambda row: {"en": row["en"], "xx": draw.choice([str, str.lower])(str(row["en"]))}, None),
        "script": (lambda row: {**row, "xx": _in_other_script(str(row["xx"]), language)}, None),
        "length_ratio": (
            lambda row: _cut_or_joined(row, rows[draw.randrange(half)], draw),
            [i for i in long if i in short],
        ),
        "overlong": (
            lambda row: {s: " ".join([str(row[s])] * (250 // len(str(row[s]).split()) + 1)) for s in row},
            None,
        ),
        "eval_exact": (lambda row: {**row, "en": next(texts).upper()}, None),
        "eval_near": (lambda row: {**row, "en": _one_word_changed(next(texts), draw)}, None),
    }
    # Originals of duplicates lie in the first half, which stays as it is.
    planted: dict[int, str] = {}
    for kind, (make, among) in makers.items():
        free = [i for i in (among or range(len(rows))) if i >= half and i not in planted]
        for row in draw.sample(free, min(each, len(free))):
            rows[row] = make(rows[row])
            planted[row] = kind
    return rows, planted


def _evaluation_texts(folder: str) -> list[str]:
    found = []
    for path in sorted(Path(folder).glob("corpus.en.jsonl*")):
        found += [row["text"] for _, row in read_json_rows(path) if isinstance(row, dict)]
    return [text for text in found if len(text.split()) >= 12]


def _shared_number(row: Row) -> str | None:
    found = [set(re.findall(r"(?<![\d.,])\d{2,}(?![\d.,]\d)", str(row[side]))) for side in ("en", "xx")]
    return min(found[0] & found[1], default=None)


def _other_number(row: Row) -> Row:
    number = str(_shared_number(row))
    return {**row, "xx": str(row["xx"]).replace(number, str(int(number) + 13))}


def _again(row: Row) -> Row:
    return {"en": str(row["en"]).upper(), "xx": f"{row['xx']} ."}


def _nearly(row: Row, draw: random.Random) -> Row:
    def changed(text: str) -> str:
        words = text.split()
        return " ".join(words[:-1] if draw.random() < 0.5 else [*words, words[draw.randrange(len(words))]])

    return {side: changed(str(text)) for side, text in row.items()}


def _broken(row: Row, draw: random.Random) -> Row:
    text = str(row["xx"])
    if text.isascii():
        return _inserted(row, draw.choice(["\ufffd", "â€™", "Ã©"]), draw)
    misread = text.encode("utf-8").decode("latin-1")
    return {**row, "xx": misread}


def _inserted(row: Row, what: str, draw: random.Random) -> Row:
    text = str(row["xx"])
    place = draw.randrange(len(text))
    return {**row, "xx": text[:place] + what + text[place:]}


def _in_other_script(text: str, language: str | None) -> str:
    latin = language is None or script_of(language) == "Latn"
    start = 0x430 if latin else ord("a")  # Cyrillic, or Latin
    return "".join(chr(start + ord(c) % 26) if c.isalpha() else c for c in text)


def _cut_or_joined(row: Row, other: Row, draw: random.Random) -> Row:
    text = str(row["xx"])
    if draw.random() < 0.5:
        return {**row, "xx": text[: max(3, len(text) // 6)]}
    joined = f"{text} {other['xx']}"
    while len(joined) < 4 * len(text):
        joined += f" {text[::-1]} {other['xx']}"
    return {**row, "xx": joined}


def _one_word_changed(text: str, draw: random.Random) -> str:
    words = text.split()
    words[draw.randrange(1, len(words) - 1)] = "something"
    return " ".join(words)


if __name__ == "__main__":
    main()
