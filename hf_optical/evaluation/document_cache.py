"""Cache of vectors by content, in memory or as memory-mapped files in a folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xxhash

from hf_optical.encoders.encoding import (
    Encoder,
    Interaction,
    Role,
    Vectors,
    encode_blocks,
    encode_texts,
    gather_dense,
    resolve_interaction,
)
from hf_optical.encoders.token_vectors import TokenVectors
from hf_optical.places import user_path, waited_for, whole_folder


class DocumentCache:
    """Cache of the vectors of documents or queries, keyed by the model's weights, vocabulary and prompts and the texts.

    A changed weight, prompt, length limit or text gives another key, so that stale vectors are never returned. With a
    folder, vectors are written block by block, moved into place when complete, and memory-mapped on reading.

    Args:
        folder: Where to keep the vectors; ``None`` keeps them in memory for the life of this object.
        most_bytes: Size of the folder above which the entries that were not used for longest are deleted; no limit by
            default.

    Example:
        .. code-block:: python

            cache = DocumentCache("cache")
            vectors = cache.vectors(teacher, passages)   # encodes
            vectors = cache.vectors(teacher, passages)   # reads
    """

    def __init__(self, folder: str | Path | None = None, *, most_bytes: int | None = None) -> None:
        self.folder = user_path(folder) if folder is not None else None
        self.most_bytes = most_bytes
        self._memory: dict[str, Vectors] = {}

    def vectors(
        self,
        model: Encoder,
        texts: Sequence[str],
        role: Role = "document",
        *,
        interaction: Interaction | None = None,
        content_only: bool = False,
        batch_size: int = 32,
        show_progress: bool = False,
    ) -> Vectors:
        """Return the vectors of ``texts``; arguments as in :func:`~hf_optical.encoders.encoding.encode_texts`.

        Returns:
            ``(n, dimension)`` float32 or :class:`TokenVectors`, memory-mapped and read-only if a folder is used.

        Raises:
            NonFiniteError: If a vector has a NaN or an infinity; nothing is kept in that case.
        """
        kind = resolve_interaction(model, interaction)
        content_only = content_only and kind == "maxsim"
        key = _key(model, f"{kind} of content" if content_only else kind, role, texts)
        if key not in self._memory:
            options: dict[str, Any] = {"interaction": kind, "batch_size": batch_size, "show_progress": show_progress}
            options["content_only"] = content_only
            if self.folder is None:
                self._memory[key] = encode_texts(model, texts, role, **options)
            else:
                self._memory[key] = self._from_disk(self.folder / key, model, texts, role, options)
        return self._memory[key]

    def _from_disk(
        self, place: Path, model: Encoder, texts: Sequence[str], role: Role, options: dict[str, Any]
    ) -> Vectors:
        kind = options["interaction"]
        if not place.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            # One process encodes; others that need the same vectors wait and read them. A killed process releases the
            # lock.
            with waited_for(f"{place}.lock", f"the vectors in {place}"):
                if not place.is_dir():
                    with whole_folder(place, keep_first=True) as scratch:
                        blocks = encode_blocks(model, texts, role, **options)
                        (_write_dense if kind == "dense" else _write_tokens)(scratch, blocks, len(texts))
            if self.most_bytes is not None:
                _delete_oldest(place.parent, self.most_bytes, keep=place.name)
        with suppress(OSError):  # the folder may be readable only
            place.touch()  # the time of the last use
        values = np.load(place / "values.npy", mmap_mode="r" if len(texts) else None)
        if kind == "dense":
            return values
        return TokenVectors(values, np.load(place / "starts.npy"), np.load(place / "lengths.npy"))


def _delete_oldest(folder: Path, most_bytes: int, keep: str) -> None:
    """Delete the entries of a cache that were not used for longest, until the rest fits.

    Args:
        folder: The folder of the entries, one folder each.
        most_bytes: Size to which the entries are reduced.
        keep: Name of the entry that is in use and stays.
    """
    entries = []
    for place in folder.iterdir():
        with suppress(OSError):  # another process may be deleting it
            if place.is_dir() and not place.name.startswith("."):
                size = sum(file.stat().st_size for file in place.iterdir())
                entries.append((place.stat().st_mtime, size, place))
    total = sum(size for _, size, _ in entries)
    for _, size, place in sorted(entries, key=lambda entry: entry[0]):
        if total <= most_bytes:
            return
        if place.name == keep:
            continue
        # Renamed first, so that no other process finds half an entry; one that has it mapped keeps its pages.
        gone = place.with_name(f".deleted-{place.name}-{os.getpid()}")
        with suppress(OSError):
            place.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
            place.with_name(f"{place.name}.lock").unlink(missing_ok=True)
            total -= size


def fingerprint(model: torch.nn.Module) -> str:
    """Digest everything that determines a model's vectors: modules, settings, weights, vocabulary, prompts, adapters.

    Args:
        model: An encoder of sentence-transformers.

    Returns:
        32 hexadecimal digits, the same in every process.
    """
    # Every look-up hashes every weight, so that no entry is ever stale; this runs at memory speed, 15 times faster than
    # BLAKE2b.
    digest = xxhash.xxh3_128(repr(model).encode())
    settings = {name: getattr(model, name, None) for name in ("prompts", "truncate_dim", "max_seq_length")}
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    tokenizer: Any = getattr(model, "tokenizer", None)
    if hasattr(tokenizer, "get_vocab"):
        vocabulary = tokenizer.get_vocab()
        pieces = sorted(vocabulary, key=vocabulary.__getitem__)
        digest.update(json.dumps([pieces, [vocabulary[piece] for piece in pieces]]).encode())
    digest.update("".join(_adapters_in_use(model)).encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        # Viewed as bytes, because numpy has no bfloat16.
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _adapters_in_use(model: torch.nn.Module) -> Iterator[str]:
    """Return the adapters that a model uses now, because it holds the weights of all of them."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    from hf_optical.adapters import LanguageAdapters

    if (own := LanguageAdapters.of(model)) is not None:
        yield f"{own.rows.resting}\0"
        return
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            yield f"{module.disable_adapters}{module.active_adapters}\0"


def _key(model: Encoder, kind: str, role: Role, texts: Iterable[str]) -> str:
    digest = hashlib.blake2b(f"{fingerprint(model)}|{kind}|{role}".encode(), digest_size=16)
    for text in texts:
        data = text.encode()
        # Lengths are hashed too, so that the texts "ab", "c" differ from "a", "bc".
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def _write_dense(folder: Path, blocks: Any, n: int) -> None:
    def allocate(shape: tuple[int, int]) -> np.ndarray:
        if not n:  # an empty file cannot be mapped
            np.save(folder / "values.npy", np.zeros(shape, np.float32))
            return np.zeros(shape, np.float32)
        return np.lib.format.open_memmap(folder / "values.npy", mode="w+", dtype=np.float32, shape=shape)

    values = gather_dense(blocks, n, allocate)
    if isinstance(values, np.memmap):
        values.flush()


def _write_tokens(folder: Path, blocks: Any, n: int) -> None:
    starts, lengths, total, dimension = np.zeros(n, np.int64), np.zeros(n, np.int64), 0, 0
    raw = folder / "values.bin"
    with raw.open("wb") as stream:
        for positions, arrays in blocks:
            dimension = arrays[0].shape[1]
            for position, rows in zip(positions, arrays, strict=True):
                starts[position], lengths[position] = total, len(rows)
                total += len(rows)
                stream.write(np.ascontiguousarray(rows).data)
    # The number of rows is known only now, so the header is written last.
    with raw.open("rb") as stream, (folder / "values.npy").open("wb") as out:
        np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": (total, dimension)})
        shutil.copyfileobj(stream, out, 1 << 24)
    raw.unlink()
    np.save(folder / "starts.npy", starts)
    np.save(folder / "lengths.npy", lengths)
