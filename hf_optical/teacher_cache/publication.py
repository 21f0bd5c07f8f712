"""Conversion of a teacher cache to a data set for the Hub, with Parquet files and a card, and back."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from hf_optical.errors import InputError
from hf_optical.places import waited_for
from hf_optical.publishing.layout import CARD_FILE, publication_folder
from hf_optical.results.files import write_json
from hf_optical.teacher_cache.card import dataset_card
from hf_optical.teacher_cache.filling import LOCK_FILE
from hf_optical.teacher_cache.identity import KEY_BYTES
from hf_optical.teacher_cache.manifest import (
    MANIFEST_FILE,
    TOKENIZER_FOLDER,
    Manifest,
    read_manifest,
    write_manifest,
)
from hf_optical.teacher_cache.shards import Shard, ShardEntry, check_shard, id_dtype, open_shard, write_shard

_DATA = "data"
_ROWS = 500  # rows per row group, some ten megabytes
_TYPES = {"float16": torch.float16, "int8": torch.int8, "float32": torch.float32}


def build_dataset(cache: str | Path, folder: str | Path, *, licence: str, repo_id: str | None = None) -> Path:
    """Write a cache as a data set: one Parquet file per shard, the tokenizer, the manifest and a card.

    No file is pickled. After an error the folder is unchanged.

    Args:
        cache: Folder of the cache.
        folder: A missing or empty folder, or one that this function made before.
        licence: Licence of the vectors and of the texts, which can be reconstructed from their token ids, as the Hub
            writes it, for instance ``"cc-by-4.0"``.
        repo_id: Hub id for the card's example, ``owner/name``.

    Returns:
        The folder.

    Raises:
        InputError: The cache is damaged or empty, or the folder holds something else.
        HFOpticalError: The disk is full.
    """
    from tqdm.auto import tqdm

    cache, folder = Path(cache), Path(folder)
    manifest = read_manifest(cache)
    if not manifest.texts:
        raise InputError("the cache has no texts yet", "fill it first", path=cache)
    contents = {}
    count = len(manifest.shards)
    with publication_folder(folder, (MANIFEST_FILE, _DATA)) as scratch:
        (scratch / _DATA).mkdir()
        for number, entry in enumerate(tqdm(manifest.shards, desc="Writing Parquet", disable=manifest.bytes < 1e9)):
            check_shard(cache, entry)
            shard = open_shard(cache / entry.file)
            contents[entry.file] = _content_digest(shard)
            _write_parquet(scratch / _DATA / f"train-{number:05d}-of-{count:05d}.parquet", shard)
        shutil.copytree(cache / TOKENIZER_FOLDER, scratch / TOKENIZER_FOLDER)
        card = dataset_card(manifest, licence=licence, repo_id=repo_id)
        (scratch / CARD_FILE).write_text(card, encoding="utf-8")
        write_json(scratch / MANIFEST_FILE, {**manifest.as_dict(), "contents": contents})
    return folder


def publish(folder: str | Path, repo_id: str, *, private: bool = True, revision: str | None = None) -> str:
    """Upload a folder that :func:`build_dataset` made to a data set on the Hub.

    The token is read from the environment (``HF_TOKEN``) or the stored login. Files that have arrived are not sent
    again; Parquet files of an earlier upload are deleted.

    Args:
        folder: The folder to upload.
        repo_id: Hub id of the data set, ``owner/name``; it is created if missing.
        private: Whether a new data set is private; an existing one keeps its setting.
        revision: An existing branch, in place of ``main``.

    Returns:
        The URL of the data set.

    Raises:
        InputError: The token is missing or refused, or the folder was not made by :func:`build_dataset`.
        HFOpticalError: The Hub could not be reached, has no room, or the upload broke off. Calling it again continues
            the upload.
    """
    from hf_optical.publishing.hub import repository

    folder = Path(folder)
    if not (folder / CARD_FILE).is_file() or not (folder / _DATA).is_dir():
        problem = "the folder is not a data set of a teacher cache"
        raise InputError(problem, "make one with build_dataset", path=folder)
    read_manifest(folder)
    with repository(repo_id, kind="dataset", private=private, revision=revision) as api:
        api.upload_folder(
            repo_id=repo_id,
            repo_type="dataset",
            folder_path=folder,
            revision=revision,
            commit_message="Publish a teacher cache with hf-optical",
            delete_patterns=[f"{_DATA}/*.parquet"],  # files of this upload are not deleted
        )
    return f"{api.endpoint}/datasets/{repo_id}"


def restore(source: str, folder: Path, *, revision: str | None = None) -> Path:
    """Convert a published cache back into a cache, shard by shard; after an interruption it continues.

    Args:
        source: Hub id, or a folder that :func:`build_dataset` made.
        folder: Folder for the cache.
        revision: Revision of the data set on the Hub.

    Returns:
        The folder of the cache.

    Raises:
        InputError: The source is not a teacher cache, the folder holds another one, or the rows of a shard, which the
            message names, are not what was published.
    """
    from datasets import load_dataset

    from hf_optical.publishing.hub_errors import hub_errors

    local = Path(source).is_dir()
    with hub_errors(source, revision):
        described = Path(source) if local else _described(source, revision)
        published = read_manifest(described)
        contents = json.loads((described / MANIFEST_FILE).read_text(encoding="utf-8")).get("contents", {})
        folder.mkdir(parents=True, exist_ok=True)
        with waited_for(folder / LOCK_FILE, f"the teacher cache {folder}"):
            manifest = _begin(folder, published, described)
            if manifest.texts == published.texts:
                return folder
            # A local data set is loaded by its files: datasets caches by name, and could return an older state.
            if local:
                files = sorted(str(path) for path in (described / _DATA).glob("*.parquet"))
                if not files:
                    raise InputError("the data set has no Parquet files in data/", "build it again", path=source)
                rows = load_dataset("parquet", data_files=files, split="train")
            else:
                rows = load_dataset(source, split="train", revision=revision)
    if len(rows) != published.texts:
        raise InputError(
            f"the data set has {len(rows)} rows, and its manifest names {published.texts}",
            "publish it again",
            path=source,
        )
    with waited_for(folder / LOCK_FILE, f"the teacher cache {folder}"):
        first = 0
        done = {entry.file for entry in manifest.shards}
        for entry in published.shards:
            if entry.file not in done:
                shard = _read_rows(rows, first, entry, published)
                if _content_digest(shard) != contents.get(entry.file):
                    raise InputError(
                        f"the rows {first} to {first + entry.texts - 1}, made from {entry.file}, are not those that "
                        "were published",
                        "load the data set again without its local copy (remove it from the Hub's cache folder), or "
                        "publish it again",
                        path=source,
                    )
                manifest = manifest.having(
                    write_shard(folder / entry.file, shard, published.identity.digest, entry.cosine)
                )
                write_manifest(manifest, folder)
            first += entry.texts
    return folder


def _content_digest(shard: Shard) -> str:
    """Compute a digest of a shard's tensors, which does not depend on the format of the file."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(shard.tensors().items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _begin(folder: Path, published: Manifest, described: Path) -> Manifest:
    """Return the manifest of the cache in a folder, which is created without shards if it does not exist."""
    if (folder / MANIFEST_FILE).exists():
        found = read_manifest(folder).without_missing(folder)
        if differences := found.identity.differences(published.identity):
            raise InputError(
                f"the folder holds another teacher cache: {'; '.join(differences)}",
                "choose another folder",
                path=folder,
            )
        return found
    if not (folder / TOKENIZER_FOLDER).exists():
        shutil.copytree(described / TOKENIZER_FOLDER, folder / TOKENIZER_FOLDER)
    begun = replace(published, shards=())
    write_manifest(begun, folder)
    return begun


def _described(source: str, revision: str | None) -> Path:
    """Download manifest and tokenizer of a data set on the Hub, and return their folder."""
    from huggingface_hub import snapshot_download

    place = Path(
        snapshot_download(
            source, repo_type="dataset", revision=revision, allow_patterns=[MANIFEST_FILE, f"{TOKENIZER_FOLDER}/*"]
        )
    )
    if not (place / MANIFEST_FILE).is_file():
        raise InputError("the data set is not a teacher cache: it has no manifest.json", "check the name", path=source)
    return place


def _write_parquet(path: Path, shard: Shard) -> None:
    """Write a shard as a Parquet file with one row per text."""
    starts = (shard.lengths.to(torch.long).cumsum(0) - shard.lengths).tolist()
    writer: pq.ParquetWriter | None = None
    try:
        for first in range(0, len(shard.lengths), _ROWS):
            numbers = range(first, min(first + _ROWS, len(shard.lengths)))
            table = _table(shard, numbers, starts)
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression="zstd", compression_level=1)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _table(shard: Shard, numbers: range, starts: list[int]) -> pa.Table:
    """Build the table for a range of a shard's texts; ``starts`` has the first token of every text."""
    lengths = shard.lengths.tolist()
    cuts = [slice(starts[number], starts[number] + lengths[number]) for number in numbers]
    columns: dict[str, Any] = {
        "key": pa.array([bytes(shard.keys[number].numpy()).hex() for number in numbers], pa.string()),
        "input_ids": pa.array([shard.ids[cut].to(torch.int32).numpy() for cut in cuts], pa.list_(pa.int32())),
        "tokens": pa.array([_bytes(shard.tokens[cut]) for cut in cuts], pa.binary()),
    }
    if shard.scales is not None:
        columns["scales"] = pa.array([shard.scales[cut].float().numpy() for cut in cuts], pa.list_(pa.float32()))
    sentences = shard.sentences[numbers.start : numbers.stop].float().numpy()
    columns["sentence"] = pa.array(list(sentences), pa.list_(pa.float32()))
    return pa.table(columns)


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()


def _read_rows(rows: Any, first: int, entry: ShardEntry, manifest: Manifest) -> Shard:
    """Build the shard of an entry from the rows of the data set, beginning with row ``first``."""
    identity = manifest.identity
    parts: dict[str, list[Any]] = {name: [] for name in ("keys", "lengths", "ids", "tokens", "scales", "sentences")}
    for batch in _batches(rows, first, entry.texts):
        for place, key in enumerate(batch["key"]):
            parts["keys"].append(np.frombuffer(bytes.fromhex(key), np.uint8))
            ids = np.asarray(batch["input_ids"][place])
            parts["lengths"].append(len(ids))
            parts["ids"].append(ids)
            parts["tokens"].append(np.frombuffer(batch["tokens"][place], identity.dtype).reshape(-1, identity.width))
            if identity.dtype == "int8":
                parts["scales"].append(np.asarray(batch["scales"][place], np.float16))
            parts["sentences"].append(np.asarray(batch["sentence"][place], np.float32))
    numbers = torch.from_numpy(np.concatenate(parts["ids"]).astype(np.int64))
    sentences = torch.from_numpy(np.stack(parts["sentences"]))
    return Shard(
        keys=torch.from_numpy(np.stack(parts["keys"]).reshape(-1, KEY_BYTES)),
        lengths=torch.tensor(parts["lengths"], dtype=torch.int32),
        ids=numbers.to(id_dtype(identity.vocabulary)),
        tokens=torch.from_numpy(np.concatenate(parts["tokens"])).to(_TYPES[identity.dtype]),
        scales=torch.from_numpy(np.concatenate(parts["scales"])) if parts["scales"] else None,
        sentences=sentences.half() if identity.dtype == "int8" else sentences,
    )


def _batches(rows: Any, first: int, count: int) -> Iterator[dict[str, list[Any]]]:
    for start in range(first, first + count, _ROWS):
        yield rows[start : min(start + _ROWS, first + count)]
