"""Options of ``hf-optical compare``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hf_optical.configuration.fields import option
from hf_optical.results import table_rows


@dataclass
class CompareConfig:
    """Compare methods on one budget, over languages and seeds."""

    runs: list[str] = option(
        [],
        "Two finished runs (output folders of train) to test against each other, in place of arms.",
        path=True,
        first=True,
    )
    config: str | None = option(None, "YAML file with these options.", path=True)
    output_dir: str = option("outputs/compare", "Where runs, results and report go.", path=True)
    common: dict[str, Any] = option({}, "Options of every run (see hf-optical train --help).")
    languages: dict[str, Any] = option({}, "By language: bitext, eval.")
    arms: dict[str, Any] = option({}, "By arm: what it changes.")
    seeds: list[int] = option([0, 1, 2], "Seeds.")
    baseline: str | None = option(None, "Arm to test against; the first if not given.")
    contrasts: dict[str, Any] = option(
        {}, "Claims named before the runs: by claim the two arms that it compares, [ours, theirs]."
    )
    equivalence: float = option(0.01, "Difference of two arms below which a contrast may call them equivalent.")
    metric: str = option("ndcg@10", "The measure compared.")
    references: list[str] = option(
        [table_rows.RAW, table_rows.BM25, table_rows.CEILING],
        "Computed once per language: raw, bm25, off_the_shelf, translate, ceiling.",
    )
    encoder: str | None = option(
        None,
        "Multilingual encoder, Hub id or folder, for the reference off_the_shelf, over an index of its own.",
        path=True,
    )
    translators: dict[str, Any] = option(
        {}, "Translation models (folders or ids) by language, or for 'all'.", path=True
    )
    bm25_tokenisation: str = option("words", "words or 4-grams.")
    sizes: list[Any] = option([], "Sentence pairs for learning curves: 250 1000.")
    curve_arms: list[str] = option([], "Arms run at these sizes; all if not given.")
    plans: int = option(1, "Sentences per language whose transport plan is drawn.")
    workers: int | str = option(
        "auto",
        "Runs at a time: a number, or auto, which is as many as cores and memory have room for.",
        former={"jobs": None},
    )
    threads: int | None = option(None, "Threads of each run on the CPU; OMP_NUM_THREADS if not given, or one.")
    keep_models: bool = option(False, "Keep the trained models.")
    report_only: bool = option(False, "Run nothing; report what is done.")
