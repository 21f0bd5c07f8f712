"""Reading of token views from a teacher cache: texts are found by a hash, and vectors are mapped from the shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from hf_optical.encoders.token_view import TokenView
from hf_optical.errors import InputError
from hf_optical.teacher_cache.identity import KEY_BYTES, text_key
from hf_optical.teacher_cache.manifest import read_manifest
from hf_optical.teacher_cache.quantisation import dequantise
from hf_optical.teacher_cache.shards import Shard, check_shard, damaged, open_shard


class CacheReader:
    """Reader of a teacher cache, whose rows are numbered through all shards in the manifest's order.

    Args:
        folder: Folder of the cache.
        verify: Whether to compare every shard with its hash, for which each file is read once.

    Raises:
        InputError: There is no cache, or it is damaged; the message names the file.

    Example:
        ::

            reader = CacheReader("cache")
            view = reader.view(reader.find(["The goat sleeps."]))
    """

    def __init__(self, folder: str | Path, *, verify: bool = True) -> None:
        self.folder = Path(folder)
        self._verified: set[str] = set()
        self.refresh(verify=verify)

    def refresh(self, *, verify: bool = True) -> None:
        """Read the manifest and map the shards, again after shards were added."""
        self.manifest = read_manifest(self.folder)
        self.identity = self.manifest.identity
        if verify:
            self._verify()
        self._shards: list[Shard] = []
        keys, lengths = [np.zeros((0, KEY_BYTES), np.uint8)], [np.zeros(0, np.int32)]
        for entry in self.manifest.shards:
            shard = open_shard(self.folder / entry.file)
            if not (len(shard.keys) == len(shard.lengths) == len(shard.sentences) == entry.texts) or (
                tuple(shard.tokens.shape) != (entry.tokens, self.identity.width)
            ):
                raise damaged(self.folder / entry.file, "the shapes are not those of the manifest")
            self._shards.append(shard)
            keys.append(shard.keys.numpy())
            lengths.append(shard.lengths.numpy())
        flat = np.ascontiguousarray(np.concatenate(keys)).view(f"S{KEY_BYTES}").ravel()  # (N,), N texts in all
        self._order = np.argsort(flat, kind="stable")  # (N,): row of the i-th smallest key
        self._keys = flat[self._order]  # (N,), sorted for a binary search
        self._lengths = np.concatenate(lengths)  # (N,): tokens of each row
        self._firsts = np.cumsum([0, *(len(one) for one in lengths[1:])])  # (shards + 1,): first row of each shard
        # First token of each text, (n,) for each shard.
        self._starts = [np.cumsum(one, dtype=np.int64) - one for one in lengths[1:]]

    def _verify(self) -> None:
        """Compare shards that were not checked yet with their hashes."""
        from tqdm.auto import tqdm

        new = [entry for entry in self.manifest.shards if entry.sha256 not in self._verified]
        shown = sum(entry.bytes for entry in new) > 3e9  # a gigabyte takes a second or two
        for entry in tqdm(new, desc="Checking the teacher cache", unit=" shards", disable=not shown):
            check_shard(self.folder, entry)
            self._verified.add(entry.sha256)

    def __len__(self) -> int:
        return len(self._lengths)

    def __getstate__(self) -> dict[str, Any]:
        # A worker process receives the path only, and maps the shards again.
        return {"folder": self.folder, "_verified": self._verified}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.refresh(verify=False)

    def find(self, texts: Sequence[str]) -> Tensor:
        """Return the row of each text, (n,), int64; -1 for texts that the cache does not have."""
        if not len(texts):
            return torch.zeros(0, dtype=torch.long)
        wanted = np.frombuffer(b"".join(text_key(text) for text in texts), dtype=f"S{KEY_BYTES}")
        if not len(self._keys):
            return torch.full((len(wanted),), -1, dtype=torch.long)
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return torch.from_numpy(np.where(self._keys[places] == wanted, self._order[places], -1).astype(np.int64))

    def check_reading(self, prompt: str | None, max_length: int | None) -> None:
        """Check that a training encodes texts with the settings of the cache.

        Args:
            prompt: Prompt of the training; an empty one and ``None`` are the same.
            max_length: Largest number of tokens per text of the training; ``None`` is not compared.

        Raises:
            InputError: The prompt or the length is another one.
        """
        for name, mine, asked in (
            ("prompt", self.identity.prompt, prompt or None),
            ("max_length", self.identity.max_length, max_length if max_length is not None else ...),
        ):
            if asked is not ... and mine != asked:
                raise InputError(
                    f"the teacher cache was made with the {name} {mine!r}, and the training asks for {asked!r}",
                    f"train with the {name} of the cache, or make another cache",
                    path=self.folder,
                    field=name,
                )

    def features(self, rows: Tensor) -> dict[str, Tensor]:
        """Return token ids and attention mask of rows, (B,), padded to the longest, (B, m) each."""
        ids = [shard.ids[start : start + length].to(torch.long) for shard, _, start, length in self._places(rows)]
        mask = [torch.ones(len(one), dtype=torch.long) for one in ids]
        return {
            "input_ids": pad_sequence(ids, batch_first=True),
            "attention_mask": pad_sequence(mask, batch_first=True),
        }

    def view(self, rows: Tensor, device: torch.device | str = "cpu") -> TokenView:
        """Return the teacher's token view of rows.

        Args:
            rows: Rows from :meth:`find`, (B,).
            device: Device of the view; vectors are copied to it in the cache's dtype and converted to float32 there.

        Returns:
            Token vectors, (B, m, d), and sentence vectors, (B, d'), both float32, padded to the longest text. The
            prompt's tokens, which no term uses, are left out.
        """
        places = self._places(rows)
        lengths = torch.tensor([length for *_, length in places])
        packed = [shard.tokens[start : start + length] for shard, _, start, length in places]
        tokens = pad_sequence(packed, batch_first=True).to(device, non_blocking=True)  # (B, m, d)
        if self.identity.dtype == "int8":
            scales = [
                shard.scales[start : start + length] for shard, _, start, length in places if shard.scales is not None
            ]
            tokens = dequantise(tokens, pad_sequence(scales, batch_first=True).to(device, non_blocking=True))
        ids = pad_sequence(
            [shard.ids[start : start + length].to(torch.long) for shard, _, start, length in places], batch_first=True
        )
        mask = torch.arange(ids.shape[1]) < lengths[:, None]  # (B, m)
        special = torch.isin(ids, torch.tensor(self.identity.special_tokens, dtype=torch.long)) & mask
        sentence = torch.stack([shard.sentences[local] for shard, local, *_ in places])  # (B, d')
        mask = mask.to(device)
        return TokenView(tokens.float(), mask, mask, special.to(device), sentence.to(device).float(), ids.to(device))

    def _places(self, rows: Tensor) -> list[tuple[Shard, int, int, int]]:
        """Return shard, place in it, first token and number of tokens of each row."""
        numbers = rows.detach().cpu().numpy().astype(np.int64)
        if len(numbers) and not (numbers.min() >= 0 and numbers.max() < len(self)):
            raise InputError(
                f"the batch asks for rows {numbers.min()} to {numbers.max()} of a teacher cache of {len(self)} rows",
                "make the features with a collator of the same cache",
                path=self.folder,
            )
        shards = np.searchsorted(self._firsts, numbers, side="right") - 1
        local = numbers - self._firsts[shards]
        return [
            (self._shards[shard], int(one), int(self._starts[shard][one]), int(self._lengths[number]))
            for shard, one, number in zip(shards.tolist(), local.tolist(), numbers.tolist(), strict=True)
        ]
