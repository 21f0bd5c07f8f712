"""A table of embeddings of which only some rows are parameters."""

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
