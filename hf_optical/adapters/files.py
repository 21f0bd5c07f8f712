"""Adapters on disk and on the Hub: one repository, the base or a pointer to it, and ``adapters/<code>/``.

Every ``adapters/<code>/`` is an ordinary peft folder (``adapter_config.json``, ``adapter_model.safetensors``).
``adapters.json`` beside them says which languages there are, where the base is, and the hash of its weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from hf_optical.data.languages import UnknownLanguageError, known_codes, normalize
from hf_optical.errors import InputError
from hf_optical.places import user_path, whole_folder

if TYPE_CHECKING:
    from sentence_transformers.base.model import BaseModel

    from hf_optical.adapters.language_adapters import LanguageAdapters

MANIFEST = "adapters.json"
FOLDER = "adapters"
_CONFIG, _WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True)
class Repository:
    """Folder with language adapters.

    Attributes:
        folder: Where it lies on this machine.
        manifest: The content of ``adapters.json``; empty where there is none.
        confined: Whether no file may lie outside the folder (the Hub's cache holds links out of it).
    """

    folder: Path
    manifest: dict[str, Any]
    confined: bool = True

    @property
    def languages(self) -> tuple[str, ...]:
        """List the codes of the adapters: in the manifest's order, else by name."""
        known = set(known_codes())
        found = {path.parent.name for path in (self.folder / FOLDER).glob(f"*/{_CONFIG}")} & known
        order = [code for code in self.manifest.get("languages", []) if code in found]
        return (*order, *sorted(found - set(order)))

    def file(self, language: str, name: str) -> Path:
        """Return the path of a file of one adapter.

        Raises:
            InputError: It is missing, or lies outside the folder.
        """
        path = self.folder / FOLDER / language / name
        if not path.is_file() and path.with_name("adapter_model.bin").is_file():
            raise InputError("the weights are pickled, which can run code", "save them as safetensors", path=path)
        if not path.is_file():
            has = ", ".join(self.languages) or "no adapters"
            raise InputError(f"there is no {name}; the folder has {has}", "check folder and language", path=path)
        if self.confined and not path.resolve().is_relative_to(self.folder.resolve()):
            raise InputError("the file is a link out of the folder", "put the file itself there", path=path)
        return path

    def check_base(self, adapters: LanguageAdapters) -> None:
        """Stop if the adapters were made for a base with other weights.

        Raises:
            InputError: They were.
        """
        expected = self.manifest.get("base", {}).get("sha256")
        if expected and expected != adapters.base_fingerprint():
            raise InputError(
                "the adapters were made for a base with other weights than this model's",
                "load the base that adapters.json names, in the number type in which it was saved",
                path=self.folder / MANIFEST,
            )


def open_repository(
    source: str | Path, *, languages: Sequence[str] | None = None, base: bool = False, revision: str | None = None
) -> Repository:
    """Open a folder, or download what is needed of a Hub repository.

    Args:
        source: A local folder, or a Hub id.
        languages: Only these adapters are fetched; all when ``None``.
        base: Fetch the base too.
        revision: Of the Hub repository.

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
            raise ValueError("not the expected shape")
    except ValueError as error:
        raise InputError(f"the file is damaged ({error})", "save the adapters again", path=file) from error
    return Repository(folder, manifest, confined=local)


def read_adapter(repository: Repository, language: str) -> tuple[Any, dict[str, Tensor]]:
    """Read configuration and weights of one adapter.

    Raises:
        InputError: Missing or damaged files, or a configuration that language adapters refuse.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from hf_optical.adapters.injection import loaded_config

    file, weights = repository.file(language, _CONFIG), repository.file(language, _WEIGHTS)
    try:
        config = loaded_config(json.loads(file.read_text(encoding="utf-8")))
        return config, load_file(weights)
    except InputError as error:
        raise InputError(error.problem, error.remedy, path=file, field=error.field) from error
    except (json.JSONDecodeError, SafetensorError, AttributeError) as error:
        raise InputError(f"the adapter is damaged ({error})", "save it again", path=file.parent) from error


def write_adapters(adapters: LanguageAdapters, folder: Path, base: dict[str, Any]) -> None:
    """Write ``adapters/<code>/`` for every language and the manifest into a folder."""
    from safetensors.torch import save_file

    from hf_optical.adapters.injection import file_state
    from hf_optical.adapters.starts import doubled_config, has_start

    for language in adapters.languages:
        place = folder / FOLDER / language
        place.mkdir(parents=True, exist_ok=True)
        config = adapters.config(language)
        if has_start(adapters.inner, language):
            config = doubled_config(config)
        values = {**config.to_dict(), "inference_mode": True, "base_model_name_or_path": base.get("id")}
        values = {key: sorted(value) if isinstance(value, set) else value for key, value in values.items()}
        (place / _CONFIG).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        save_file(file_state(adapters.state(language)), place / _WEIGHTS, metadata={"format": "pt"})
    manifest = {
        "format": 1,
        "languages": list(adapters.languages),
        "base": {**base, "sha256": adapters.base_fingerprint()},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def write_repository(adapters: LanguageAdapters, folder: Path, *, base: str | None, revision: str | None) -> None:
    """Implement :meth:`LanguageAdapters.save`."""
    from hf_optical.adapters.base_weights import without_adapters

    if base is not None:
        _check_hub_id(base)
    with whole_folder(folder) as scratch:
        if base is None:
            with without_adapters(adapters.inner):
                adapters.model.save_pretrained(str(scratch))
        write_adapters(adapters, scratch, {"id": base, "revision": revision} if base is not None else {"path": "."})


def load_all(
    source: str | Path,
    model: BaseModel | None = None,
    *,
    languages: Sequence[str] | None = None,
    device: str | None = None,
    revision: str | None = None,
) -> LanguageAdapters:
    """Load a base with all its language adapters, from a folder or a Hub repository.

    Args:
        source: What :meth:`LanguageAdapters.save` wrote.
        model: The base; loaded from the repository, or from the id that it names, when ``None``.
        languages: Only these.
        device: For the base that is loaded.
        revision: Of the Hub repository.

    Raises:
        InputError: No adapters there, damaged files, or a base with other weights.
        UnknownLanguageError: A language that is not there.
    """
    from hf_optical.adapters.language_adapters import LanguageAdapters

    wanted = None if languages is None else [normalize(language) for language in languages]
    repository = open_repository(source, languages=wanted, base=model is None, revision=revision)
    missing = sorted(set(wanted or ()) - set(repository.languages))
    if missing or not repository.languages:
        raise UnknownLanguageError(
            f"{source}: there is no adapter for {', '.join(missing) or 'any language'}; "
            f"there are: {', '.join(repository.languages) or 'none'}",
            "check the folder and the language",
        )
    found = _base(repository, device) if model is None else model
    adapters = LanguageAdapters.of(found) or LanguageAdapters(found)
    repository.check_base(adapters)
    for language in wanted or repository.languages:
        config, state = read_adapter(repository, language)
        adapters.add(language, config)
        adapters.load_state(language, state)
    adapters.set_trainable([])
    return adapters


def load_language(
    source: str | Path, language: str, model: BaseModel | None = None, **options: Any
) -> LanguageAdapters:
    """Load a base with one language's adapter: :func:`load_all` with ``languages=[language]``."""
    return load_all(source, model, languages=[language], **options)


def _base(repository: Repository, device: str | None) -> BaseModel:
    from hf_optical.encoders.models import load_encoder

    if (repository.folder / "modules.json").is_file():
        return load_encoder(str(repository.folder), device=device)
    named = repository.manifest.get("base", {}).get("id")
    if not named:
        raise InputError("the folder has adapters and no base", "pass model=, the base", path=repository.folder)
    _check_hub_id(named)
    return load_encoder(named, device=device, revision=repository.manifest["base"].get("revision"))


def _check_hub_id(base: Any) -> None:
    # A pointer is read on other machines: a path would lead elsewhere there.
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(base if isinstance(base, str) else "")  # None and False would pass
    except HFValidationError:
        raise InputError(
            f"{base!r} is no Hub id", "give an id such as 'sentence-transformers/all-MiniLM-L6-v2'", field="base"
        ) from None


def _fetch(source: str, languages: Sequence[str] | None, base: bool, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    names = [f"{FOLDER}/{code}/{name}" for code in languages or ["*"] for name in (_CONFIG, _WEIGHTS)]
    try:
        if base:  # patterns match across folders: the adapters, wanted or not, come below
            kinds = ["*.json", "*.txt", "*.model", "*.safetensors"]
            snapshot_download(source, allow_patterns=kinds, ignore_patterns=f"{FOLDER}/*", revision=revision)
        return Path(snapshot_download(source, allow_patterns=[MANIFEST, *names], revision=revision))
    except (OSError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise InputError(
            f"there is no such folder, and the Hub has or gives no such repository ({type(error).__name__})",
            "give a folder that LanguageAdapters.save wrote, or a Hub id",
            path=source,
        ) from error
