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
    config: str | None = option(None, "YAML file with any of these options; flags override it.", path=True)
    output_dir: str = option("outputs/compare", "Folder for runs, results and report.", path=True)
    common: dict[str, Any] = option({}, "Options of every run (see hf-optical train --help).")
    languages: dict[str, Any] = option({}, "Languages of the comparison, each with its bitext and eval.")
    arms: dict[str, Any] = option({}, "Arms of the comparison, each with the options that it changes.")
    seeds: list[int] = option([0, 1, 2], "Seeds.")
    baseline: str | None = option(None, "Arm with which the others are compared; the first if not given.")
    contrasts: dict[str, Any] = option(
        {}, "Claims fixed before the runs, each with the two arms that it compares: [ours, theirs]."
    )
    equivalence: float = option(0.01, "Largest difference at which two arms of a contrast count as equivalent.")
    metric: str = option("ndcg@10", "Measure in which arms are compared, such as ndcg@10.")
    references: list[str] = option(
        [table_rows.RAW, table_rows.BM25, table_rows.CEILING],
        "References computed once per language: raw, bm25, off_the_shelf, translate, ceiling.",
    )
    encoder: str | None = option(
        None,
        "Multilingual encoder of the reference off_the_shelf, which has its own index: Hub id or folder.",
        path=True,
    )
    translators: dict[str, Any] = option(
        {}, "Translation models (folders or ids) by language, or for 'all'.", path=True
    )
    bm25_tokenisation: str = option(
        "words", "Tokens of the BM25 reference: words or 4-grams; 4-grams find inflected forms."
    )
    sizes: list[Any] = option([], "Numbers of sentence pairs for learning curves, such as 250 1000.")
    curve_arms: list[str] = option([], "Arms that are run at these sizes; all if not given.")
    plans: int = option(1, "Number of sentences per language whose transport plan is drawn.")
    workers: int | str = option(
        "auto",
        "Number of runs at a time, or auto for as many as fit into cores and memory.",
        former={"jobs": None},
    )
    threads: int | None = option(None, "CPU threads of each run; OMP_NUM_THREADS or one if not given.")
    keep_models: bool = option(False, "Keep the trained models, not only their results.")
    report_only: bool = option(False, "Run nothing and report the finished runs.")
