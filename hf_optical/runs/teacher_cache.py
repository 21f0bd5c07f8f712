"""Decide whether a run caches the teacher's vectors, and where."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from accelerate import PartialState

from hf_optical.encoders.teachers import query_prompt
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_data import TrainingData
from hf_optical.teacher_cache.cached_teacher import CachedTeacher
from hf_optical.teacher_cache.identity import identity_of, text_key

WORTH_IT = 2.0
"""Average number of readings per sentence from which a cache pays off; the first reading fills it and costs more."""
FOLDER = "teacher_cache"


def cache_folder(config: TrainConfig, data: TrainingData, teacher: Any) -> tuple[Path | None, str | None]:
    """Return the folder of a run's cache and the digest of its identity; ``None`` without a cache.

    ``auto`` caches the vectors if every English sentence is read at least twice, so that a short run has no extra cost.
    The cache is in the shared folder, by identity, or else in the run's own folder until the run is finished.

    Args:
        config: The options.
        data: The training data.
        teacher: The teacher, loaded with its weights.
    """
    if config.teacher_cache == "none" or not config.max_steps:
        return None, None
    if config.teacher_cache == "auto" and times_read(config, data) < WORTH_IT:
        return None, None
    identity = identity_of(
        teacher, prompt=query_prompt(teacher), max_length=config.max_length, dtype=config.teacher_cache_dtype
    )
    if config.teacher_cache != "auto":
        return Path(config.teacher_cache), identity.digest
    if config.shared and config.index_rows is None:  # documents of the index are cached too, which others have not
        # The identity includes the sentences, because the other sentences of a batch change a sentence's vectors by a
        # rounding error, and the order of several runs must not influence their results.
        return Path(config.shared) / FOLDER / f"{identity.digest}-{_digest(_english(data))}", identity.digest
    return Path(config.output_dir) / FOLDER, identity.digest


def times_read(config: TrainConfig, data: TrainingData) -> float:
    """Return how often the run reads an English sentence of its bitext, on average."""
    texts = _english(data)
    drawn = (
        (config.max_steps or 0) * config.batch_size * config.gradient_accumulation_steps * PartialState().num_processes
    )
    share = config.bitext_share if data.retrieval else 1.0
    return drawn * share / max(1, len(texts))


def _english(data: TrainingData) -> set[str]:
    return {text for rows in data.bitext.values() for text in rows["source"]}


def _digest(texts: set[str]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for text in sorted(texts):
        digest.update(text_key(text))
    return digest.hexdigest()


def cache_report(trainer: Any) -> dict[str, Any] | None:
    """Describe the cache of a training for ``results.json``."""
    if not isinstance(trainer.teacher, CachedTeacher):
        return None
    manifest = trainer.teacher.manifest
    return {
        "digest": manifest.identity.digest,
        "dtype": manifest.identity.dtype,
        "texts": manifest.texts,
        "tokens": manifest.tokens,
        "bytes": manifest.bytes,
        "smallest_cosine": manifest.cosine,
        "seconds_to_fill": trainer.seconds_to_fill,
    }
