"""Further parts of a run's report: seconds, batches drawn, picture of a plan, code that uses the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_optical.batching import HybridBatchSampler
from hf_optical.figures.plan import draw_plan
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_data import TrainingData


def realised_counts(trainer: Any) -> dict[str, Any] | None:
    """Return the batches that a trainer's hybrid sampler drew, by kind and data set; ``None`` for another sampler."""
    loader = trainer.callback_handler.train_dataloader
    while loader is not None and not isinstance(getattr(loader, "batch_sampler", None), HybridBatchSampler):
        inner = getattr(loader, "batch_sampler", None)
        loader = inner if inner is not None and hasattr(inner, "batch_sampler") else None
    return loader.batch_sampler.realised() if loader is not None else None


def seconds_per_step(trainer: Any) -> float | None:
    """Return the wall time of a step, including the work between steps."""
    ends = [log for log in trainer.state.log_history if "train_runtime" in log]
    return ends[0]["train_runtime"] / trainer.state.global_step if ends else None


def draw_example(student: Any, teacher: Any, data: TrainingData, output: Path, sample: Any) -> None:
    """Draw the plan between the tokens of one pair into ``figures/``; for the sample a held-out pair."""
    language, rows = next(iter(data.bitext.items()))
    pair = sample.example(language) if sample else (rows[0]["source"], rows[0]["translation"])
    draw_plan(student, teacher, pair[0], pair[1], output / "figures" / "plan.png")


def usage(student: Any, place: str, config: TrainConfig, language: str, teacher: str | None = None) -> str:
    """Return Python code that uses the saved model with sentence-transformers only.

    Args:
        student: The saved model.
        place: Where the code loads it from.
        config: The run's options.
        language: The language whose adapter is loaded, if there are adapters.
        teacher: Where the code loads the teacher from; by default where the run did.
    """
    kind = type(student).__name__
    lines = [f"from sentence_transformers import {kind}", 'queries, documents = ["your query"], ["your document"]']
    lines.append(f"student = {kind}({place!r})")
    reader = config.reads_index_of
    if reader == "teacher":
        lines.append(f"teacher = {kind}({teacher or config.teacher!r})")
    if config.adapter != "none":
        lines.append(f"student.load_adapter({place!r}, adapter_kwargs={{'subfolder': 'adapters/{language}'}})")
    lines.append(f"print(student.similarity(student.encode_query(queries), {reader}.encode_document(documents)))")
    return "\n".join(f"  {line}" for line in lines)
