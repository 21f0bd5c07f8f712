"""Embedding table of which only some rows are parameters."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hf_optical.errors import InputError


class UsedRows(nn.Embedding):
    """Embedding table of which only some rows are parameters; files and checkpoints hold the whole table.

    Ids are looked up as in ``nn.Embedding``. An untrained row is read from the whole table in evaluation only; in
    training it is an error, because it would silently get no gradient.

    Args:
        table: The whole table, (V, d).
        used: Ids of the rows to train, in rising order.
        folder: Folder for a memory-mapped file that holds the whole table meanwhile, so that it takes no memory; with
            ``None`` it stays in memory. The file has no name in the folder and disappears with the process.

    Raises:
        InputError: The table normalises its rows, counts frequencies or is frozen, or an id is outside of the table.

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
                f"the ids of the rows to train ({len(rows)}) are empty or outside the table of {len(table.weight)} "
                f"rows",
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
        # Not a buffer: it stays on the CPU whatever the device of the model, and only `state_dict` reads it.
        mapped = folder is not None and os.name == "posix"  # on other systems a mapped file cannot be deleted
        self._whole = (_mapped(whole, Path(str(folder))) if mapped else whole.cpu(),)

    @property
    def whole(self) -> Tensor:
        """Return the whole table with the current rows, (V, d), on the CPU."""
        table = self._whole[0]
        table[self.used.cpu()] = self.weight.detach().to(table.device, table.dtype)
        return table

    def forward(self, input: Tensor) -> Tensor:
        """Look up the vectors of ids, any shape; returns the same shape plus d."""
        places = self.place[input]
        absent = places < 0
        found = functional.embedding(places.clamp_min(0), self.weight, self.padding_idx)
        if not absent.any():
            return found
        missing = input[absent]
        if self.training:
            raise InputError(
                f"a batch contains pieces (ids {missing.unique()[:5].tolist()}) that no text of the training data "
                f"contains",
                "train with all rows (train_embeddings: all), or name all texts that are trained on",
                field="train_embeddings",
            )
        return found.masked_scatter(absent.unsqueeze(-1), self._whole[0][missing.cpu()].to(found.device, found.dtype))

    def whole_embedding(self) -> nn.Embedding:
        """Return an ordinary embedding with the whole table, in memory."""
        whole = self.whole.clone().to(self.weight.device)
        rows, width = whole.shape
        return nn.Embedding(rows, width, padding_idx=self.whole_padding_idx, _weight=whole)

    def extra_repr(self) -> str:
        """Describe the number of trained rows and of all rows."""
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
            error_msgs.append(f"size mismatch for {name}: {found} in the file, but {tuple(table.shape)} in the model")
        else:
            given = state_dict[name].detach()
            with torch.no_grad():
                self.weight.copy_(given[self.used.to(given.device)])
            # The other rows are loaded too, because the file may come from another model. They are copied row by row,
            # because this class exists to avoid a second copy of the whole table.
            for start in range(0, len(table), 4096):
                part = given[start : start + 4096].to(table.device, table.dtype)
                if not torch.equal(part, table[start : start + 4096]):
                    table[start : start + 4096] = part


def _check(table: nn.Embedding) -> None:
    if type(table) is not nn.Embedding or table.max_norm is not None or table.scale_grad_by_freq or table.sparse:
        raise InputError(
            f"the model's embedding table does more than look up rows ({table})",
            "train all of its rows, or none",
            field="train_embeddings",
        )
    if not table.weight.requires_grad:
        raise InputError(
            "the model's embeddings are already frozen (for example by adapters), but some of them are to be trained",
            "leave train_embeddings at 'all', which trains what is not frozen",
            field="train_embeddings",
        )


def _mapped(table: Tensor, folder: Path) -> Tensor:
    """Copy a tensor into an unnamed file and map it privately, so that rows that are not read take no memory."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".embeddings-") as file:
        try:
            for part in table.split(4096):
                file.write(part.cpu().contiguous().view(torch.uint8).numpy().data)
            file.flush()
        except OSError as error:
            raise InputError(
                f"the embedding table could not be written to disk ({error})", "make room", path=folder
            ) from error
        return torch.from_file(file.name, shared=False, size=table.numel(), dtype=table.dtype).view(table.shape)
