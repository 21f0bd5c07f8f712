"""Shard of a teacher cache: token vectors of some texts in one file, written whole, memory-mapped when read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from hf_optical.data.fingerprint import file_hash
from hf_optical.errors import InputError
from hf_optical.places import whole_file

_SHORT_IDS = 65_536


@dataclass(frozen=True)
class ShardEntry:
    """Entry of a shard in the manifest.

    Attributes:
        file: Its name.
        texts: How many texts it holds.
        tokens: How many token vectors.
        bytes: Of the file.
        sha256: Of the file.
        cosine: Smallest cosine between a token vector as kept and as the teacher made it.
    """

    file: str
    texts: int
    tokens: int
    bytes: int
    sha256: str
    cosine: float

    def as_dict(self) -> dict[str, Any]:
        """Return the entry for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Shard:
    """Content of a shard: n texts of T tokens in all, one after the other.

    Attributes:
        keys: (n, 16), uint8, from :func:`~hf_optical.teacher_cache.identity.text_key`.
        lengths: Tokens of each text, (n,), int32.
        ids: Token ids, (T,), uint16 where the vocabulary allows it, else int32.
        tokens: Token vectors, (T, d), in the cache's dtype.
        scales: Of int8, (T,), float16; else ``None``.
        sentences: Sentence vectors, (n, d'), float32; float16 beside int8 tokens.
    """

    keys: Tensor
    lengths: Tensor
    ids: Tensor
    tokens: Tensor
    scales: Tensor | None
    sentences: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by name, as they are written."""
        return {name: value.contiguous() for name, value in vars(self).items() if value is not None}


def id_dtype(vocabulary: int) -> torch.dtype:
    """Return the smallest integer type that holds the token ids.

    Example:
        >>> id_dtype(30_522), id_dtype(250_002)
        (torch.uint16, torch.int32)
    """
    return torch.uint16 if vocabulary <= _SHORT_IDS else torch.int32


def write_shard(path: Path, shard: Shard, identity: str, cosine: float) -> ShardEntry:
    """Write a shard through a temporary file, flushed to the disk before it gets its name.

    Args:
        path: The file.
        shard: The content.
        identity: Digest of the cache's identity, kept in the file too.
        cosine: See :class:`ShardEntry`.

    Raises:
        OSError: It cannot be written; nothing is left then.
    """
    try:
        with whole_file(path) as scratch:
            save_file(shard.tensors(), scratch, metadata={"identity": identity})
            return ShardEntry(
                file=path.name,
                texts=len(shard.lengths),
                tokens=len(shard.tokens),
                bytes=scratch.stat().st_size,
                sha256=file_hash(scratch),
                cosine=cosine,
            )
    except SafetensorError as error:  # it reports a full disk in its own class
        raise OSError(f"{path}: {error}") from error


def open_shard(path: Path) -> Shard:
    """Map a shard into memory; nothing is read until it is used.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        return Shard(**{"scales": None, **load_file(path)})  # type: ignore[arg-type]
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise damaged(path, f"cannot be read ({error})") from None


def check_shard(folder: Path, entry: ShardEntry) -> None:
    """Compare a file with its entry in the manifest.

    Raises:
        InputError: It is missing, of another size, or has another SHA-256.
    """
    path = folder / entry.file
    if not path.is_file():
        raise damaged(path, "the file is missing")
    if path.stat().st_size != entry.bytes:
        raise damaged(path, f"the file has {path.stat().st_size} bytes, the manifest says {entry.bytes}")
    found = file_hash(path)
    if found != entry.sha256:
        raise damaged(path, f"the file's SHA-256 begins with {found[:12]}, the manifest says {entry.sha256[:12]}")


def damaged(path: Path, problem: str) -> InputError:
    """Make the error for a shard that fails its check."""
    return InputError(
        f"{problem}; this shard of the teacher cache cannot be used",
        "remove this file and train with the teacher at hand, which encodes its texts again; or get the file again "
        "from where it was published",
        path=path,
    )
