"""Which rows of the embedding table are trained: all, only those that the training's texts use, or none.

A batch touches a few hundred rows of a table of 40,000 (or 250,002). A dense gradient, two moments of the optimizer and
its step are paid for all of them. A table of the rows that occur in this training gives the same weights for less.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.model import BaseModel
from sentence_transformers.base.modules import Transformer
from torch import Tensor, nn
from torch.nn import functional

from hf_optical.arguments import check_choice
from hf_optical.errors import InputError
from hf_optical.sampling.trained_texts import trained_texts
from hf_optical.students.parts import embeddings_of, tokenizer_of, transformer_of

TRAINED_ROWS = ("all", "used", "none")

_BATCH = 1_000  # texts per call of the tokenizer


class UsedRows(nn.Embedding):
    """An embedding table of which only some rows are parameters; to files and checkpoints it is the whole table.

    Ids go in as ever. A row that is not trained is read from the whole table, in evaluation only: in training it would
    be left out of the gradient unsaid.

    Args:
        table: The whole table, (V, d).
        used: Ids of the rows to train, rising.
        folder: Where to lay the whole table meanwhile, memory-mapped, so that it takes no memory; in memory if
            ``None``. The file has no name there and is gone with the process.

    Raises:
        InputError: The table normalises its rows or counts frequencies, or is frozen; an id is outside of it.

    Example:
        >>> table = nn.Embedding(5, 2)
        >>> small = UsedRows(table, [0, 3])
        >>> small.weight.shape, small.state_dict()["weight"].shape
        (torch.Size([2, 2]), torch.Size([5, 2]))
    """

    def __init__(self, table: nn.Embedding, used: Sequence[int], folder: str | Path | None = None) -> None:
        _check(table)
        rows = torch.as_tensor(sorted({int(number) for number in used}))
        if not len(rows) or rows[0] < 0 or rows[-1] >= len(table.weight):
            raise InputError(
                f"the rows to train are {len(rows)} of a table of {len(table.weight)}, with an id outside or none",
                "give ids of the model's own tokenizer",
            )
        whole = table.weight.detach()
        super().__init__(len(rows), whole.shape[1], _weight=whole[rows.to(whole.device)].clone(), device=whole.device)
        self.used: Tensor
        self.place: Tensor
        self.register_buffer("used", rows.to(whole.device), persistent=False)
        place = torch.full((len(whole),), -1, dtype=torch.int32, device=whole.device)
        place[self.used] = torch.arange(len(rows), dtype=torch.int32, device=whole.device)
        self.register_buffer("place", place, persistent=False)
        if table.padding_idx is not None and int(place[table.padding_idx]) >= 0:
            self.padding_idx = int(place[table.padding_idx])
        self.whole_padding_idx = table.padding_idx
        # No buffer: it stays on the CPU whatever the device of the model, and no one but `state_dict` shall see it.
        mapped = folder is not None and os.name == "posix"  # elsewhere a mapped file cannot be unnamed
        self._whole = (_mapped(whole, Path(str(folder))) if mapped else whole.cpu(),)

    @property
    def whole(self) -> Tensor:
        """The whole table with the rows as they are now, (V, d), on the CPU."""
        table = self._whole[0]
        table[self.used.cpu()] = self.weight.detach().to(table.device, table.dtype)
        return table

    def forward(self, input: Tensor) -> Tensor:
        """Vectors of ids, any shape -> the same shape and d."""
        places = self.place[input]
        absent = places < 0
        found = functional.embedding(places.clamp_min(0), self.weight, self.padding_idx)
        if not absent.any():
            return found
        missing = input[absent]
        if self.training:
            raise InputError(
                f"a batch has pieces (ids {missing.unique()[:5].tolist()}) that no text of the training data has",
                "train with all rows (train_embeddings: all), or name all texts that are trained on",
                field="train_embeddings",
            )
        return found.masked_scatter(absent.unsqueeze(-1), self._whole[0][missing.cpu()].to(found.device, found.dtype))

    def whole_embedding(self) -> nn.Embedding:
        """An ordinary embedding with the whole table, in memory."""
        whole = self.whole.clone().to(self.weight.device)
        rows, width = whole.shape
        return nn.Embedding(rows, width, padding_idx=self.whole_padding_idx, _weight=whole)

    def extra_repr(self) -> str:
        """Rows trained and rows that there are."""
        return f"{len(self.weight)} of {len(self.place)} rows trained, {self.weight.shape[1]}"

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        destination[f"{prefix}weight"] = self.whole

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        name, table = f"{prefix}weight", self._whole[0]
        if name not in state_dict:
            missing_keys.append(name)
        elif state_dict[name].shape != table.shape:
            found = tuple(state_dict[name].shape)
            error_msgs.append(f"size mismatch for {name}: {found} in the file, {tuple(table.shape)} in the model")
        else:
            given = state_dict[name].detach()
            with torch.no_grad():
                self.weight.copy_(given[self.used.to(given.device)])
            # The other rows too: the file may be of another model than the one that was cut. Row by row, because a
            # whole copy is what this class is there to avoid.
            for start in range(0, len(table), 4096):
                part = given[start : start + 4096].to(table.device, table.dtype)
                if not torch.equal(part, table[start : start + 4096]):
                    table[start : start + 4096] = part


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


def _check(table: nn.Embedding) -> None:
    if type(table) is not nn.Embedding or table.max_norm is not None or table.scale_grad_by_freq or table.sparse:
        raise InputError(
            f"the model's table of embeddings does more than look up rows ({table})",
            "train all its rows, or none",
            field="train_embeddings",
        )
    if not table.weight.requires_grad:
        raise InputError(
            "the model's embeddings are frozen already (by adapters, say), and some of them are to be trained",
            "leave train_embeddings at 'all', which trains what the model lets be trained",
            field="train_embeddings",
        )


def _mapped(table: Tensor, folder: Path) -> Tensor:
    """The same numbers in an unnamed file, mapped privately: what is not looked at takes no memory."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".embeddings-") as file:
        try:
            for part in table.split(4096):
                file.write(part.cpu().contiguous().view(torch.uint8).numpy().data)
            file.flush()
        except OSError as error:
            raise InputError(
                f"the embedding table could not be laid on disk ({error})", "make room", path=folder
            ) from error
        return torch.from_file(file.name, shared=False, size=table.numel(), dtype=table.dtype).view(table.shape)
