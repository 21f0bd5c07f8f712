"""Layout of a published repository, which is built in a folder: model, adapters, card, results, provenance."""

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
from hf_optical.results.files import HELD_OUT_PER_QUERY_FILE, RESULTS_FILE, portable, write_json
from hf_optical.results.measures import MAIN_MEASURE

PROVENANCE_FILE = "provenance.json"
CARD_FILE = "README.md"
ADAPTERS = "adapters"

_SAFE = (".json", ".safetensors", ".txt", ".md", ".model", ".jsonl")
_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz")
_LIBRARY = "sentence_transformers."
_LASTING = ("Transformer", "Pooling", "Dense", "Normalize")  # known to every release as sentence_transformers.models.X


@contextmanager
def publication_folder(folder: str | Path, marks: Sequence[str] = (PROVENANCE_FILE,)) -> Iterator[Path]:
    """Provide a temporary folder that replaces the given folder at the end of the block.

    Args:
        folder: Folder of the publication: missing, empty, or holding an earlier publication, which is replaced.
        marks: Files and folders by which an earlier publication is recognised; it holds all of them.

    Yields:
        An empty folder. After an error it is removed, and ``folder`` is unchanged.

    Raises:
        InputError: The folder holds other files, or is a file.
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
    """Copy a saved model without its card and its adapters, after checking that all its files may be published.

    Args:
        source: Folder that sentence-transformers wrote.
        target: An existing folder.

    Raises:
        InputError: As :func:`check_layout`, before anything is copied.
        NonFiniteError: A weight is NaN or infinite.
    """
    check_layout(source)
    for path in _files(source):
        relative = path.relative_to(source)
        # The publication writes a card of its own, and `copy_adapters` copies the adapters.
        if relative == Path(CARD_FILE) or relative.parts[0] == ADAPTERS:
            continue
        place = target / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def copy_adapters(source: Path, target: Path, base: str) -> list[dict[str, Any]]:
    """Copy ``<code>/adapter_config.json`` and ``adapter_model.safetensors`` of every language.

    Args:
        source: The folder ``adapters`` of a run.
        target: The repository's folder.
        base: Hub id of the repository, which is written into each configuration as the base model.

    Returns:
        ``language``, ``subfolder``, ``rank`` and ``bytes`` of each adapter.

    Raises:
        InputError: A file of an adapter is missing, or is of a kind that can run code.
        NonFiniteError: A weight is NaN or infinite.
    """
    found = []
    for folder in sorted(path for path in source.iterdir() if path.is_dir()):
        config, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
        for path in (config, weights):
            if not path.is_file():
                problem = "the adapter is not complete, this file is missing"
                raise InputError(problem, "save it again with LanguageAdapters.save", path=path)
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
    """Write ``provenance.json``: the teacher, the data, and the SHA-256 of every file beside it.

    Args:
        folder: The repository's folder, which already holds all other files.
        teacher: Id, revision and hash of the teacher.
        data: Path, rows, hash, licences and origin of each file of the training data.
        **extra: Further entries.

    Returns:
        The path of the file.
    """
    from hf_optical.data.fingerprint import file_fingerprint

    files = {
        path.relative_to(folder).as_posix(): file_fingerprint(path)["sha256"]
        for path in _files(folder)
        if path.name != PROVENANCE_FILE
    }
    return write_json(folder / PROVENANCE_FILE, {"teacher": dict(teacher), "data": list(data), **extra, "files": files})


def name_modules(folder: Path) -> None:
    """Write the module names into ``modules.json`` that every release of sentence-transformers since 5.4 can read.

    Release 6 moved some modules and writes their new import paths, which release 5 does not have. It reads the old ones
    too. The ONNX and OpenVINO backends can so far be installed beside release 5 only.

    Args:
        folder: Folder of a model; it is not changed if one of its modules has no old name.
    """
    file = folder / "modules.json"
    modules = json.loads(file.read_text(encoding="utf-8"))
    names = [str(module["type"]).rpartition(".")[2] for module in modules]
    if all(str(module["type"]).startswith(_LIBRARY) for module in modules) and set(names) <= set(_LASTING):
        write_json(
            file,
            [{**module, "type": f"{_LIBRARY}models.{name}"} for module, name in zip(modules, names, strict=True)],
        )


def check_layout(folder: Path) -> None:
    """Raise an error for a model that others could not load, or could not load safely.

    Args:
        folder: Folder of a model or of a repository.

    Raises:
        InputError: ``modules.json`` is missing, or there are modules of other packages, remote code, pickle files or
            scripts.
        NonFiniteError: A weight is NaN or infinite; the message names file and tensor.
    """
    modules = folder / "modules.json"
    if not modules.is_file():
        problem = "the folder holds no sentence-transformers model"
        raise InputError(problem, "give the folder of a run, or its model/", path=folder)
    for module in json.loads(modules.read_text(encoding="utf-8")):
        if not str(module.get("type", "")).startswith(_LIBRARY):
            raise InputError(
                f"the module {module.get('type')!r} is not one of sentence-transformers, and would need remote code",
                "build the model from modules of sentence-transformers only",
                path=modules,
            )
    _check_files(folder)
    for path in sorted(folder.rglob("*.safetensors")):
        check_finite(path)


def check_finite(path: Path) -> None:
    """Check that a safetensors file has no NaN or infinity, reading one tensor at a time.

    Raises:
        NonFiniteError: A tensor has one; the message names the first such tensor.
        InputError: The file is not a safetensors file, or is cut off.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (not a mapping)
                tensor = weights.get_tensor(name)
                if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                    raise NonFiniteError(
                        f"{path}: the tensor {name!r} has NaN or infinity; nothing is published. "
                        "Remedy: publish a checkpoint from before this happened, or train again."
                    )
    except SafetensorError as error:
        problem = f"this is not a whole safetensors file ({error})"
        raise InputError(problem, "save the model again", path=path) from None


def _check_files(folder: Path) -> None:
    """Raise an error for files that can run code, that do not belong in a model, or that ask for remote code."""
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
                raise InputError(f"the file is not JSON ({error})", "save the model again", path=path) from None
            if content.get("auto_map") or content.get("custom_pipelines"):
                problem = "the configuration asks for remote code (auto_map)"
                raise InputError(problem, "use an architecture of transformers", path=path)


def _files(folder: Path) -> list[Path]:
    """List the files of a folder and below, without hidden ones."""
    hidden = lambda path: any(part.startswith(".") for part in path.relative_to(folder).parts)  # noqa: E731
    return sorted(path for path in folder.rglob("*") if path.is_file() and not hidden(path))


def read_results(run: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read ``results.json`` of a finished run and its scores per query.

    Args:
        run: Output folder of the run.

    Returns:
        Contents of ``results.json`` and of the file of scores per query; the latter is empty if there is none.

    Raises:
        InputError: The run is not finished, or a file is not JSON.
    """
    path = run / RESULTS_FILE
    if not path.is_file():
        raise InputError(
            "there is no results.json, so this is not a finished run",
            "give the --output_dir of hf-optical train; if that run was interrupted, start it again to finish it",
            path=run,
        )
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        name = results.get("per_query_file")
        queries = json.loads((run / name).read_text(encoding="utf-8")) if name and (run / name).is_file() else {}
    except ValueError as error:
        raise InputError(f"the file is not JSON ({error})", "run the recipe again", path=path) from None
    return results, queries


def read_held_out_scores(run: Path) -> dict[str, Any]:
    """Read nDCG@10 of a run's held-out queries, in the form of its scores per query; empty if there are none."""
    path = run / HELD_OUT_PER_QUERY_FILE
    if not path.is_file():
        return {}
    sets = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: {row: {q: {MAIN_MEASURE: value} for q, value in values.items()} for row, values in rows.items()}
        for name, rows in sets.items()
    }


def without_local_folders(results: Mapping[str, Any]) -> dict[str, Any]:
    """Remove this machine's folders from the options in ``results.json``, as they are removed from its command."""

    def told(value: Any) -> Any:
        if isinstance(value, str):
            name, equals, path = value.rpartition("=")
            return name + equals + portable(path)
        return [told(one) for one in value] if isinstance(value, list) else value

    return {**results, "config": {name: told(value) for name, value in (results.get("config") or {}).items()}}
