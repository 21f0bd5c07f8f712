"""Student of a run: growing or loading it, with its language adapters; saving and reloading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

from hf_optical.adapters import LanguageAdapters
from hf_optical.adapters.files import load_all
from hf_optical.data.vector_rows import VectorRows
from hf_optical.encoders.models import load_encoder, save_whole, set_dropout
from hf_optical.evaluation.document_cache import fingerprint
from hf_optical.losses import reads_english as reads_english_term
from hf_optical.results import table_rows
from hf_optical.results.files import versions, write_json
from hf_optical.runs.evaluation_panels import EvaluationPanels
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.shared_folder import SharedFolder
from hf_optical.runs.training_data import TrainingData
from hf_optical.students import starting_student
from hf_optical.students.adapt import StartReport
from hf_optical.students.grow import VOCABULARIES
from hf_optical.training.checkpoints import check_checkpoint, last_whole_checkpoint
from hf_optical.training.lexical_stage import inject_lexicon

START_FILE = "start.json"
_OF_THE_STUDENT = (
    "student",
    "row_init",
    "vocab_size",
    "new_pieces",
    "keep_marks",
    "num_layers",
    "bitext",
    "source_field",
    "translation_field",
    "max_pairs",
    "share_held_out",
    "seed",
    "lexicon",
    "start_lexicon",
    "lexical_steps",
    "lexical_layer",
)


def student_of_run(
    config: TrainConfig, teacher: Any, data: TrainingData, state: PartialState, panels: EvaluationPanels
) -> tuple[Any, str | None]:
    """Return the student and, if the run was interrupted, the last complete checkpoint to resume from."""
    output = Path(config.output_dir)
    checkpoint = last_whole_checkpoint(output)
    untrained = output / "untrained"
    if state.is_main_process and (config.measure_start or not untrained.is_dir()):
        grown = _grown(config, teacher, data, panels)
        if not untrained.is_dir():
            save_whole(grown, untrained)
    state.wait_for_everyone()  # one process grows it and all read it, because their vocabularies must be equal
    if checkpoint:
        check_checkpoint(checkpoint)
    if checkpoint and state.is_main_process:
        print(f"Resuming from {checkpoint}")
    student = load_encoder(str(untrained))
    set_dropout(student, config.dropout)
    for name, prompt in (("query", config.query_prompt), ("document", config.passage_prompt)):
        if prompt is not None:
            student.prompts[name] = prompt
    if config.adapter != "none":
        torch.manual_seed(config.seed)
        adapters = LanguageAdapters(student)
        for language in data.languages:
            adapters.add(language, **config.lora.adapter_options())
    return student, checkpoint


def _grown(config: TrainConfig, teacher: Any, data: TrainingData, panels: EvaluationPanels) -> Any:
    """Grow or load the student, align its rows in the bitext, inject words; measure after each step."""
    reads_english = config.reads_index_of == "student" or reads_english_term(str(config.objective))
    # The content of a model named by id or folder is not hashed; it is loaded instead, which is as fast.
    shared = SharedFolder(config.shared if config.student in VOCABULARIES else None)
    decisive = _decisive(config, teacher, data, reads_english)
    kept = shared.student(decisive)
    if kept is not None and not config.measure_start:  # intermediate steps have to be measured
        return load_encoder(str(kept))
    if config.student in ("extend", "replace"):  # minutes for a large bitext, most of them without a bar
        print(f"Student: growing it from the teacher and {data.pairs:,} pairs", flush=True)
    student = starting_student(
        config.student,
        teacher,
        data.for_growing(),
        row_init=config.row_init,
        vocab_size=config.vocab_size,
        new_pieces=config.new_pieces,
        keep_marks=config.keep_marks,
        num_layers=config.num_layers,
        seed=config.seed,
        reads_english=reads_english,
        on_grown=lambda model: _as_grown(config, model, panels),
        index=index_of_run(config),
        on_report=lambda report: keep_start(report, Path(config.output_dir)),
    )
    if config.measure_start and config.aligns_new_pieces:
        panels.measure(table_rows.INITIALIZED, student)
    if data.lexicon is not None:
        inject_lexicon(
            student,
            data.lexicon,
            teacher=teacher,
            layer=config.lexical_layer,
            steps=config.lexical_steps,
            seed=config.seed,
        )
        if config.measure_start:
            panels.measure(table_rows.INJECTED, student)
    shared.keep_student(student, decisive)
    return student


def _as_grown(config: TrainConfig, student: Any, panels: EvaluationPanels) -> None:
    """Say what follows, and measure the student before its new rows mean anything."""
    if config.aligns_new_pieces:
        print("Student: aligning its new pieces with English in the pairs", flush=True)
    if config.measure_start:
        panels.measure(table_rows.BEFORE, student)


def index_of_run(config: TrainConfig) -> VectorRows | None:
    """Return the index's own rows, if they are given."""
    if config.index_rows is None:
        return None
    return VectorRows(config.index_rows, text_field=config.index_text_field, vector_field=config.index_vector_field)


def keep_start(report: StartReport, output: Path) -> None:
    """Print how the student was brought into the teacher's space, and keep it for results.json, also when resuming."""
    print(f"Student: {report.sentence()}")
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / START_FILE, report.as_dict())


def start_report(output: Path) -> dict[str, Any] | None:
    """Read the kept report on the student's start; ``None`` for a student grown from the teacher."""
    file = output / START_FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def _decisive(config: TrainConfig, teacher: Any, data: TrainingData, reads_english: bool) -> dict[str, Any]:
    """Collect everything on which the student at the start of training depends."""
    options = {name: getattr(config, name) for name in _OF_THE_STUDENT}
    return {
        **options,
        "reads_english": reads_english,
        "teacher_weights": fingerprint(teacher),
        "data": [item["sha256"] for item in data.fingerprints],
        "versions": versions(),
    }


def save(model: Any, folder: Path) -> None:
    """Save a model, or a base with its language adapters; an interrupted save leaves nothing."""
    adapters = LanguageAdapters.of(model)
    if adapters is not None:
        adapters.save(folder)
    else:
        save_whole(model, folder)


def load(folder: Path, *, adapters: bool) -> tuple[Any, LanguageAdapters | None]:
    """Load a model that `save` wrote, with its language adapters if it has any."""
    if not adapters:
        return load_encoder(str(folder)), None
    found = load_all(folder)
    return found.model, found
