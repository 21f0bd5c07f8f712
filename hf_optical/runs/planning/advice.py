"""Advice, with numbers, for a run that does not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hf_optical.runs.planning.memory import Training
from hf_optical.units import shown_bytes

_LEAST_TOKENS = 16
Change = tuple[str, Callable[[Training], Training]]


def memory_advice(training: Training, memory: float, *, half: str | None, contrastive: bool, grown: bool) -> list[str]:
    """List option changes that lower the memory, each alone, then the first combination that fits.

    Args:
        training: The training as configured.
        memory: Memory of the machine, in bytes.
        half: ``"bf16"`` or ``"fp16"``, if the machine supports it.
        contrastive: Whether the objective compares the pairs of a batch.
        grown: Whether the student is grown, so that it can have fewer layers.

    Returns:
        Lines of text; empty if it fits.

    Example:
        >>> training = Training(32, 1, 128, 30, 10, 30, 20, 1000.0)
        >>> memory_advice(training, 1500.0, half=None, contrastive=False, grown=False)[0]
        '--batch_size 16 --gradient_accumulation_steps 2: 1.1 kB (0.6 kB less), fits'
    """
    if training.total() <= memory:
        return []
    changes = list(_changes(training, memory, half, grown))
    lines = [_line(name, training, change(training), memory) for name, change in changes]
    if contrastive and any(name.startswith("--batch_size") for name, _ in changes):
        lines.append("(rows are compared only within each accumulated batch, so nce has fewer negatives)")
    if not any(change(training).total() <= memory for _, change in changes):
        lines.append(_together(training, changes, memory))
    return lines


def _changes(training: Training, memory: float, half: str | None, grown: bool) -> Iterator[Change]:
    if half and not training.half:
        yield f"--{half}", Training.with_half
    if training.batch > 1:
        batch = training.batch // 2
        while batch > 1 and training.with_batch(batch).total() > memory:
            batch //= 2
        made = training.with_batch(batch)
        flags = f"--batch_size {made.batch} --gradient_accumulation_steps {made.accumulation}"
        yield flags, lambda now: now.with_batch(batch)
    if training.tokens > _LEAST_TOKENS:
        tokens = max(_LEAST_TOKENS, training.tokens // 2)
        yield f"--max_length {tokens}", lambda now: now.with_tokens(min(tokens, now.tokens))
    if training.adapter and training.trained > training.adapter:
        yield "--adapter lora", Training.with_adapter
    if training.trained == training.weights and training.table:
        if 0 < training.used < training.table:
            yield "--train_embeddings used", Training.with_used_rows
        yield "--train_embeddings none", Training.with_frozen_table
    if grown and training.layers > 1:
        layers = training.layers // 2
        yield f"--num_layers {layers}", lambda now: now.with_layers(layers)


def _line(name: str, before: Training, after: Training, memory: float) -> str:
    needed, verdict = after.total(), "fits" if after.total() <= memory else "still too much"
    return f"{name}: {shown_bytes(needed)} ({shown_bytes(before.total() - needed)} less), {verdict}"


def _together(training: Training, changes: Sequence[Change], memory: float) -> str:
    """Find the first combination of changes that fits; changes are ordered by their cost in quality."""
    names, now = [], training
    for name, change in changes:
        names.append(name)
        now = change(now)
        if now.total() <= memory:
            return f"together {' '.join(names)}: {shown_bytes(now.total())}, fits"
    return (
        f"all of these together: {shown_bytes(now.total())}, still too much; use a smaller student or a larger machine"
    )


def disk_advice(parts: dict[str, float], free: float, *, one_checkpoint: float, cached: str | None) -> list[str]:
    """List option changes that lower the disk space needed.

    Args:
        parts: Bytes by part: ``checkpoints``, ``teacher cache``, models.
        free: Free bytes on the disk.
        one_checkpoint: Size of one checkpoint, in bytes.
        cached: The number format of the teacher cache, or None without one.

    Returns:
        Lines of text; empty if it fits.

    Example:
        >>> disk_advice({"checkpoints": 3e9, "models": 1e9}, 2e9, one_checkpoint=1e9, cached=None)
        ['2.0 GB are missing: a checkpoint at the end only (--save_steps beyond --max_steps) saves 2.0 GB']
    """
    missing = sum(parts.values()) - free
    if missing <= 0:
        return []
    found = []
    kept = parts.get("checkpoints", 0.0) - one_checkpoint
    if kept > 0:
        found.append(f"a checkpoint at the end only (--save_steps beyond --max_steps) saves {shown_bytes(kept)}")
    cache = parts.get("teacher cache", 0.0)
    if cache:
        if cached != "int8":
            found.append(f"--teacher_cache_dtype int8 saves about {shown_bytes(cache / 2)}")
        found.append(f"--teacher_cache none saves {shown_bytes(cache)}")
    prefix = f"{shown_bytes(missing)} are missing: "
    return [prefix + line for line in found] or [prefix + "choose another --output_dir"]
