"""Options of a run: steps, batches, rates and precision of the training."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.parsing import option

_FORMER_WATCH = {
    "false": "off",
    "no": "off",
    "off": "off",
    "0": "off",
    "true": "warn",
    "yes": "warn",
    "on": "warn",
    "1": "warn",
}


@dataclass
class TrainingOptions:
    """Options of the training."""

    max_steps: int | None = option(
        None,
        "Largest number of optimizer steps; 0 only grows and measures the student. If not given, four passes over the "
        "bitext, between 100 and 1,000 steps.",
    )
    batch_size: int = option(32, "Pairs per device and step.")
    gradient_accumulation_steps: int = option(1, "Batches whose gradients are summed before an optimizer step.")
    learning_rate: float | None = option(
        None,
        "Peak learning rate, after a linear warm-up over a tenth of the steps and before a linear decay. If not given "
        "1e-4, 5e-5 for models of width 768 or more, 1e-3 for adapters.",
    )
    start_share: float | None = option(
        None,
        "Share of the untrained student in the saved weights, which are a mean of both: what it read well before "
        "training is kept. Held-out pairs judge the mean. By default .25 for a student mapped onto the index, else 0.",
    )
    max_length: int = option(128, "Tokens per text in training; fewer if the models have fewer positions.")
    dropout: float = option(0.0, "Dropout of the student in training.", yaml_only=True)
    train_embeddings: str = option(
        "all",
        "Embedding rows to train: 'all'; 'used', those of the training data, with the same result in less memory; or "
        "'none'.",
    )
    bf16: bool = option(False, "Train in bfloat16 (the transport stays in float32).")
    fp16: bool = option(False, "Train in float16 with a loss scale, for GPUs without bfloat16 (T4, V100).")
    group_by_length: bool = option(
        True, "Put sentences of similar length into a batch, which needs much less padding.", yaml_only=True
    )
    teacher_cache: str = option(
        "auto",
        "Folder in which the teacher's token vectors of the English are cached; 'auto' caches only if sentences are "
        "read twice; 'none' never.",
        path=True,
    )
    teacher_cache_dtype: str = option(
        "float16", "Precision of the cached vectors: float16, or int8 at half the size.", yaml_only=True
    )
    monitor: str = option(
        "warn",
        "What to do at collapsed vectors, uninformative plans or falling retrieval, which are checked whenever losses "
        "are logged: 'warn', 'stop' the training, or 'off' to check nothing.",
        former={"on_alarm": None, "watch": _FORMER_WATCH},
    )
