"""Use of a teacher cache in training: opening, filling with the texts of the training, and record in checkpoints."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from sentence_transformers.base.sampler import MultiDatasetBatchSamplers
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from hf_optical.batching.collation import BITEXT_COLUMNS, OTDistillationDataCollator
from hf_optical.errors import InputError
from hf_optical.teacher_cache.cached_teacher import CachedTeacher
from hf_optical.teacher_cache.filling import room_for

logger = logging.getLogger(__name__)

_CHECKPOINT_FILE = "teacher_cache.json"


def open_cache(
    student: Any, teacher: Any, cache: str | Path | CachedTeacher | None, args: Any, data: Any, dtype: str = "float16"
) -> Any:
    """Return the teacher of a training, as given or with a cache.

    Args:
        student: The student, for the prompts of the training.
        teacher: The teacher, a :class:`CachedTeacher`, or ``None`` if only a cache is available.
        cache: Folder of a cache, a :class:`CachedTeacher`, or ``None`` for no cache.
        args: Arguments of the trainer, which have the prompts and the maximal length.
        data: The training sets.
        dtype: Type of the stored vectors if a cache is created.

    Returns:
        A :class:`CachedTeacher`; or the teacher itself if no cache is requested or the disk has no room for one.

    Raises:
        InputError: The folder holds another teacher's cache, two caches are given, or the bitexts have different
            prompts.
    """
    if cache is None:
        return teacher
    if isinstance(teacher, CachedTeacher):
        raise InputError("two caches are given", "give teacher=CachedTeacher(...) or teacher_cache=, not both")
    if isinstance(cache, CachedTeacher):
        return cache
    if teacher is None:
        return CachedTeacher(cache)
    collator = OTDistillationDataCollator.for_models(student, teacher, prompts=args.prompts)
    names = [name for name, _, _ in bitexts(data)] or [None]
    prompts = {collator.source_prompt(name) or "" for name in names}
    if len(prompts) > 1:
        raise InputError(
            f"the English is encoded with {len(prompts)} prompts ({', '.join(map(repr, sorted(prompts)))}), but a "
            "cache has only one",
            "give all bitexts the same prompt, or train without a teacher cache",
            field="prompts",
        )
    if not room_for(Path(cache)):
        return teacher
    length = args.max_length.get("query") if isinstance(args.max_length, Mapping) else args.max_length
    return CachedTeacher.for_teacher(teacher, cache, prompt=prompts.pop(), max_length=length, dtype=dtype)


def fill_for(trainer: Any, cached: CachedTeacher) -> float:
    """Fill a cache with the English sentences of a training; one process writes, and the others wait for it.

    Args:
        trainer: The trainer, before its training.
        cached: The cache, with the teacher itself.

    Returns:
        Seconds that this took.
    """
    args, started = trainer.args, time.monotonic()
    with args.main_process_first(desc="filling the teacher cache"):
        if args.local_process_index == 0:
            cached.fill(texts_to_read(trainer), show_progress=not args.disable_tqdm)
        else:
            cached.reader.refresh(verify=False)
    return time.monotonic() - started


def texts_to_read(trainer: Any) -> list[str]:
    """List the English sentences in the batches that the sampler will draw.

    Streams are left out, because their sentences are not known in advance.
    """
    numbers = _drawn(trainer)
    texts: dict[str, None] = {}
    for _, first, rows in bitexts(trainer.train_dataset):
        if numbers is not None:
            inside = numbers[(numbers >= first) & (numbers < first + len(rows))] - first
            if len(inside) < len(rows):
                rows = rows.select(inside)
        texts |= dict.fromkeys(rows["source"][:])
    if str(getattr(trainer.args.eval_strategy, "value", trainer.args.eval_strategy)) != "no":
        for _, _, rows in bitexts(trainer.eval_dataset):
            texts |= dict.fromkeys(rows["source"][:])
    return list(texts)


def _drawn(trainer: Any) -> np.ndarray | None:
    """Return the numbers of the rows that the training will draw, (n,), or ``None`` if it draws all."""
    args, data = trainer.args, trainer.train_dataset
    sets = list(data.values()) if isinstance(data, Mapping) else [data]
    if not all(isinstance(rows, Dataset) for rows in sets):
        return None
    batches = args.max_steps * args.gradient_accumulation_steps * args.world_size
    proportional = args.multi_dataset_batch_sampler == MultiDatasetBatchSamplers.PROPORTIONAL
    epoch_long = sum(-(-len(rows) // args.train_batch_size) for rows in sets)
    if proportional and (batches >= epoch_long if args.max_steps > 0 else args.num_train_epochs >= 1):
        return None  # a whole epoch draws every row
    sampler = trainer._build_dataloader(data, args.train_batch_size, dataset_kind="train").batch_sampler
    if args.max_steps <= 0:
        batches = int(np.ceil(args.num_train_epochs * len(sampler)))
    total = sum(len(rows) for rows in sets)
    seen, epoch = np.zeros(total, bool), 0
    while batches > 0 and not seen.all():
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
        drawn = 0
        for batch in sampler:
            seen[list(batch)] = True
            drawn += 1
            if drawn == batches:
                break
        if not drawn:
            break
        batches, epoch = batches - drawn, epoch + 1
    return None if seen.all() else seen.nonzero()[0]


def bitexts(data: Any) -> Iterator[tuple[str | None, int, Dataset]]:
    """Yield name, number of the first row, and rows of each training set whose English the teacher encodes."""
    sets = data.items() if isinstance(data, Mapping) else [(None, data)]
    first = 0
    for name, rows in sets:
        if not isinstance(rows, Dataset):
            continue
        if set(BITEXT_COLUMNS) <= set(rows.column_names) and not str(name).startswith("lexicon/"):
            yield name, first, rows
        first += len(rows)


def note_in_checkpoint(teacher: Any, folder: Path) -> None:
    """Record in a checkpoint which cache its training uses."""
    if isinstance(teacher, CachedTeacher) and folder.name.startswith(PREFIX_CHECKPOINT_DIR):
        from hf_optical.results.files import write_json

        write_json(folder / _CHECKPOINT_FILE, {"digest": teacher.identity.digest, "dtype": teacher.identity.dtype})


def check_checkpoint_cache(teacher: Any, folder: str | Path) -> None:
    """Compare the cache of a checkpoint with that of the training that resumes from it.

    A cache in place of the teacher itself, or the other way round, is only logged as a warning.

    Raises:
        InputError: The caches are different, or the record in the checkpoint is damaged.
    """
    path = Path(folder) / _CHECKPOINT_FILE
    digest = teacher.identity.digest if isinstance(teacher, CachedTeacher) else None
    try:
        before = json.loads(path.read_text(encoding="utf-8"))["digest"] if path.is_file() else None
    except (ValueError, KeyError, TypeError):
        raise InputError("the file is damaged", "resume from another checkpoint", path=path) from None
    if before == digest:
        return
    if before is not None and digest is not None:
        raise InputError(
            f"the checkpoint was trained with the teacher cache {before[:12]}, and this one is {digest[:12]}, with "
            "another teacher, prompt, length or dtype",
            "resume with the same cache, or start a new training",
            path=path,
        )
    logger.warning(
        "%s: the checkpoint was trained %s, and training resumes %s; the vectors differ by the cache's rounding",
        folder,
        "with a teacher cache" if before else "with the teacher itself",
        "with a teacher cache" if digest else "with the teacher itself",
    )
