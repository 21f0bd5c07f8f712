"""Copy a retrieval set with its queries typed without accents and tone marks, as many people type them.

    python benchmarks/unmarked.py ../shared/data/eval/afriqa outputs/afriqa_unmarked --languages ig
    hf-optical evaluate --model STUDENT --teacher TEACHER --eval outputs/afriqa_unmarked --titles

The passages and the judgements are copied as they are.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import unicodedata
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--languages", nargs="+", required=True, help="as the files are named")
    options = parser.parse_args()
    options.target.mkdir(parents=True, exist_ok=True)
    for file in sorted(options.source.iterdir()):
        kind, _, rest = file.name.partition(".")
        language = rest.partition(".")[0]
        if kind != "queries" and language in (*options.languages, "en", "all"):
            shutil.copy(file, options.target / file.name)
        elif kind == "queries" and language in options.languages:
            changed, total = copy_unmarked(file, options.target / file.name)
            print(f"{language}: {changed} of {total} queries lost marks")


def copy_unmarked(source: Path, target: Path) -> tuple[int, int]:
    """Copy queries without marks, and count those that had some."""
    opened = gzip.open if source.suffix == ".gz" else open
    with opened(source, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    changed = 0
    for row in rows:
        bare = "".join(sign for sign in unicodedata.normalize("NFD", row["text"]) if unicodedata.category(sign) != "Mn")
        changed += bare != unicodedata.normalize("NFD", row["text"])
        row["text"] = bare
    with opened(target, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return changed, len(rows)


if __name__ == "__main__":
    main()
