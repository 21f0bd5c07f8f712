"""Choose the rows of the embedding table to train: all, only those of the training texts, or none.

A batch touches a few hundred rows of a table of 40,000 (or 250,002). The dense gradient, the two moments of the
optimizer and its step cost memory and time for all rows. A table of the rows that occur in the training texts gives the
same weights at a lower cost.
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

_BATCH = 1_000  # number of texts per call of the tokenizer


def used_rows(model: BaseModel, texts: Iterable[str], prompts: Iterable[str] = ()) -> list[int]:
    """Collect the ids of all pieces of some texts, in rising order.

    Args:
        model: The encoder whose tokenizer reads the texts, without truncation.
        texts: All texts of the training.
        prompts: Prompts put before the texts in training; the model's own prompts are
            always included.

    Returns:
        The ids, including those of special tokens (mask and padding too).
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
    """Context in which all rows of a model's embedding table are trained, those of some texts, or none.

    On exit the table is an ordinary one again. ``used`` and ``all`` give the same weights if the weight decay is 0 (the
    Trainer's default), because Adam does not change a row without a gradient. With weight decay, ``all`` also shrinks
    the rows that occur in no text, by ``1 - learning_rate * weight_decay`` per step; ``used`` does not. Gradient
    clipping sees the same norm.

    Args:
        model: The student; its table is replaced in place, and restored as a whole table on exit.
        rows: ``"all"``, ``"used"`` or ``"none"``.
        texts: All texts of the training (needed for ``used`` only).
        prompts: As in `used_rows`.
        folder: As in `UsedRows`.

    Raises:
        InputError: ``rows`` is another word, or the table is already frozen or does more than look up rows.

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
    del table  # free the memory before the optimizer is made
    try:
        yield
    finally:
        body.set_input_embeddings(small.whole_embedding().train(small.training))


@contextmanager
def rows_in_training(trainer: Any) -> Iterator[None]:
    """Apply `trained_rows` to a trainer's training, with its ``args.train_embeddings`` and all of its texts.

    Meanwhile the whole table is kept in a file in the trainer's ``output_dir``.

    Raises:
        InputError: As in `trained_rows`; also if rows are to be chosen after the optimizer was made.
    """
    rows = trainer.args.train_embeddings
    if rows != "used":
        with trained_rows(trainer.model, rows):
            yield
        return
    if trainer.optimizer is not None:
        raise InputError(
            "the trainer was given an optimizer, which already holds the whole embedding table",
            "leave optimizers= out, or train_embeddings at 'all'",
            field="train_embeddings",
        )
    # A collator of the user may tokenise the English for the student too.
    texts = trained_texts(trainer.train_dataset, english=getattr(trainer.data_collator, "mirror", True))
    prompts = _strings(trainer.args.prompts)
    with trained_rows(trainer.model, rows, texts, prompts=prompts, folder=trainer.args.output_dir):
        try:
            yield
        finally:  # they refer to the small table, which no longer exists
            trainer.optimizer = trainer.lr_scheduler = None


def _strings(prompts: Any) -> list[str]:
    """Collect all strings of a string or of a nested dict, the forms in which prompts may be given."""
    if isinstance(prompts, dict):
        return [text for value in prompts.values() for text in _strings(value)]
    return [prompts] if isinstance(prompts, str) else []
