"""Access to the files of published sets: in a local copy, on the Hub, or in the authors' repository."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hf_optical.errors import InputError

__all__ = ["Origin", "cache_folder", "load_table", "state_of", "unreachable"]


class Origin:
    """Source of the files of one set.

    Args:
        name: Name of the set, for messages.
        folder: Folder with a local copy, from which alone files are then taken; they are downloaded if ``None``.

    Raises:
        InputError: There is no such folder.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self.name, self.folder = name, folder
        if folder is not None and not folder.is_dir():
            raise InputError("there is no such folder", f"give the folder of a copy of {name}", path=folder)

    def files(self, place: str) -> list[Path]:
        """Find or download the files of a place.

        Args:
            place: Place in the notation of :class:`LiteratureSet`; of alternatives separated by ``|`` the first that
                exists is taken.

        Raises:
            InputError: There are no such files, or they cannot be downloaded; the message explains how to use a local
                copy.
        """
        places = place.split("|")
        if self.folder is not None:
            return self._local(places)
        failure: Exception | None = None
        for one in places:
            if not one.startswith(("hub:", "https:", "tar:")):
                continue
            try:
                return _fetch(one)
            except Exception as error:  # Hub clients and file systems raise many unrelated types
                failure = failure or error
        raise unreachable(self.name, places[0].removeprefix("hub:"), failure)

    def rows(self, repository: str, configuration: str, split: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of one configuration of a Hub data set, or of its local copy."""
        yield from load_table(repository, configuration, split, folder=self.folder, name=self.name)

    def _local(self, places: list[str]) -> list[Path]:
        assert self.folder is not None
        names = [place.rsplit("/", 1)[-1].rsplit("!", 1)[-1] for place in places]
        for place, name in zip(places, names, strict=True):
            # The file may be anywhere in the folder, and compressed or not.
            for pattern in (name, f"{name}.gz", name.removesuffix(".gz")):
                found = sorted(self.folder.rglob(pattern))
                if len(found) > 1 and "*" not in name:
                    parents = [path for path in found if path.parent.name == Path(place).parent.name]
                    found = parents or found
                if len(found) > 1 and "*" not in name:
                    problem = f"the folder has {len(found)} files {pattern}"
                    raise InputError(problem, "give a folder that has only one", path=self.folder)
                if found:
                    return sorted(found, key=_numbered)
        raise InputError(
            f"there is no {' and no '.join(names)} in this copy of {self.name}",
            "give a folder with the files in the form in which their authors publish them",
            path=self.folder,
        )


def load_table(repository: str, configuration: str | None, split: str | None, *, folder: Path | None, name: str) -> Any:
    """Load one table of a Hub data set, or of its local copy.

    Args:
        repository: Hub id of the data set.
        configuration: Its configuration, or ``None`` for the default.
        split: Its split, or ``None`` for the first.
        folder: Folder of the local copy, or ``None`` to download.
        name: Name of the set, for messages.

    Raises:
        InputError: The table cannot be loaded.
    """
    import datasets

    path = str(folder) if folder is not None else repository
    # ``datasets`` caches the rows of a local folder under the folder's name only. Another folder of that name, or the
    # same one after a change, would give the old rows, so each state of a folder has a cache of its own.
    options = {"cache_dir": str(cache_folder().parent / "tables" / state_of(folder))} if folder is not None else {}
    try:
        found = datasets.load_dataset(path, configuration, **options)
        return found[split] if split is not None else next(iter(found.values()))
    except Exception as error:  # the Hub's clients raise many unrelated types
        raise unreachable(name, f"{path} ({configuration}, {split or 'its split'})", error) from error


def cache_folder() -> Path:
    """Return the folder of converted sets: ``$HF_OPTICAL_CACHE``, or ``hf_optical`` in the Hub's home."""
    from huggingface_hub.constants import HF_HOME

    # Version 2 of the layout keeps titles apart from texts.
    return Path(os.environ.get("HF_OPTICAL_CACHE") or Path(HF_HOME) / "hf_optical") / "retrieval-2"


def state_of(folder: Path) -> str:
    """Hash the path of a folder and the names, sizes and modification times of its files, to 12 hexadecimal digits."""
    digest = hashlib.sha256(str(folder.resolve()).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        status = path.stat()
        digest.update(f"{path.relative_to(folder)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]


def unreachable(name: str, place: str, error: Exception | None) -> InputError:
    """Build the error for a place that cannot be read.

    Args:
        name: Name of the set.
        place: Description of the place.
        error: The underlying error, if there is one.
    """
    reason = f" ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'})" if error else ""
    return InputError(
        f"{place} cannot be reached{reason}",
        f"download it on a machine with a network (and with a token if the set needs one), and give the folder as "
        f"{name}@FOLDER; or give a folder in the layout corpus, queries, qrels",
        path=name,
    )


def _fetch(place: str) -> list[Path]:
    """Download the files of one place."""
    kind, _, rest = place.partition(":")
    if kind == "hub":
        return _from_hub(rest)
    from datasets import DownloadManager

    if kind == "https":
        return [Path(str(DownloadManager().download(place)))]
    url, _, member = rest.partition("!")
    return [Path(str(DownloadManager().download_and_extract(url))) / member]


def _from_hub(place: str) -> list[Path]:
    from huggingface_hub import HfApi, hf_hub_download

    owner, name, path = place.split("/", 2)
    repository = f"{owner}/{name}"
    paths = [path]
    if "*" in path:
        paths = fnmatch.filter(HfApi().list_repo_files(repository, repo_type="dataset"), path)
        if not paths:
            raise FileNotFoundError(path)
    files = (Path(hf_hub_download(repository, one, repo_type="dataset")) for one in paths)
    return sorted(files, key=_numbered)


def _numbered(path: Path) -> tuple[str, int, str]:
    """Return a sort key that puts ``docs-2`` before ``docs-10``."""
    digits = "".join(character for character in path.name if character.isdigit())
    return str(path.parent), int(digits or 0), path.name
