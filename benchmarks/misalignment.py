"""How many misaligned pairs the lexical check finds, without a neural model.

``python benchmarks/misalignment.py FILE… [--share 0.2] [--max-rows 6000] [--json FILE]``. A share of the translations
is exchanged among themselves: ``anywhere`` at random, ``near`` each with that of the next exchanged row, a few rows
on, as in a file whose rows have shifted. ``none`` leaves the file as it is: what is flagged there was paired by its
makers. Precision and recall are those of the rows that the doctor marks at its defaults; the first lines of the table
are honest about files that are too small or too free for it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from hf_optical.doctor import examine
from hf_optical.doctor.kinds import bit_of
from hf_optical.doctor.reading import open_bitext


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--max-rows", type=int, default=6000, help="use the last N rows only; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    report = []
    print(f"{'file':<20}{'rows':>7}  {'exchanged':<10}{'marked':>8}{'recall':>8}{'precision':>11}  note")
    for path in options.files:
        bitext = open_bitext(path)
        pairs = [pair for c in bitext.chunks() for pair in zip(c.source, c.translation, strict=True)]
        pairs = pairs[-options.max_rows :]
        for how in ("none", "anywhere", "near"):
            spoilt, wrong = exchanged(pairs, 0.0 if how == "none" else options.share, how, options.seed)
            found = examine(spoilt, language=bitext.language)
            marked = found.flags & np.uint32(bit_of("misaligned")) > 0
            hits = int((marked & wrong).sum())
            note = next((n for n in found.verdict.notes if n.startswith("Lexical")), "")
            row = {
                "file": path.name,
                "rows": len(pairs),
                "exchanged": how,
                "marked": round(float(marked.mean()), 4),
                "recall": round(hits / wrong.sum(), 4) if wrong.any() else None,
                "precision": round(hits / marked.sum(), 4) if marked.any() and wrong.any() else None,
                "note": found.verdict.skipped.get("misaligned", note),
            }
            report.append(row)
            print(
                f"{row['file']:<20}{row['rows']:>7}  {how:<10}{marked.mean():>8.2%}{row['recall'] or 0:>8.3f}"
                f"{row['precision'] or 0:>11.3f}  {row['note']}",
                flush=True,
            )
    if options.json:
        content = {"share": options.share, "seed": options.seed, "rows": report}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def exchanged(
    pairs: list[tuple[str, str]], share: float, how: str, seed: int
) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Exchange a share of the translations; also which rows are wrong now."""
    rows = np.random.default_rng(seed).permutation(len(pairs))[: round(share * len(pairs))]
    if how == "near":
        rows = np.sort(rows)
    wrong = np.zeros(len(pairs), dtype=bool)
    spoilt = list(pairs)
    for row, other in zip(rows, np.roll(rows, 1), strict=True):
        spoilt[row] = (pairs[row][0], pairs[other][1])
        wrong[row] = pairs[row][1] != pairs[other][1]
    return spoilt, wrong


if __name__ == "__main__":
    main()
