"""Filling of a teacher cache: after a check of the disk, shards are written one by one, each atomically."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.model import BaseModel

from hf_optical.encoders.token_view import boundary_token_ids, encode_tokens
from hf_optical.errors import InputError, NonFiniteError
from hf_optical.places import waited_for
from hf_optical.teacher_cache.identity import KEY_BYTES, CacheIdentity, read_as_query, text_key
from hf_optical.teacher_cache.manifest import MANIFEST_FILE, TOKENIZER_FOLDER, Manifest, read_manifest, write_manifest
from hf_optical.teacher_cache.quantisation import compress, dequantise, token_bytes
from hf_optical.teacher_cache.reading import CacheReader
from hf_optical.teacher_cache.shards import Shard, id_dtype, write_shard
from hf_optical.units import shown_bytes

logger = logging.getLogger(__name__)

LOCK_FILE = ".lock"
SHARD_BYTES = 64_000_000
"""Size of a shard, approximately."""
SPARE_BYTES = 1_000_000_000
"""Bytes that must stay free on the disk, for checkpoints."""
_GOOD_COSINE = 0.999  # between a stored and a computed token vector; a smaller one is logged as a warning
_SAMPLE = 1_000  # texts from which the size of the cache is estimated
_FULL = (errno.ENOSPC, errno.EDQUOT)


def prepare(folder: Path, identity: CacheIdentity, teacher: BaseModel) -> Manifest:
    """Read the manifest of a cache, and create an empty cache if there is none.

    Args:
        folder: Folder of the cache.
        identity: Identity of a cache that is created.
        teacher: Teacher whose tokenizer is saved with the cache.

    Raises:
        InputError: The folder holds something else.
    """
    if (folder / MANIFEST_FILE).exists():
        with waited_for(folder / LOCK_FILE, f"the teacher cache {folder}"):
            return _forget_removed(folder)
    if folder.exists() and (not folder.is_dir() or any(_ours(path) is False for path in folder.iterdir())):
        problem = "the folder holds something that is not a teacher cache"
        raise InputError(problem, "choose another folder", path=folder)
    folder.mkdir(parents=True, exist_ok=True)
    with waited_for(folder / LOCK_FILE, f"the teacher cache {folder}"):
        if (folder / MANIFEST_FILE).exists():  # another process was first
            return read_manifest(folder)
        teacher.tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
        name = getattr(getattr(teacher, "model_card_data", None), "base_model", None)
        manifest = Manifest(identity, teacher_name=str(name) if name else None)
        write_manifest(manifest, folder)
    return manifest


def room_for(folder: Path) -> bool:
    """Return whether a cache exists or the disk has room for one, and log a warning if it has no room."""
    if (folder / MANIFEST_FILE).exists():
        return True
    place = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(place).free
    if free < SPARE_BYTES:
        logger.warning(
            "%s: the disk has %s free, of which %s must stay free: no teacher cache is made, and the teacher encodes "
            "the English in every step (online)",
            folder,
            shown_bytes(free),
            shown_bytes(SPARE_BYTES),
        )
    return free >= SPARE_BYTES


def _forget_removed(folder: Path) -> Manifest:
    """Drop shards whose files were removed from the manifest, so that their texts are encoded again."""
    found = read_manifest(folder)
    there = found.without_missing(folder)
    if there != found:
        write_manifest(there, folder)
    return there


def _ours(path: Path) -> bool:
    """Return whether a file may be part of a cache whose creation was interrupted."""
    return path.name == TOKENIZER_FOLDER or path.name.startswith((".", "shard-"))


def fill(
    folder: Path,
    teacher: BaseModel,
    texts: Iterable[str],
    *,
    show_progress: bool = True,
    batch_size: int = 64,
    shard_bytes: int = SHARD_BYTES,
) -> bool:
    """Encode the texts that a cache does not have, and add them to it; see :meth:`CachedTeacher.fill`.

    Texts are sorted by length, the longest first, and divided into shards in an order that depends on the texts alone.
    After an interruption the batches are therefore the same as without one, and so are the stored vectors, bit by bit.

    Args:
        folder: Folder of the cache.
        teacher: The teacher, in evaluation mode.
        texts: English sentences.
        show_progress: Whether to print the expected size and to show a progress bar.
        batch_size: Texts per forward pass.
        shard_bytes: Size of a shard, approximately.

    Returns:
        Whether all texts are in the cache; ``False`` if the disk has too little room.
    """
    wanted = sorted(set(texts), key=lambda text: (-len(text), text))
    with waited_for(folder / LOCK_FILE, f"the teacher cache {folder}"):
        manifest = _forget_removed(folder)
        for leftover in folder.glob(".writing-*"):
            leftover.unlink()
        reader = CacheReader(folder, verify=False)  # the hashes were compared when the cache was opened
        known = (reader.find(wanted) >= 0).numpy()
        missing = int((~known).sum())
        if not missing:
            return True
        each = _bytes_per_text(teacher, wanted, manifest.identity)
        if not _announce(folder, manifest, missing, int(missing * each), show_progress):
            return False
        size = max(batch_size, int(shard_bytes / each) // batch_size * batch_size)
        chunks = [
            [text for text, there in zip(wanted[at : at + size], known[at : at + size], strict=True) if not there]
            for at in range(0, len(wanted), size)
        ]
        manifest, whole = _write(folder, manifest, teacher, chunks, missing, batch_size, show_progress)
    if manifest.cosine is not None and manifest.cosine < _GOOD_COSINE:
        logger.warning(
            "%s: a token vector stored as %s has a cosine of only %.4f with the teacher's own; use float16",
            folder,
            manifest.identity.dtype,
            manifest.cosine,
        )
    return whole


def _write(
    folder: Path,
    manifest: Manifest,
    teacher: BaseModel,
    chunks: Sequence[list[str]],
    total: int,
    batch_size: int,
    show_progress: bool,
) -> tuple[Manifest, bool]:
    """Encode and write shards; return the new manifest, and whether the disk had room for all of them."""
    from tqdm.auto import tqdm

    with tqdm(total=total, desc="Teacher cache", unit=" texts", unit_scale=True, disable=not show_progress) as bar:
        for chunk in chunks:
            if not chunk:
                continue
            shard, cosine = _encode_shard(teacher, chunk, manifest.identity, batch_size, bar.update)
            try:
                entry = write_shard(folder / manifest.next_file(), shard, manifest.identity.digest, cosine)
                manifest = manifest.having(entry)
                write_manifest(manifest, folder)
            except OSError as error:
                if error.errno not in _FULL and "No space left" not in str(error):
                    raise
                logger.warning(
                    "%s: the disk is full after %d of %d texts; the teacher encodes the others in every step (online)",
                    folder,
                    bar.n - len(chunk),
                    total,
                )
                return read_manifest(folder), False
    return manifest, True


def _encode_shard(
    teacher: BaseModel, texts: Sequence[str], identity: CacheIdentity, batch_size: int, advance: Any = None
) -> tuple[Shard, float]:
    """Encode texts into a shard; return it with the smallest cosine between stored and computed token vectors.

    Raises:
        NonFiniteError: The teacher's vectors are not finite; the message quotes a text of the batch.
        InputError: A text has no token at all.
    """
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in ("lengths", "ids", "tokens", "scales", "sentences")}
    cosine = 1.0
    for some, ids, lengths, tokens, sentences in _read(teacher, texts, identity, batch_size):
        if not (torch.isfinite(tokens).all() and torch.isfinite(sentences).all()):
            raise NonFiniteError(f"the teacher's vectors are not finite, in one of {len(some)} texts: {some[0][:80]!r}")
        if int(lengths.min()) < 1:
            raise InputError(
                f"the text {some[int(lengths.argmin())][:80]!r} has no token in the teacher's tokenizer",
                "remove the row",
                field="source",
            )
        kept, scales = compress(tokens, identity.dtype)
        back = kept.float() if scales is None else dequantise(kept, scales)
        # A zero vector has no direction to compare, and is stored exactly.
        alike = torch.cosine_similarity(back, tokens, dim=-1)[tokens.abs().amax(dim=-1) > 0]
        cosine = min(cosine, float(alike.min())) if len(alike) else cosine
        parts["lengths"].append(lengths.to(torch.int32))
        parts["ids"].append(ids)
        parts["tokens"].append(kept)
        if scales is not None:
            parts["scales"].append(scales)
        parts["sentences"].append(sentences)
        if advance is not None:
            advance(len(some))
    keys = np.frombuffer(b"".join(text_key(text) for text in texts), dtype=np.uint8).reshape(-1, KEY_BYTES)
    joined = {name: torch.cat(values) if values else None for name, values in parts.items()}
    assert joined["ids"] is not None
    assert joined["sentences"] is not None
    joined["ids"] = joined["ids"].to(id_dtype(identity.vocabulary))
    if identity.dtype == "int8":  # with 32 bits per number they would cost more than a tenth of what int8 saves
        joined["sentences"] = joined["sentences"].half()
    return Shard(keys=torch.from_numpy(keys.copy()), **joined), cosine  # type: ignore[arg-type]


@torch.no_grad()
def _read(
    teacher: BaseModel, texts: Sequence[str], identity: CacheIdentity, batch_size: int
) -> Iterator[tuple[Sequence[str], torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Encode texts in batches, and yield for each batch packed tensors on the CPU.

    Yields:
        The n texts; token ids, (T,); tokens of each text, (n,); token vectors, (T, d), and sentence vectors, (n, d'),
        both float32.
    """
    special = boundary_token_ids(teacher)
    for start in range(0, len(texts), batch_size):
        some = texts[start : start + batch_size]
        features = read_as_query(teacher, list(some), identity.prompt, identity.max_length)
        view = encode_tokens(teacher, features, special, late_interaction=identity.late_interaction)
        kept = view.mask & view.text  # no loss term uses the prompt's tokens
        yield (
            some,
            view.input_ids[kept].cpu(),
            kept.sum(1).cpu(),
            view.tokens[kept].float().cpu(),
            view.sentence.float().cpu(),
        )


def _bytes_per_text(teacher: BaseModel, texts: Sequence[str], identity: CacheIdentity) -> float:
    """Estimate the stored bytes per text from a sample of texts of all lengths."""
    sample = list(texts[:: max(1, len(texts) // _SAMPLE)])
    tokens = 0
    for start in range(0, len(sample), 100):
        features = read_as_query(teacher, sample[start : start + 100], identity.prompt, identity.max_length)
        mask = features.get("attention_mask")
        tokens += int(mask.sum()) if mask is not None else features["input_ids"].numel()
    ids = id_dtype(identity.vocabulary).itemsize
    sentence = identity.sentence_width * (2 if identity.dtype == "int8" else 4)
    per_token = token_bytes(identity.width, identity.dtype) + ids
    return tokens / len(sample) * per_token + sentence + KEY_BYTES + 4


def _announce(folder: Path, manifest: Manifest, missing: int, size: int, show: bool) -> bool:
    """Print how much will be written, and return whether the disk has room for it."""
    free = shutil.disk_usage(folder).free
    there = f", {manifest.texts:,} more are stored already" if manifest.texts else ""
    if free - size < SPARE_BYTES:
        logger.warning(
            "%s: the teacher's vectors of %s texts would take about %s and the disk has %s free, of which %s must stay "
            "free: nothing is stored, and the teacher encodes the English in every step (online). Make room, or use "
            "--teacher_cache_dtype int8",
            folder,
            f"{missing:,}",
            shown_bytes(size),
            shown_bytes(free),
            shown_bytes(SPARE_BYTES),
        )
        return False
    if show:
        from tqdm.auto import tqdm

        tqdm.write(
            f"Teacher cache: {missing:,} English texts, about {shown_bytes(size)} as {manifest.identity.dtype}{there} "
            f"({shown_bytes(free)} free)"
        )
    return True
