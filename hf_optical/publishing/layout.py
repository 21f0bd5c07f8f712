"""Layout of a repository, built in a folder: model, adapters, card, results, provenance."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_optical.errors import HFOpticalError, InputError, NonFiniteError
from hf_optical.places import whole_folder
from hf_optical.results.files import RESULTS_FILE, write_json

PROVENANCE_FILE = "provenance.json"
CARD_FILE = "README.md"
ADAPTERS = "adapters"

_SAFE = (".json", ".safetensors", ".txt", ".md", ".model", ".jsonl")
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
_HOST = "sentence_transformers."
_LASTING = ("Transformer", "Pooling", "Dense", "Normalize")  # known to every release as sentence_transformers.models.X


@contextmanager
def publication_folder(folder: str | Path, marks: Sequence[str] = (PROVENANCE_FILE,)) -> Iterator[Path]:
    """Yield a scratch folder that becomes ``folder`` if the block ends well, and is removed if not.

    Args:
        folder: Replaced if an earlier publication is in it; any other folder with something in it is left alone.
        marks: What an earlier publication holds, all of it.

    Raises:
        InputError: Somebody else's files are there.
        HFOpticalError: The disk is full.
    """
    folder = Path(folder)
    ours = all((folder / mark).exists() for mark in marks)
    if folder.exists() and not ours and (folder.is_file() or any(folder.iterdir())):
        raise InputError("holds files that this recipe did not write", "choose another folder", path=folder)
    try:
        with whole_folder(folder) as scratch:
            yield scratch
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HFOpticalError(
                f"{folder}: the disk is full ({error.strerror}); nothing was written. "
                "Remedy: make room, or choose a folder on another disk."
            ) from error
        raise


def copy_model(source: Path, target: Path) -> None:
    """Copy a saved model without its card and without anything that is neither its own nor safe.

    Args:
        source: A folder that sentence-transformers wrote.
        target: Exists.

    Raises:
        InputError: See :func:`check_layout`; the source is checked before anything is copied.
    """
    check_layout(source)
    for path in _files(source):
        relative = path.relative_to(source)
        if relative == Path(CARD_FILE) or relative.parts[0] == ADAPTERS:  # a card is written, adapters are copied apart
            continue
        place = target / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def copy_adapters(source: Path, target: Path, base: str) -> list[dict[str, Any]]:
    """Copy ``<code>/adapter_config.json`` and ``adapter_model.safetensors`` of every language.

    Args:
        source: The folder ``adapters`` of a run.
        target: The repository's folder.
        base: Hub id of the repository, written into each configuration as the base model.

    Returns:
        ``language``, ``subfolder``, ``rank`` and ``bytes`` of each.

    Raises:
        InputError: An adapter is not whole, or not a safe file.
    """
    found = []
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        config, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
        for path in (config, weights):
            if not path.is_file():
                raise InputError("the adapter is not whole", "save it again with LanguageAdapters.save", path=path)
        _check_files(folder)
        check_finite(weights)
        place = target / ADAPTERS / folder.name
        shutil.copytree(folder, place, ignore=shutil.ignore_patterns(CARD_FILE))
        content = {**json.loads(config.read_text(encoding="utf-8")), "base_model_name_or_path": base}
        write_json(place / config.name, content)
        found.append(
            {
                "language": folder.name,
                "subfolder": f"{ADAPTERS}/{folder.name}",
                "rank": int(content.get("r") or 0),
                "bytes": weights.stat().st_size,
            }
        )
    for path in sorted(path for path in source.iterdir() if path.is_file() and path.suffix == ".json"):
        (target / ADAPTERS).mkdir(exist_ok=True)
        shutil.copyfile(path, target / ADAPTERS / path.name)
    return found


def write_provenance(
    folder: Path, *, teacher: Mapping[str, Any], data: Sequence[Mapping[str, Any]], **extra: Any
) -> Path:
    """Write ``provenance.json``: the teacher, the data, and name and SHA-256 of every file beside it.

    Args:
        folder: The repository's folder, all else in it.
        teacher: Id, revision, hash.
        data: Path, rows, hash, licences, origin.
        **extra: Anything else.

    Returns:
        Its path.
    """
    from hf_optical.data.fingerprint import file_fingerprint

    files = {
        path.relative_to(folder).as_posix(): file_fingerprint(path)["sha256"]
        for path in _files(folder)
        if path.name != PROVENANCE_FILE
    }
    return write_json(folder / PROVENANCE_FILE, {"teacher": dict(teacher), "data": list(data), **extra, "files": files})


def name_modules(folder: Path) -> None:
    """Call a dense model's modules what every release of sentence-transformers since 5.4 calls them.

    Release 6 moved some of them and writes the new places into ``modules.json``, where release 5 does not find them. It
    reads the old names too, and so do the backends, which can only be installed beside release 5 so far.

    Args:
        folder: A model's folder; left alone where a module has no such name.
    """
    file = folder / "modules.json"
    modules = json.loads(file.read_text(encoding="utf-8"))
    names = [str(module["type"]).rpartition(".")[2] for module in modules]
    if all(str(module["type"]).startswith(_HOST) for module in modules) and set(names) <= set(_LASTING):
        write_json(
            file,
            [{**module, "type": f"{_HOST}models.{name}"} for module, name in zip(modules, names, strict=True)],
        )


def check_layout(folder: Path) -> None:
    """Refuse what others could not, or should not, load.

    Args:
        folder: A model's folder, or a repository's.

    Raises:
        InputError: No ``modules.json``, modules of other packages, remote code, pickle files or scripts.
        NonFiniteError: A weight is NaN or infinite; tensor and file are named.
    """
    modules = folder / "modules.json"
    if not modules.is_file():
        raise InputError("no sentence-transformers model here", "give the folder of a run, or its model/", path=folder)
    for module in json.loads(modules.read_text(encoding="utf-8")):
        if not str(module.get("type", "")).startswith(_HOST):
            raise InputError(
                f"the module {module.get('type')!r} is not sentence-transformers' own and would need remote code",
                "build the model of its own modules only",
                path=modules,
            )
    _check_files(folder)
    for path in sorted(folder.rglob("*.safetensors")):
        check_finite(path)


def check_finite(path: Path) -> None:
    """Refuse a weight file with NaN or infinity, reading one tensor at a time.

    Raises:
        NonFiniteError: Names the first such tensor.
        InputError: The file is not safetensors, or cut off.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (not a mapping)
                tensor = weights.get_tensor(name)
                if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                    raise NonFiniteError(
                        f"{path}: the tensor {name!r} has NaN or infinity; nothing is published. "
                        "Remedy: train again, and publish a checkpoint from before it broke."
                    )
    except SafetensorError as error:
        raise InputError(f"is no whole safetensors file ({error})", "save the model again", path=path) from None


def _check_files(folder: Path) -> None:
    for path in _files(folder):
        suffix = path.suffix.lower()
        if suffix in _PICKLED:
            raise InputError(
                f"{suffix} files can run code when they are loaded", "save weights as safetensors", path=path
            )
        if suffix not in _SAFE:
            raise InputError(f"a {suffix or 'nameless'} file does not belong in a model", "remove it", path=path)
        if path.name in ("config.json", "tokenizer_config.json"):
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(f"is not JSON ({error})", "save the model again", path=path) from None
            if content.get("auto_map") or content.get("custom_pipelines"):
                raise InputError("asks for remote code (auto_map)", "use an architecture of transformers", path=path)


def _files(folder: Path) -> list[Path]:
    hidden = lambda path: any(part.startswith(".") for part in path.relative_to(folder).parts)  # noqa: E731
    return sorted(path for path in folder.rglob("*") if path.is_file() and not hidden(path))


def read_results(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """``results.json`` of a finished run, and its scores of single queries (empty if there are none).

    Raises:
        InputError: The run is not finished, or a file is not JSON.
    """
    path = run / RESULTS_FILE
    if not path.is_file():
        raise InputError(
            "there is no results.json: not a finished run", "give the --output_dir of hf-optical train", path=run
        )
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        name = results.get("per_query_file")
        queries = json.loads((run / name).read_text(encoding="utf-8")) if name and (run / name).is_file() else {}
    except ValueError as error:
        raise InputError(f"is not JSON ({error})", "run the recipe again", path=path) from None
    return results, queries
