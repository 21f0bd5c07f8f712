r"""Copy a retrieval set with its queries typed without accents and tone marks, as many people type them.

    python benchmarks/unmarked.py ../shared/data/eval/afriqa outputs/afriqa_unmarked --languages ig
    hf-optical evaluate --model STUDENT --document_model TEACHER --languages ig --titles \
        --eval ../shared/data/eval/afriqa --output_dir outputs/marked
    # and the same with outputs/afriqa_unmarked and --output_dir outputs/unmarked
    python benchmarks/unmarked.py --test outputs/marked outputs/unmarked

The passages and the judgements are copied as they are. The test is the paired randomisation test over questions.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np

from hf_optical.evaluation.paired_statistics import paired_tests
from hf_optical.results.measures import MAIN_MEASURE as METRIC


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="the set, and the folder of its copy")
    parser.add_argument("--languages", nargs="+", default=[], help="as the files are named")
    parser.add_argument("--test", nargs=2, type=Path, help="output folders of the two evaluations")
    options = parser.parse_args()
    if options.test:
        print(tested(*options.test))
        return
    if len(options.folders) != 2 or not options.languages:
        parser.error("give the set, the folder of its copy and --languages, or --test with two output folders")
    options.source, options.target = options.folders
    options.target.mkdir(parents=True, exist_ok=True)
    for file in sorted(options.source.iterdir()):
        kind, _, rest = file.name.partition(".")
        language = rest.partition(".")[0]
        if kind != "queries" and language in (*options.languages, "en", "all"):
            shutil.copy(file, options.target / file.name)
        elif kind == "queries" and language in options.languages:
            changed, total = copy_unmarked(file, options.target / file.name)
            print(f"{language}: {changed} of {total} queries lost marks")


def tested(marked: Path, unmarked: Path) -> str:
    """Compare two evaluations of one model, question by question."""
    first, second = (
        next(iter(json.loads((folder / "per_query.json").read_text(encoding="utf-8")).values()))
        for folder in (marked, unmarked)
    )
    pairs = np.array([[second[query][METRIC], first[query][METRIC]] for query in first])
    found = paired_tests((pairs[:, 0] - pairs[:, 1])[:, None])
    low, high = found.interval[0]
    return (
        f"{METRIC} marked {pairs[:, 1].mean():.3f}, unmarked {pairs[:, 0].mean():.3f}: {found.difference[0]:+.3f} "
        f"[{low:+.3f}, {high:+.3f}], p = {found.p[0]:.2g}, n {len(pairs)}"
    )


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
