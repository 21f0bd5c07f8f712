"""Repositories of language adapters: a local folder, or what is downloaded of a repository on the Hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_optical.data.languages import known_codes
from hf_optical.errors import InputError
from hf_optical.places import user_path

if TYPE_CHECKING:
    from hf_optical.adapters.language_adapters import LanguageAdapters

MANIFEST = "adapters.json"
"""File with the list of languages, the base and the hash of its weights."""
FOLDER = "adapters"
"""Folder that holds a folder for each adapter."""
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True)
class Repository:
    """Folder with language adapters.

    Attributes:
        folder: Path of the folder on this machine.
        manifest: The content of ``adapters.json``; empty if there is no such file.
        confined: Whether links that lead out of the folder are refused. False for the Hub's cache, whose snapshots
            consist of such links.
    """

    folder: Path
    manifest: dict[str, Any]
    confined: bool = True

    @property
    def languages(self) -> tuple[str, ...]:
        """FLORES codes of the adapters, in the manifest's order; those that it does not list follow by name."""
        known = set(known_codes())
        found = {path.parent.name for path in (self.folder / FOLDER).glob(f"*/{CONFIG}")} & known
        order = [code for code in self.manifest.get("languages", []) if code in found]
        return (*order, *sorted(found - set(order)))

    def file(self, language: str, name: str) -> Path:
        """Return the path of a file of one adapter.

        Args:
            language: FLORES code.
            name: Name of the file.

        Raises:
            InputError: The file is missing, pickled or a link out of the folder.
        """
        path = self.folder / FOLDER / language / name
        if not path.is_file() and path.with_name("adapter_model.bin").is_file():
            raise InputError(
                "the weights are pickled, and loading a pickle can run code", "save them as safetensors", path=path
            )
        if not path.is_file():
            has = ", ".join(self.languages) or "no adapters"
            raise InputError(
                f"there is no {name}; the folder has {has}", "check the folder and the language", path=path
            )
        if self.confined and not path.resolve().is_relative_to(self.folder.resolve()):
            raise InputError("the file is a link out of the folder", "replace the link with the file", path=path)
        return path

    def check_base(self, adapters: LanguageAdapters) -> None:
        """Raise an error if the adapters in the folder were trained on a base with other weights.

        Raises:
            InputError: The hash in the manifest is not that of the base's weights.
        """
        expected = self.manifest.get("base", {}).get("sha256")
        if expected and expected != adapters.base_fingerprint():
            raise InputError(
                "the adapters were trained on a base with other weights than this model's",
                "load the base that adapters.json names, in the number type in which it was saved",
                path=self.folder / MANIFEST,
            )


def open_repository(
    source: str | Path, *, languages: Sequence[str] | None = None, base: bool = False, revision: str | None = None
) -> Repository:
    """Open a local folder, or download the needed files of a Hub repository.

    Args:
        source: A local folder, or a Hub id.
        languages: FLORES codes of the adapters to download; all if ``None``.
        base: Whether to download the base too.
        revision: Branch, tag or commit of the Hub repository.

    Raises:
        InputError: There is no such folder or repository, or its ``adapters.json`` is damaged.
    """
    folder = user_path(source)
    local = folder.is_dir()
    if not local:
        folder = _fetch(str(source), languages, base, revision)
    file = folder / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if not isinstance(manifest, dict) or not isinstance(manifest.get("base", {}), dict):
            raise ValueError("its structure is not that of a manifest")
    except ValueError as error:
        raise InputError(f"the file is damaged ({error})", "save the adapters again", path=file) from error
    return Repository(folder, manifest, confined=local)


def _fetch(source: str, languages: Sequence[str] | None, base: bool, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    names = [f"{FOLDER}/{code}/{name}" for code in languages or ["*"] for name in (CONFIG, WEIGHTS)]
    try:
        if base:  # patterns match in all folders, so adapters are excluded here; the wanted ones are fetched below
            kinds = ["*.json", "*.txt", "*.model", "*.safetensors"]
            snapshot_download(source, allow_patterns=kinds, ignore_patterns=f"{FOLDER}/*", revision=revision)
        return Path(snapshot_download(source, allow_patterns=[MANIFEST, *names], revision=revision))
    except (OSError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise InputError(
            f"there is no such folder, and no such repository could be downloaded from the Hub "
            f"({type(error).__name__})",
            "give a folder that LanguageAdapters.save wrote, or a Hub id",
            path=source,
        ) from error
