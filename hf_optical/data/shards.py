"""Search for the files of a folder that together are one table: its shards, of one split if there are several."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from hf_optical.data.byte_streams import FORMATS
from hf_optical.data.columnar import is_saved_dataset
from hf_optical.errors import InputError

__all__ = ["shards"]

logger = logging.getLogger(__name__)

# Names of splits in the Hub's layout, in the name of a file or of its folder.
_SPLIT = re.compile(r"(?:^|[._/-])(train|test|validation|valid|val|dev)(?=$|[._/-])", re.IGNORECASE)
_SAME = {"valid": "validation", "val": "validation", "dev": "validation"}
_NO_DATA = {"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json"}


def shards(path: str | Path, split: str | None = None) -> list[Path]:
    """List the data files that a path stands for.

    Args:
        path: A file or a folder that ``save_to_disk`` wrote, which is returned itself, or a folder with files of one
            supported format at any depth. Hidden files and unsupported formats are ignored.
        split: Split to read if the folder has several, according to the names of files
            (``train-00000-of-00002.parquet``) or folders. Default ``"train"``.

    Returns:
        The files in the order of their names.

    Raises:
        InputError: The folder has no data files, files of several formats, or not this split.

    Example:
        >>> shards("pairs.tsv")
        [PosixPath('pairs.tsv')]
    """
    path, wanted = Path(path), _SAME.get(split or "train", split or "train")
    if (path / "dataset_dict.json").is_file():
        return [_saved_split(path, wanted)]
    if not path.is_dir() or is_saved_dataset(path):
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and file.name not in _NO_DATA
        and _format(file)
        and not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
    )
    if not found:
        raise InputError(
            "the folder holds no data files", f"give a folder with files of the formats {', '.join(FORMATS)}", path=path
        )
    kinds = sorted({_format(file) for file in found})
    if len(kinds) > 1:
        raise InputError(
            f"the folder holds files of several formats ({', '.join(kinds)})",
            "name the files to read",
            path=path,
        )
    return _of_split(found, wanted, path)


def _format(file: Path) -> str:
    """Return the supported format of a file, or an empty string."""
    suffix = (file.with_suffix("") if file.suffix.lower() == ".gz" else file).suffix.lower()
    return suffix if suffix in FORMATS else ""


def _of_split(found: list[Path], wanted: str, path: Path) -> list[Path]:
    splits = {file: _split(file.relative_to(path).as_posix()) for file in found}
    named = {name for name in splits.values() if name is not None}
    if not named:
        return found
    kept = [file for file, name in splits.items() if name == wanted]
    if not kept:
        raise InputError(
            f"the folder has no split {wanted!r}; it has {', '.join(sorted(named))}",
            "name the files to read",
            path=path,
        )
    if len(kept) < len(found):
        logger.info(
            "%s: %d files of the split %s are read, and %d of other splits are not",
            path, len(kept), wanted, len(found) - len(kept),
        )  # fmt: skip
    return kept


def _split(name: str) -> str | None:
    match = _SPLIT.search(name)
    return None if match is None else _SAME.get(match[1].lower(), match[1].lower())


def _saved_split(path: Path, wanted: str) -> Path:
    folders = {_SAME.get(folder.name, folder.name): folder for folder in path.iterdir() if is_saved_dataset(folder)}
    if wanted not in folders:
        raise InputError(
            f"the data set has no split {wanted!r}; it has {', '.join(sorted(folders)) or 'none'}",
            "name the folder of the split to read",
            path=path,
        )
    return folders[wanted]
