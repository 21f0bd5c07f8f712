"""All of answer.yaml in small: every arm, language and size, on a tiny encoder and made-up data, four steps a run.

    python benchmarks/answer_dry_run.py --output_dir outputs/answer_dry_run

It proves that each run of the matrix starts, trains, is measured and is reported (54 runs of one seed, 20 minutes on a
busy core) before hours of a GPU are spent. The scores mean nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import tiny_models  # noqa: E402
from tiny_sets import write_retrieval_set, write_rows  # noqa: E402

SETS = ("afriqa", "ntrex_passage", "ntrex_bitext")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/answer_dry_run"))
    options = parser.parse_args()
    folder = options.output_dir.resolve() / "made_up"
    folder.mkdir(parents=True, exist_ok=True)
    make_data(folder)
    config = options.output_dir / "answer.yaml"
    config.write_text(yaml.safe_dump(small(folder, options.output_dir.resolve() / "runs"), sort_keys=False), "utf-8")
    sys.exit(
        subprocess.run([sys.executable, "recipes/compare.py", "--config", str(config.resolve())], cwd=ROOT).returncode
    )


def make_data(folder: Path) -> None:
    """Write a tiny encoder, bitext, questions and retrieval sets under the names of answer.yaml."""
    tiny_models.dense(folder, [*tiny_models.ENGLISH, *tiny_models.SWAHILI], positions=128).save_pretrained(
        folder / "e5"
    )
    for number, code in enumerate(("ig", "rw")):
        pairs = tiny_models.bitext(160, seed=number)
        rows = [{"id": f"{code}{i}", "en": row["source"], "xx": row["translation"]} for i, row in enumerate(pairs)]
        write_rows(folder / f"{code}.jsonl", rows)
        write_rows(folder / f"afriqa.{code}.train.jsonl", questions(code, tiny_models.bitext(110, seed=10 + number)))
    write_rows(folder / "train.jsonl", questions("en", tiny_models.bitext(150, seed=5)))
    pairs = {row["source"]: row["translation"] for row in tiny_models.bitext(40, seed=33)}
    english, translations = list(pairs)[:25], list(pairs.values())[:25]
    for name in SETS:
        write_retrieval_set(folder / name, {"en": english}, {"ig": translations, "rw": translations, "en": english})


def questions(code: str, pairs: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Make rows of questions and passages; the passages are numbered, because none may occur twice."""
    asked = "source" if code == "en" else "translation"
    return [{"id": f"{code}{i}", "query": row[asked], "passage": f"{row['source']} {i}"} for i, row in enumerate(pairs)]


def small(folder: Path, output: Path) -> dict[str, object]:
    """Read answer.yaml with the made-up data in place of the real data, and four steps of four pairs."""
    text = (ROOT / "benchmarks" / "answer.yaml").read_text("utf-8")
    for real, made_up in (
        ("../models/e5", "e5"),
        ("outputs/clean/", ""),
        ("../shared/data/en_retrieval/train.jsonl.gz", "train.jsonl"),
        ("../shared/data/clir_train/afriqa.rw.train.jsonl.gz", "afriqa.rw.train.jsonl"),
        ("../shared/data/clir_train/afriqa.ig.train.jsonl.gz", "afriqa.ig.train.jsonl"),
        ("../shared/data/eval/", ""),
    ):
        assert real in text, real
        text = text.replace(real, f"{folder}/{made_up}")
    config = yaml.safe_load(text)
    config["common"] |= {"max_steps": 4, "batch_size": 4, "check_data": False}
    return config | {"seeds": [0], "sizes": [60, 100], "workers": 1, "output_dir": str(output)}


if __name__ == "__main__":
    main()
