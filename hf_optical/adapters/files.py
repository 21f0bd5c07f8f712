"""Saving and loading of language adapters: a folder with the base or its Hub id, and with ``adapters/<code>/``.

Every ``adapters/<code>/`` is an ordinary peft folder (``adapter_config.json``, ``adapter_model.safetensors``).
The manifest ``adapters.json`` lists the languages and states the base and the hash of its weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from hf_optical.adapters.repositories import CONFIG, FOLDER, MANIFEST, WEIGHTS, Repository, open_repository
from hf_optical.data.languages import UnknownLanguageError, normalize
from hf_optical.errors import InputError
from hf_optical.places import user_path, whole_folder

if TYPE_CHECKING:
    from sentence_transformers.base.model import BaseModel

    from hf_optical.adapters.language_adapters import LanguageAdapters


def read_adapter(repository: Repository, language: str) -> tuple[Any, dict[str, Tensor]]:
    """Read the configuration and the weights of one adapter.

    Args:
        repository: The opened repository.
        language: FLORES code.

    Returns:
        The checked ``peft.LoraConfig``, and the weights under the names in the file.

    Raises:
        InputError: A file is missing or damaged, or language adapters do not support the configuration.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from hf_optical.adapters.injection import loaded_config

    file, weights = repository.file(language, CONFIG), repository.file(language, WEIGHTS)
    try:
        config = loaded_config(json.loads(file.read_text(encoding="utf-8")))
        return config, load_file(weights)
    except InputError as error:
        raise InputError(error.problem, error.remedy, path=file, field=error.field) from error
    except (json.JSONDecodeError, SafetensorError, AttributeError) as error:
        raise InputError(f"the adapter is damaged ({error})", "save it again", path=file.parent) from error


def write_adapters(adapters: LanguageAdapters, folder: Path, base: dict[str, Any]) -> None:
    """Write ``adapters/<code>/`` for every language and the manifest into a folder.

    Args:
        adapters: The adapters.
        folder: An existing folder.
        base: The manifest's entry ``base``, without the hash: ``id`` and ``revision``, or ``path``.
    """
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
        (place / CONFIG).write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        save_file(file_state(adapters.state(language)), place / WEIGHTS, metadata={"format": "pt"})
    manifest = {
        "format": 1,
        "languages": list(adapters.languages),
        "base": {**base, "sha256": adapters.base_fingerprint()},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def write_repository(adapters: LanguageAdapters, folder: str | Path, *, base: str | None, revision: str | None) -> None:
    """Implement :meth:`LanguageAdapters.save`, with the same arguments.

    Raises:
        InputError: ``base`` is not a Hub id.
    """
    from hf_optical.adapters.base_weights import without_adapters

    if base is not None:
        _check_hub_id(base)
    with whole_folder(user_path(folder)) as scratch:
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
    """Load a base with all its language adapters from a folder or a Hub repository.

    Args:
        source: A folder that :meth:`LanguageAdapters.save` wrote, or a Hub id.
        model: The base. If ``None``, it is loaded from the repository, or from the Hub id that the manifest names.
        languages: Codes of the languages to load, in any form; all if ``None``.
        device: Device of the base, if it is loaded here.
        revision: Branch, tag or commit of the Hub repository.

    Returns:
        The adapters, none of which is trained until :meth:`LanguageAdapters.set_trainable` chooses it.

    Raises:
        InputError: There is no such repository, its files are damaged, or the base has other weights.
        UnknownLanguageError: The repository has no adapters, or none for a language.
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


def load_into(adapters: LanguageAdapters, source: str | Path, language: str, revision: str | None) -> None:
    """Implement :meth:`LanguageAdapters.load` with ``replace=True``, for a FLORES code."""
    from hf_optical.adapters.starts import has_start

    repository = open_repository(source, languages=[language], revision=revision)
    repository.check_base(adapters)
    config, state = read_adapter(repository, language)
    trainable, before = adapters.trainable, None
    if language in adapters.languages:
        before = deepcopy(adapters.config(language)), adapters.state(language)
        if has_start(adapters.inner, language):
            # Any initialisation from the base gives the buffers into which `state` is loaded again.
            before[0].init_lora_weights = "olora"
        adapters.remove(language)
    try:
        adapters.add(language, config)
        adapters.load_state(language, state)
    except InputError:
        if language in adapters.languages:
            adapters.remove(language)
        if before is not None:
            adapters.add(language, before[0])
            adapters.load_state(language, before[1])
        raise
    finally:
        adapters.set_trainable(trainable)


def load_language(
    source: str | Path, language: str, model: BaseModel | None = None, **options: Any
) -> LanguageAdapters:
    """Load a base with the adapter of one language: :func:`load_all` with ``languages=[language]``."""
    return load_all(source, model, languages=[language], **options)


def _base(repository: Repository, device: str | None) -> BaseModel:
    from hf_optical.encoders.models import load_encoder

    if (repository.folder / "modules.json").is_file():
        return load_encoder(str(repository.folder), device=device)
    named = repository.manifest.get("base", {}).get("id")
    if not named:
        raise InputError(
            "the folder has adapters, but neither the base nor its name",
            "load the base yourself and pass it as model=",
            path=repository.folder,
        )
    _check_hub_id(named)
    return load_encoder(named, device=device, revision=repository.manifest["base"].get("revision"))


def _check_hub_id(base: Any) -> None:
    # The manifest is read on other machines, where a local path means something else.
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(base if isinstance(base, str) else "")  # it accepts None and False
    except HFValidationError:
        raise InputError(
            f"{base!r} is not a Hub id", "give an id such as 'sentence-transformers/all-MiniLM-L6-v2'", field="base"
        ) from None
