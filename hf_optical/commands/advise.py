"""Advise which road to take: grow a student, map another encoder onto the index, distil its model, or make a new one.

``hf-optical advise --teacher T --bitext FILE --language sw``; without ``--teacher`` if there is no index. Measures the
present retrieval and the start of every road on pairs held out of your own bitext, in minutes, without training.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from hf_optical.commands.options.advise import AdviseConfig
from hf_optical.data.bitext import read_bitext
from hf_optical.data.fingerprint import file_fingerprint
from hf_optical.data.held_out import document_names
from hf_optical.data.languages import normalize
from hf_optical.places import holding_output
from hf_optical.results.files import portable, write_results
from hf_optical.runs.road_words import advise
from hf_optical.runs.roads import measure_roads


@holding_output
def main(config: AdviseConfig) -> None:
    """Measure the roads, print the advice and write the results."""
    started, computed, language = time.time(), time.process_time(), normalize(config.language)
    fields: dict[str, Any] = {"source_field": config.source_field, "translation_field": config.translation_field}
    rows = read_bitext(config.bitext, language=language, **fields)
    roads = measure_roads(
        rows,
        language,
        teacher=config.teacher,
        encoder=config.encoder,
        documents=document_names(config.bitext, language=language, **fields),
        seed=config.seed,
    )
    teacher = portable(config.teacher) if config.teacher else None
    found = advise(roads, teacher=teacher, encoder=portable(config.encoder), bitext=portable(config.bitext))
    print(f"\n{roads.table()}\n\n{found.text()}\n")
    path = write_results(
        config.output_dir,
        evaluations=[],
        data=[file_fingerprint(config.bitext)] if Path(config.bitext).exists() else [],
        started=started,
        seed=config.seed,
        config=vars(config),
        advice=found.as_dict(),
        roads={
            row: [{"set": part.set, "n": part.n, **part.metrics} for part in scores]
            for row, scores in roads.scores.items()
        },
        seconds_by_row=roads.seconds,
        skipped=roads.skipped,
    )
    seconds = f"{time.time() - started:.0f} s ({time.process_time() - computed:.0f} s of computing)"
    print(f"Measured in {seconds}. Written: {path}")
