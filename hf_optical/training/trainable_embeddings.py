"""Trained rows of the embedding table: all, only those that the training texts use, or none.

A batch touches a few hundred rows of a table of 40,000 (or 250,002). A dense gradient, two moments of the optimizer and
its step are paid for all of them. A table of the rows that occur in this training gives the same weights for less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import Transformer

from hf_optical.batching.trained_texts import trained_texts
from hf_optical.encoders.parts import embeddings_of, tokenizer_of, transformer_of
from hf_optical.errors import InputError, check_choice
from hf_optical.training.partial_embedding import UsedRows

TRAINED_ROWS = ("all", "used", "none")

_BATCH = 1_000  # texts per call of the tokenizer


def used_rows(model: BaseModel, texts: Iterable[str], prompts: Iterable[str] = ()) -> list[int]:
    """Ids of all pieces of some texts, in rising order.

    Args:
        model: Its tokenizer reads the texts, without any cut.
        texts: All that will be trained on.
        prompts: Put before the texts in training; the model's own are counted in any case.

    Returns:
        The ids, those of special tokens (mask and padding too) among them.
    """
    module = transformer_of(model)  # type: ignore[arg-type]
    tokenizer = tokenizer_of(module)
    before = ["", *sorted({prompt for prompt in (*prompts, *model.prompts.values()) if prompt})]
    found = set(tokenizer.all_special_ids) | {number for prompt in before for number in _ids(module, [prompt])}
    if module.query_expansion is not None:
        found.add(int(tokenizer.convert_tokens_to_ids(str(module.query_expansion["token"]))))  # type: ignore[arg-type]
    lines = iter(texts)
    while batch := list(islice(lines, _BATCH)):
        for prompt in before:
            found |= _ids(module, [prompt + text for text in batch])
    return sorted(found)


def _ids(module: Transformer, texts: list[str]) -> set[int]:
    read = tokenizer_of(module)(texts, truncation=False, padding=False, verbose=False)["input_ids"]
    return {number for line in read for number in line}  # type: ignore[union-attr]


@contextmanager
def trained_rows(
    model: BaseModel,
    rows: str,
    texts: Iterable[str] = (),
    *,
    prompts: Iterable[str] = (),
    folder: str | Path | None = None,
) -> Iterator[None]:
    """Train all rows of a model's embedding table, those of some texts, or none; afterwards it is as it was before.

    ``used`` and ``all`` give the same weights if the weight decay is 0 (the hosts' default): Adam leaves a row without
    any gradient where it is. With weight decay, ``all`` also shrinks the rows that no text has, by
    ``1 - learning_rate * weight_decay`` a step; ``used`` leaves them. Gradient clipping sees the same norm.

    Args:
        model: The student; its table is replaced in place, and put back whole.
        rows: ``"all"``, ``"used"`` or ``"none"``.
        texts: All that will be trained on (only for ``used``).
        prompts: As in `used_rows`.
        folder: As in `UsedRows`.

    Raises:
        InputError: Another word; a table that is frozen already, or does more than look up rows.

    Example:
        ::

            with trained_rows(student, "used", rows["translation"]):
                SentenceTransformerTrainer(model=student, ...).train()
    """
    check_choice("train_embeddings", rows, TRAINED_ROWS)
    if rows == "all":
        yield
        return
    body: Any = transformer_of(model).model  # type: ignore[arg-type]
    table = embeddings_of(body)
    if rows == "none":
        before = table.weight.requires_grad
        table.weight.requires_grad_(False)
        try:
            yield
        finally:
            table.weight.requires_grad_(before)
        return
    small = UsedRows(table, used_rows(model, texts, prompts), folder).train(table.training)
    body.set_input_embeddings(small)
    del table  # its memory is needed: the optimizer comes now
    try:
        yield
    finally:
        body.set_input_embeddings(small.whole_embedding().train(small.training))


@contextmanager
def rows_in_training(trainer: Any) -> Iterator[None]:
    """`trained_rows` around a trainer's training, by its ``args.train_embeddings`` and all that it will read.

    The whole table lies in the trainer's ``output_dir`` meanwhile.

    Raises:
        InputError: As `trained_rows`; rows are to be chosen, and the optimizer was made before.
    """
    rows = trainer.args.train_embeddings
    if rows != "used":
        with trained_rows(trainer.model, rows):
            yield
        return
    if trainer.optimizer is not None:
        raise InputError(
            "the trainer was given an optimizer, which holds the whole table of embeddings",
            "leave optimizers= out, or train_embeddings at 'all'",
            field="train_embeddings",
        )
    # A collator of the user's may read the English too.
    texts = trained_texts(trainer.train_dataset, english=getattr(trainer.data_collator, "mirror", True))
    prompts = _strings(trainer.args.prompts)
    with trained_rows(trainer.model, rows, texts, prompts=prompts, folder=trainer.args.output_dir):
        try:
            yield
        finally:  # they hold the small table, which is gone now
            trainer.optimizer = trainer.lr_scheduler = None


def _strings(prompts: Any) -> list[str]:
    """All strings in a string, or in a dict of these, as the hosts take prompts."""
    if isinstance(prompts, dict):
        return [text for value in prompts.values() for text in _strings(value)]
    return [prompts] if isinstance(prompts, str) else []
