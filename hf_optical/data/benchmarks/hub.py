"""Reader of Hub data sets in BEIR's layout (configurations ``corpus``, ``queries``, ``qrels``) or in the project's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hf_optical.data.benchmarks.folder import Collected, Judged, Text, write_folder
from hf_optical.data.benchmarks.origin import load_table, unreachable
from hf_optical.data.languages import ENGLISH, normalize
from hf_optical.errors import InputError

__all__ = ["hub_folder", "texts_of"]


def hub_folder(reference: Any, cache: Path) -> Path:
    """Read ``owner/name``, ``owner/name:DOCUMENTS`` or ``owner/name:QUERIES-DOCUMENTS``.

    A repository with files in the project's own layout (``corpus.swh_Latn.jsonl.gz``...) is used without conversion.
    One in the layout of BEIR and MTEB has the configurations ``corpus`` (``_id``, ``title``, ``text``), ``queries``
    (``_id``, ``text``) and ``qrels`` or ``default`` (``query-id``, ``corpus-id``, ``score``); judgements may also be in
    ``owner/name-qrels``. Titles are kept, and the reader of the folder decides whether to use them.

    Args:
        reference: The parsed reference. Default of the languages is English, of the judgements' split ``test``.
        cache: Parent of the folder.

    Returns:
        A folder in the project's layout.

    Raises:
        InputError: The data set cannot be downloaded or has another layout.
    """
    from hf_optical.data.benchmarks.resolve import cached_place

    languages, split = (*reference.parts, "", "")[:2]
    asked, answered = _languages(languages)
    place = cached_place(cache, reference, f"{asked}-{answered}", split)
    if place.is_dir():
        return place
    own = None if reference.copy is not None else _own_layout(reference.name)
    if own is not None:
        return own
    collected = _read(reference, asked, answered, split or "test")
    return write_folder(collected, place, {"name": reference.name, "languages": [asked, answered]})


def _languages(given: str) -> tuple[str, str]:
    """Return the FLORES codes of queries and documents of a reference."""
    asked, dash, answered = given.partition("-")
    first = normalize(asked) if asked else ENGLISH
    return first, normalize(answered) if dash else first


def _own_layout(repository: str) -> Path | None:
    """Download a repository in the project's own layout; return ``None`` if it has another."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        names = HfApi().list_repo_files(repository, repo_type="dataset")
        if not any(name.startswith("qrels.") for name in names):
            return None
        patterns = ["corpus*", "queries*", "qrels*", "sentences*"]
        return Path(snapshot_download(repository, repo_type="dataset", allow_patterns=patterns))
    except Exception as error:  # the Hub's clients raise many unrelated types
        raise unreachable(
            repository, f"there is no folder of this name, and the Hub's data set {repository}", error
        ) from error


def _read(reference: Any, asked: str, answered: str, split: str) -> Collected:
    """Read a data set in BEIR's layout from the Hub or a local copy."""
    import datasets

    name, copy = reference.name, reference.copy
    path = str(copy) if copy is not None else name

    def table(configuration: str | None, wanted: str | None, repository: str = name) -> Any:
        return load_table(repository, configuration, wanted, folder=copy, name=name)

    try:
        found = datasets.get_dataset_config_names(path)
    except Exception as error:
        raise unreachable(name, path, error) from error
    missing = [kind for kind in ("corpus", "queries") if kind not in found]
    if missing:
        raise InputError(
            f"there is no configuration {' and no '.join(missing)} (found {', '.join(found)})",
            "give a data set in BEIR's layout, or convert it to the layout corpus, queries, qrels",
            path=name,
        )
    judgements = next((kind for kind in ("qrels", "default") if kind in found), None)
    graded = table(judgements, split) if judgements else table(None, split, f"{name}-qrels")
    columns = ("query-id", "corpus-id", "score")
    if not set(columns) <= set(graded.column_names):
        problem = f"the judgements have the columns {', '.join(graded.column_names)}"
        raise InputError(problem, f"name them {', '.join(columns)}", path=name)
    judged: list[Judged] = [(str(row[columns[0]]), str(row[columns[1]]), int(row[columns[2]])) for row in graded]
    wanted = {query for query, _, _ in judged}  # the table also has the queries of other splits
    queries = [row[:2] for row in texts_of(table("queries", None)) if row[0] in wanted]
    return Collected({asked: queries}, {answered: texts_of(table("corpus", None))}, {f"{asked}-{answered}": judged})


def texts_of(table: Any) -> Iterator[Text]:
    """Yield identifiers, texts and titles of a table with ``_id`` or ``id``, ``text`` and optionally ``title``."""
    for row in table:
        identifier = row["_id"] if "_id" in row else row.get("id")
        yield str(identifier), row["text"], row.get("title")
