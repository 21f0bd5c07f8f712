"""Find defects of sentence pairs before training, and write the sound pairs.

``hf-optical doctor FILE… [--against EVAL_DIR] [--write clean.jsonl] [--output_dir OUT]``. Several files are examined
one by one, but a pair of an earlier file counts as a duplicate.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from hf_optical.commands.options.doctor import DoctorConfig
from hf_optical.data.fingerprint import file_fingerprint
from hf_optical.data.languages import normalize
from hf_optical.data.parallel_files import ParallelFiles
from hf_optical.data.sources import PairSource, single_sources
from hf_optical.doctor import Checks, Examination, evaluation_index, examine, write_clean
from hf_optical.doctor.cleaning import dropped_beside
from hf_optical.doctor.page import write_page
from hf_optical.doctor.reading import open_bitext
from hf_optical.places import holding_output, user_path
from hf_optical.results.files import write_results


@holding_output
def main(config: DoctorConfig) -> None:
    """Read and examine the files, print the verdicts and write the results."""
    started, examinations = time.time(), []
    earlier = np.zeros(0, dtype=np.uint64)
    sources = [one for file in config.files for one in single_sources(file, language=_code(config.language))]
    for source in sources:
        found = _examine(config, source, earlier)
        earlier = np.concatenate([earlier, found.keys])
        examinations.append(found)
        print(f"\n{found.verdict.text()}\n\n{found.verdict.table()}")
    if config.write:
        beside = dropped_beside(config.write)
        kept, dropped = write_clean(examinations, config.write, beside)
        listed = f", {beside.name} beside it ({dropped} rows)" if dropped else "; no row is left out"
        print(f"\nWritten: {config.write} ({kept} rows){listed}")
    verdicts = [found.verdict for found in examinations]
    page = write_page(verdicts, Path(config.output_dir) / "report.html")
    path = write_results(
        config.output_dir,
        evaluations=[],
        data=[file_fingerprint(file) for file in _files(sources)],
        started=started,
        verdicts=[verdict.as_dict() for verdict in verdicts],
    )
    print(f"\nWritten: {path}, {page}")


def _code(language: str | None) -> str | None:
    return normalize(language) if language else None


def _files(sources: list[PairSource]) -> list[Path]:
    found: list[Path] = []
    for source in sources:
        if isinstance(source, ParallelFiles):
            found += [source.english, source.other]
        elif isinstance(source, str | Path) and user_path(source).exists():
            found.append(user_path(source))
    return found


def _examine(config: DoctorConfig, file: PairSource, earlier: np.ndarray) -> Examination:
    columns = {"source_field": config.source_field, "translation_field": config.translation_field}
    opened = open_bitext(file, language=config.language, **columns)
    language = opened.language
    print(f"{opened.name}: {opened.columns.said()}")
    row_checks: list[Any] = []
    if config.identify:
        from hf_optical.doctor.optional import LanguageCheck

        row_checks.append(LanguageCheck(language))
    found = examine(
        file,
        language=language,
        checks=Checks(
            config.max_words, near=config.near, misaligned=config.misaligned, drop=config.drop, progress=True
        ),
        index=evaluation_index(config.against, language) if config.against else None,
        earlier=earlier,
        row_checks=row_checks,
        **columns,
    )
    if config.teacher:
        from hf_optical.doctor.optional import check_with_model
        from hf_optical.encoders.models import load_encoder

        check_with_model(found, load_encoder(config.teacher), batch_size=config.batch_size)
    return found
