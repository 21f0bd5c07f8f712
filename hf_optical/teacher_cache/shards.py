"""Shard of a teacher cache: a file with token vectors of some texts, written atomically and read by memory mapping."""

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

_SHORT_IDS = 65_536  # largest vocabulary whose ids fit into 16 bits


@dataclass(frozen=True)
class ShardEntry:
    """Entry of a shard in the manifest.

    Attributes:
        file: Name of the file.
        texts: Number of texts.
        tokens: Number of token vectors.
        bytes: Size of the file.
        sha256: SHA-256 of the file.
        cosine: Smallest cosine between a stored token vector and the one that the teacher computed.
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
    """Content of a shard: n texts, whose T tokens are stored one text after the other.

    Attributes:
        keys: Hash of each text from :func:`~hf_optical.teacher_cache.identity.text_key`, (n, 16), uint8.
        lengths: Number of tokens of each text, (n,), int32.
        ids: Token ids, (T,), uint16 if the vocabulary is small enough, else int32.
        tokens: Token vectors, (T, d), in the cache's dtype.
        scales: Scales of int8 token vectors, (T,), float16; ``None`` for other types.
        sentences: Sentence vectors, (n, d'), float32, or float16 if tokens are int8.
    """

    keys: Tensor
    lengths: Tensor
    ids: Tensor
    tokens: Tensor
    scales: Tensor | None
    sentences: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors by name, as they are written to the file."""
        return {name: value.contiguous() for name, value in vars(self).items() if value is not None}


def id_dtype(vocabulary: int) -> torch.dtype:
    """Return the smaller of two integer types that can hold the token ids of a vocabulary.

    Example:
        >>> id_dtype(30_522), id_dtype(250_002)
        (torch.uint16, torch.int32)
    """
    return torch.uint16 if vocabulary <= _SHORT_IDS else torch.int32


def write_shard(path: Path, shard: Shard, identity: str, cosine: float) -> ShardEntry:
    """Write a shard to a temporary file, flush it to the disk and rename it.

    Args:
        path: The file.
        shard: The content.
        identity: Digest of the cache's identity, which is written into the file too.
        cosine: Smallest cosine, as in :class:`ShardEntry`.

    Returns:
        The entry for the manifest.

    Raises:
        OSError: The file cannot be written; no part of it is left.
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
    except SafetensorError as error:  # safetensors reports a full disk with its own class
        raise OSError(f"{path}: {error}") from error


def open_shard(path: Path) -> Shard:
    """Map a shard into memory; its content is read from the disk when it is used.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        return Shard(**{"scales": None, **load_file(path)})  # type: ignore[arg-type]
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise damaged(path, f"the file cannot be read ({error})") from None


def check_shard(folder: Path, entry: ShardEntry) -> None:
    """Compare a file with its entry in the manifest.

    Raises:
        InputError: The file is missing, or has another size or another SHA-256.
    """
    path = folder / entry.file
    if not path.is_file():
        raise damaged(path, "the file is missing")
    if path.stat().st_size != entry.bytes:
        raise damaged(path, f"the file has {path.stat().st_size} bytes, and the manifest says {entry.bytes}")
    found = file_hash(path)
    if found != entry.sha256:
        raise damaged(path, f"the file's SHA-256 begins with {found[:12]}, and the manifest says {entry.sha256[:12]}")


def damaged(path: Path, problem: str) -> InputError:
    """Build the error for a shard that fails a check."""
    return InputError(
        f"{problem}; this shard of the teacher cache cannot be used",
        "remove this file and train with the teacher itself, which encodes its texts again; or get the file again "
        "from where it was published",
        path=path,
    )
