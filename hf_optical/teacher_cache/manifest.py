"""Manifest of a teacher cache, which lists its identity and its shards with their hashes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hf_optical.errors import InputError
from hf_optical.teacher_cache.identity import CacheIdentity
from hf_optical.teacher_cache.shards import ShardEntry

MANIFEST_FILE = "manifest.json"
TOKENIZER_FOLDER = "tokenizer"
_FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """List of a cache's shards, in the order in which their rows are numbered.

    Attributes:
        identity: Identity of the cache.
        shards: Shards that are completely written.
        teacher_name: Hub id or name of the teacher's folder, for the card.
    """

    identity: CacheIdentity
    shards: tuple[ShardEntry, ...] = ()
    teacher_name: str | None = None

    @property
    def texts(self) -> int:
        """Number of texts in all shards."""
        return sum(shard.texts for shard in self.shards)

    @property
    def tokens(self) -> int:
        """Number of token vectors in all shards."""
        return sum(shard.tokens for shard in self.shards)

    @property
    def bytes(self) -> int:
        """Bytes of all shards."""
        return sum(shard.bytes for shard in self.shards)

    @property
    def cosine(self) -> float | None:
        """Smallest cosine between a token vector as stored and as computed."""
        return min((shard.cosine for shard in self.shards if shard.tokens), default=None)

    def having(self, *more: ShardEntry) -> Manifest:
        """Return the manifest with more shards."""
        return replace(self, shards=(*self.shards, *more))

    def without_missing(self, folder: Path) -> Manifest:
        """Return the manifest without shards whose files were removed."""
        return replace(self, shards=tuple(shard for shard in self.shards if (folder / shard.file).is_file()))

    def next_file(self) -> str:
        """Name of the next shard."""
        numbers = [int(shard.file.partition("-")[2].partition(".")[0]) for shard in self.shards]
        return f"shard-{max(numbers, default=-1) + 1:05d}.safetensors"

    def as_dict(self) -> dict[str, Any]:
        """Return the manifest for JSON."""
        return {
            "format": _FORMAT,
            "digest": self.identity.digest,
            "teacher_name": self.teacher_name,
            "identity": asdict(self.identity),
            "texts": self.texts,
            "tokens": self.tokens,
            "bytes": self.bytes,
            "smallest_cosine": self.cosine,
            "shards": [shard.as_dict() for shard in self.shards],
        }


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest atomically."""
    from hf_optical.results.files import write_json

    write_json(folder / MANIFEST_FILE, manifest.as_dict())


def read_manifest(folder: str | Path) -> Manifest:
    """Read the manifest.

    Raises:
        InputError: There is no manifest, it is damaged, or it has another version of the format.
    """
    path = Path(folder) / MANIFEST_FILE
    if not path.is_file():
        problem = "the folder is not a teacher cache: it has no manifest.json"
        raise InputError(problem, "check the path", path=folder)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["format"]
        if version != _FORMAT:
            raise InputError(
                f"the cache has format {version}, and this version of hf-optical reads {_FORMAT}",
                "update hf-optical, or make the cache again in another folder",
                path=path,
            )
        identity = CacheIdentity.from_dict(content["identity"])
        manifest = Manifest(
            identity, tuple(ShardEntry(**entry) for entry in content["shards"]), content.get("teacher_name")
        )
        names = [shard.file for shard in manifest.shards]
        # The file may come from the Hub, so make sure that no name leads out of the folder.
        sound = all(name.startswith("shard-") and Path(name).name == name for name in names)
        if content["digest"] != identity.digest or len(set(names)) < len(names) or not sound:
            raise ValueError("its parts do not fit together")
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"the manifest is damaged ({type(error).__name__}: {error})",
            "remove the folder and let the teacher encode again, or get it again from where it was published",
            path=path,
        ) from None
    return manifest
