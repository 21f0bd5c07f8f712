"""Reader of MTEB's retrieval tasks by name, through MTEB's own loader (extra ``mteb``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_optical.data.benchmarks.folder import Collected, Judged, write_folder
from hf_optical.data.benchmarks.hub import texts_of
from hf_optical.data.benchmarks.origin import unreachable
from hf_optical.data.languages import UnknownLanguageError, normalize
from hf_optical.errors import InputError, pip_install

__all__ = ["mteb_folder"]

# Tasks whose subsets name the language of the documents first, according to their source code (mteb 2.26).
_DOCUMENTS_FIRST = ("BelebeleRetrieval", "MLQARetrieval")


def mteb_folder(reference: Any, cache: Path) -> Path:
    """Read ``mteb:TASK``, ``mteb:TASK:SUBSET`` or ``mteb:TASK:SUBSET:QUERIES-DOCUMENTS``.

    Args:
        reference: The parsed reference. The subset is required if a task has several; the languages are required if it
            has two and does not state which is that of the queries.
        cache: Parent of the folder.

    Returns:
        A folder in the project's layout.

    Raises:
        InputError: mteb is not installed, the task is unknown, is not a retrieval task or needs remote code, or its
            data cannot be downloaded.
    """
    from hf_optical.data.benchmarks.resolve import cached_place

    if not reference.parts or reference.copy is not None:
        raise InputError(
            "the name of an MTEB task is missing, or a folder is given, which MTEB tasks do not take",
            "write mteb:TASK or mteb:TASK:SUBSET",
            path=reference.name,
        )
    name, subset, languages = (*reference.parts, "", "")[:3]
    place = cached_place(cache, reference, name, subset, languages)
    if place.is_dir():
        return place
    task = _task(name)
    subset = _subset(task, subset)
    asked, answered = _languages(task, name, subset, languages)
    task.hf_subsets = [subset]
    try:
        task.load_data()
    except Exception as error:
        raise unreachable(f"mteb:{name}", f"the data of {name} ({task.metadata.dataset['path']})", error) from error
    about = {
        "name": f"mteb:{name}",
        "subset": subset,
        "licence": task.metadata.license,
        "citation": task.metadata.bibtex_citation,
    }
    return write_folder(_collect_task(task, subset, asked, answered), place, about)


def _collect_task(task: Any, subset: str, asked: str, answered: str) -> Collected:
    """Convert the first evaluation split of a loaded task."""
    task.convert_v1_dataset_format_to_v2(num_proc=None)
    data = task.dataset[subset][task.eval_splits[0]]
    judged: list[Judged] = [
        (str(query), str(document), int(grade))
        for query, documents in data["relevant_docs"].items()
        for document, grade in documents.items()
    ]
    wanted = {query for query, _, _ in judged}
    queries = [row[:2] for row in texts_of(data["queries"]) if row[0] in wanted]
    return Collected({asked: queries}, {answered: texts_of(data["corpus"])}, {f"{asked}-{answered}": judged})


def _task(name: str) -> Any:
    """Find a retrieval task that needs no remote code."""
    try:
        import mteb
    except ImportError:
        raise InputError("mteb is not installed", pip_install("mteb"), path=f"mteb:{name}") from None
    from mteb.abstasks.retrieval import AbsTaskRetrieval

    try:
        task = mteb.get_task(name)
    except KeyError as error:
        raise InputError(
            str(error).strip("\"'"), "use the name that MTEB gives the task", path=f"mteb:{name}"
        ) from None
    if not isinstance(task, AbsTaskRetrieval):
        raise InputError(f"is a {task.metadata.type} task", "name a retrieval task", path=f"mteb:{name}")
    if task.metadata.dataset.get("trust_remote_code"):
        raise InputError(
            "the task's data needs code from the Hub, which is never run", "name another task", path=f"mteb:{name}"
        )
    return task


def _subset(task: Any, wanted: str) -> str:
    """Return the wanted subset, or the only one."""
    subsets = list(task.metadata.hf_subsets_to_langscripts)
    if wanted in subsets:
        return wanted
    if not wanted and len(subsets) == 1:
        return str(subsets[0])
    name = task.metadata.name
    listed = ", ".join(subsets[:8]) + (f" ... ({len(subsets)})" if len(subsets) > 8 else "")
    problem = f"has no subset {wanted!r}" if wanted else "has several subsets"
    raise InputError(f"{problem}: {listed}", f"write mteb:{name}:SUBSET", path=f"mteb:{name}")


def _languages(task: Any, name: str, subset: str, given: str) -> tuple[str, str]:
    """Return the FLORES codes of queries and documents, as given or as the task states them."""
    if given:
        asked, dash, answered = given.partition("-")
        return normalize(asked), normalize(answered) if dash else normalize(asked)
    tags = list(task.metadata.hf_subsets_to_langscripts[subset])
    try:
        found = [normalize(tag) for tag in tags]
    except UnknownLanguageError:
        found = []
    if len(set(found)) == 1:
        return found[0], found[0]
    if len(found) == 2 and name in _DOCUMENTS_FIRST:
        return found[1], found[0]
    raise InputError(
        f"it is unclear which of the languages {', '.join(tags)} is that of the queries",
        f"write mteb:{name}:{subset}:QUERIES-DOCUMENTS, e.g. sw-en",
        path=f"mteb:{name}",
    )
