"""Dry run: the real data and models, a few steps, and the time that each part took."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hf_optical.doctor.quick import quick_check
from hf_optical.encoders.models import load_encoder
from hf_optical.encoders.parts import embeddings_of, transformer_of
from hf_optical.losses.terms import DENSE_OBJECTIVE
from hf_optical.runs.defaults import with_defaults
from hf_optical.runs.evaluation_panels import EvaluationPanels
from hf_optical.runs.held_out import sets_of
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.planning.evaluation import EvaluationCost, EvaluationTimer
from hf_optical.runs.planning.growing import expected_rows, grown, rows_of
from hf_optical.runs.planning.profiling import Clock, watched
from hf_optical.runs.planning.steps import Steps, dry_steps
from hf_optical.runs.student import load, save
from hf_optical.runs.teacher_cache import cache_folder
from hf_optical.runs.training_data import TrainingData, read_training_data
from hf_optical.runs.training_run import start
from hf_optical.students.grow import VOCABULARIES
from hf_optical.training.held_out_choice import validation_interval
from hf_optical.training.trainable_embeddings import used_rows
from hf_optical.units import folder_bytes

_CHECKED = 2000
_READ = (500, 2000)


@dataclass
class DryRun:
    """Measurements of a dry run, extrapolated to the whole run.

    Attributes:
        pairs: Number of sentence pairs.
        seconds: Seconds by part of the run.
        steps: Cost of the dry steps; None if the run trains nothing.
        grown_peak: Peak memory while the student was grown, in bytes.
        weights: Number of weights in the student, its embedding table, the teacher and the teacher's table.
        used_rows: Rows of the student's table that occur in the training texts.
        layers: Layers of the student.
        width: Width of its token vectors.
        saved: Size of the student on disk, in bytes.
        evaluation: Cost of the evaluation.
        objective: The training objective, whose default depends on the teacher.
        max_steps: Optimizer steps of the run, whose default depends on the bitext.
    """

    pairs: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    steps: Steps | None = None
    grown_peak: float = 0.0
    weights: dict[str, int] = field(default_factory=dict)
    used_rows: int = 0
    layers: int = 1
    width: int = 1
    saved: float = 0.0
    evaluation: EvaluationCost = field(default_factory=EvaluationCost)
    objective: str = DENSE_OBJECTIVE
    max_steps: int = 0


def dry_run(config: TrainConfig, scratch: Path, clock: Clock) -> DryRun:
    """Run a few steps of a run and measure them.

    Args:
        config: The run's options, already checked.
        scratch: An empty folder; nothing is written anywhere else.
        clock: Function that returns the time in seconds.

    Raises:
        InputError: The same errors as in the run itself.
    """
    found, state, asked = DryRun(), start(), config
    config = _quiet(config, scratch)
    with watched(clock) as reading:
        data = read_training_data(config)
        panels = EvaluationPanels(config, data.languages)
    found.pairs, found.seconds["reading"] = data.pairs, reading.seconds
    found.seconds["checking"] = _checking(config, data, clock)
    with watched(clock) as loading:
        teacher: Any = load_encoder(config.teacher or "")
    config, asked = with_defaults(config, teacher, data.pairs), with_defaults(asked, teacher, data.pairs)
    found.objective, found.max_steps = str(config.objective), int(config.max_steps or 0)
    found.seconds["loading"] = loading.seconds
    growth = grown(config, teacher, data, panels, state, clock, lexical_steps=asked.lexical_steps)
    student, found.grown_peak = growth.student, growth.peak
    found.seconds["growing"], found.seconds["injecting"] = growth.seconds, growth.injecting
    with watched(clock) as saving:
        save(student, scratch / "saved")
    with watched(clock) as again:
        load(scratch / "saved", adapters=config.adapter != "none")
    found.saved = float(folder_bytes(scratch / "saved"))
    found.seconds["saving"], found.seconds["loading"] = saving.seconds, loading.seconds + again.seconds
    found.evaluation = _evaluation(asked, data, panels, (teacher, student), clock)
    if config.max_steps:
        cache = scratch / "cache" if cache_folder(asked, data, teacher)[0] else None
        drawn = found.max_steps * asked.batch_size * asked.gradient_accumulation_steps
        found.steps = dry_steps(config, teacher, student, data, clock, cache=cache, drawn=drawn)
    found.used_rows = _used_rows(student, data)
    _count(student, teacher, found)
    return found


def _quiet(config: TrainConfig, scratch: Path) -> TrainConfig:
    """Return the options of a run that prints and keeps nothing."""
    given: dict[str, Any] = {"output_dir": str(scratch / "run"), "measure_start": False, "report_to": "none"}
    given |= {"push_to_hub": None, "shared": None, "logging_steps": 1_000_000, "save_steps": 1_000_000, "plan": False}
    return replace(config, gradient_accumulation_steps=1, **given)


def _checking(config: TrainConfig, data: TrainingData, clock: Clock) -> float:
    if not config.check_data:
        return 0.0
    seconds = 0.0
    for language, rows in data.bitext.items():
        few = rows.select(range(min(_CHECKED, len(rows))))
        with watched(clock) as checking:
            quick_check(few, language=language)
        seconds += checking.seconds * len(rows) / len(few)
    return seconds


def _evaluation(
    config: TrainConfig, data: TrainingData, panels: EvaluationPanels, models: tuple[Any, Any], clock: Clock
) -> EvaluationCost:
    teacher, student = models
    before = 1 + config.aligns_new_pieces + bool(config.lexicon)
    timer = EvaluationTimer(clock, config.interaction, config.seed)
    seen: set[int] = set()
    for item in panels.sets:
        documents = hash(tuple(item.corpus.values()))
        timer.add_set(item, teacher, student, before=before, start=config.measure_start, new=documents not in seen)
        seen.add(documents)
    for several in panels.multilingual:
        timer.add_multilingual(several, teacher, student, before=before, start=config.measure_start)
    steps = config.max_steps or 0
    if steps and "rank" in str(config.objective).split("+") and not cache_folder(config, data, teacher)[0]:
        timer.add_bank(teacher, data.all_bitext()["source"][:], config.bank_size)
    if data.held_out:
        every = config.eval_steps or validation_interval(steps or 1)
        averaged = steps > 0 and config.student not in VOCABULARIES  # the mean with the untrained student
        timer.add_held_out(sets_of(data, config.seed), teacher, student, validations=2 + averaged + steps // every)
    return timer.cost


def _used_rows(student: Any, data: TrainingData) -> int:
    """Estimate the rows of the table that occur in the bitext, from two samples."""
    texts = data.all_bitext()["translation"]
    sizes = [min(size, len(texts)) for size in _READ]
    counts = [len(used_rows(student, texts[:size])) for size in sizes]
    if sizes[0] == sizes[1]:
        return counts[1]
    return expected_rows(0, (sizes[0], counts[0]), (sizes[1], counts[1]), len(texts), rows_of(student))


def _count(student: Any, teacher: Any, found: DryRun) -> None:
    def numbers(model: Any) -> int:
        return sum(weight.numel() for weight in model.parameters())

    inner = transformer_of(student).model
    found.weights = {
        "student": numbers(student),
        "table": int(embeddings_of(inner).weight.numel()),
        "teacher": numbers(teacher),
        "teacher's table": int(embeddings_of(transformer_of(teacher).model).weight.numel()),
    }
    found.layers = int(inner.config.num_hidden_layers)
    found.width = int(inner.config.hidden_size)
