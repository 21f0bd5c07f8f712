"""What a finished run says besides its tables: seconds, batches drawn, a picture of a plan, how to use the model."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hf_optical.batching import HybridBatchSampler
from hf_optical.figures.plan import draw_plan
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_data import TrainingData


def realised_counts(trainer: Any) -> dict[str, Any] | None:
    """What the hybrid sampler of a trainer drew, by kind and data set; ``None`` where it has another sampler."""
    loader = trainer.callback_handler.train_dataloader
    while loader is not None and not isinstance(getattr(loader, "batch_sampler", None), HybridBatchSampler):
        inner = getattr(loader, "batch_sampler", None)
        loader = inner if inner is not None and hasattr(inner, "batch_sampler") else None
    return loader.batch_sampler.realised() if loader is not None else None


def seconds_per_step(trainer: Any) -> float | None:
    """Wall time of a step, with what the trainer does between steps."""
    ends = [log for log in trainer.state.log_history if "train_runtime" in log]
    return ends[0]["train_runtime"] / trainer.state.global_step if ends else None


def draw_example(student: Any, teacher: Any, data: TrainingData, output: Path, sample: Any) -> None:
    """The plan between the tokens of one pair, in ``figures/``; of the sample a held-out one."""
    if not find_spec("matplotlib"):
        print("No picture of a transport plan: pip install 'hf-optical[report]' draws one")
        return
    language, rows = next(iter(data.bitext.items()))
    pair = sample.example(language) if sample else (rows[0]["source"], rows[0]["translation"])
    draw_plan(student, teacher, pair[0], pair[1], output / "figures" / "plan.png")


def usage(student: Any, folder: Path, config: TrainConfig, language: str) -> str:
    """How the saved model is used, as lines of Python that need sentence-transformers only."""
    kind, place = type(student).__name__, repr(str(folder))
    lines = [f"from sentence_transformers import {kind}", 'queries, documents = ["your query"], ["your document"]']
    lines.append(f"student = {kind}({place})")
    reader = config.reads_index_of
    if reader == "teacher":
        lines.append(f"teacher = {kind}({config.teacher!r})")
    if config.adapter != "none":
        lines.append(f"student.load_adapter({place}, adapter_kwargs={{'subfolder': 'adapters/{language}'}})")
    lines.append(f"print(student.similarity(student.encode_query(queries), {reader}.encode_document(documents)))")
    return "\n".join(f"  {line}" for line in lines)
