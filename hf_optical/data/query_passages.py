"""Reader of questions with the passages that answer them, for training sets of the kinds ``mono`` and ``cross``."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from hf_optical.data.column_content import SAMPLED, contents
from hf_optical.data.identifiers import identifier_of
from hf_optical.data.shards import shards
from hf_optical.data.tables import Fault, named_records
from hf_optical.data.texts import one_form, text_fault
from hf_optical.data.titles import titled
from hf_optical.errors import InputError
from hf_optical.places import user_path

__all__ = ["QueryPassages", "read_query_passages"]

logger = logging.getLogger(__name__)

_QUERY_FIELDS = ("query", "question", "anchor")
_PASSAGE_FIELDS = ("passage", "positive", "document", "context", "text", "answer")
_ID_FIELDS = ("id", "_id", "query_id", "qid")
_NEGATIVE = re.compile(r"(hard_?)?neg(atives?)?(_\w+)?$", re.IGNORECASE)
_NAME = re.compile(r"(?:mono|cross)/(?P<query>[^/-]+)(?:-(?P<passage>[^/-]+))?")


@dataclass
class QueryPassages:
    """Rows of one training set for retrieval.

    Args:
        rows: A dataset with the columns ``query`` and ``passage``.
        ids: The underlying id of each row, which is the same for translations of one question.

    Raises:
        InputError: There are not as many ids as rows.
    """

    rows: datasets.Dataset
    ids: list[str]

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.ids):
            raise InputError(
                f"{len(self.ids)} ids are given for {len(self.rows)} rows", "give one for each row", field="ids"
            )


def read_query_passages(
    source: str | Path,
    name: str,
    *,
    query_field: str | None = None,
    passage_field: str | None = None,
    use_titles: bool = False,
) -> QueryPassages:
    """Read questions and passages from a file.

    Args:
        source: A JSONL, JSON, TSV, CSV (also with ``.gz``) or Parquet file, or a folder of such files.
        name: Name of the training set, ``mono/eng_Latn`` or ``cross/ibo_Latn-eng_Latn`` (language of the queries
            first). It decides which column is read if a file has questions in several languages.
        query_field: Column of the question, by default the first of ``query``, ``question``...
        passage_field: Column of the passage, by default the first of ``passage``, ``positive``...
        use_titles: Whether to put the title before the passage, if the file has a column ``title``, as
            :func:`~hf_optical.data.retrieval.read_retrieval_set` does. Default false.

    Returns:
        The rows with their ids from a column ``id`` (equal ids in several files mean the same question), or else with
        ids made of file name and row number.

    Raises:
        InputError: A text is empty or missing (the message names file, row and field), a column is missing, or the file
            has no rows.

    Example:
        >>> import json, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "pairs.jsonl"
        ...     _ = file.write_text(json.dumps({"id": "7", "question": "Who?", "passage": "Asha."}))
        ...     found = read_query_passages(file, "mono/eng_Latn")
        >>> found.rows[0], found.ids
        ({'query': 'Who?', 'passage': 'Asha.'}, ['7'])
    """
    path = user_path(source)
    if not path.exists():
        raise InputError("there is no such file", "check the path", path=path)
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(
            f"the training set is named {name!r}",
            "name it mono/swh_Latn or cross/swh_Latn-eng_Latn",
            field="query_passages",
        )
    asked, answered = match["query"], match["passage"] or match["query"]
    found = [
        row
        for shard in shards(path)
        for row in _of_one(shard, (asked, answered), (query_field, passage_field), use_titles)
    ]
    if not found:
        raise InputError("no row is left", "give a file with at least one question and passage", path=path)
    rows = datasets.Dataset.from_dict({"query": [row[0] for row in found], "passage": [row[1] for row in found]})
    return QueryPassages(rows, [row[2] for row in found])


def _of_one(
    path: Path, languages: tuple[str, str], given: tuple[str | None, str | None], use_titles: bool
) -> Iterator[tuple[str, str, str]]:
    records = named_records(path)
    rows = iter(records.rows)
    head = list(itertools.islice(rows, SAMPLED))
    held = contents(records.columns, [row for _, row in head if not isinstance(row, Fault)])
    texts = [name for name in records.columns if held[name][0] == "text"]
    query, passage = (
        _column(records.columns, texts, one, names, language, path, option)
        for one, names, language, option in zip(
            given, (_QUERY_FIELDS, _PASSAGE_FIELDS), languages, ("query_field", "passage_field"), strict=True
        )
    )
    if left := [field for field in records.columns if _NEGATIVE.match(field)]:
        logger.warning(
            "%s: column %s is not read, because for rows of a file the other passages of a batch are the negatives; "
            "pass a data set with a column 'negative' to the trainer", path, " and ".join(map(repr, left)),
        )  # fmt: skip
    identifier = next((field for field in _ID_FIELDS if field in records.columns), None)
    yield from _rows(itertools.chain(head, rows), (query, passage, identifier), path, use_titles)


def _column(
    columns: Sequence[str],
    texts: Sequence[str],
    given: str | None,
    names: Sequence[str],
    language: str,
    path: Path,
    option: str,
) -> str:
    if given is not None and given not in columns:
        raise InputError(
            f"there is no such column (found {', '.join(columns)})", f"set {option} to one of them", field=given
        )
    # A column that states its language (question_en) is preferred to one that does not.
    tags = [language, language.split("_")[0], *([] if language != "eng_Latn" else ["en"])]
    tagged = [f"{name}_{tag}" for name in names for tag in tags]
    wanted = (*tagged, *names)
    # Columns that hold text are preferred, because "query" may be the query's number.
    found = given or next((name for among in (texts, columns) for name in wanted if name in among), None)
    if found is None:
        raise InputError(
            f"no column looks like the {option.removesuffix('_field')} (found {', '.join(columns) or 'none'})",
            f"rename it to {names[0]!r}, or name it with {option}",
            path=path,
        )
    return found


def _rows(
    numbered: Iterable[tuple[int, Any]], fields: tuple[str, str, str | None], path: Path, use_titles: bool
) -> Iterator[tuple[str, str, str]]:
    query, passage, identifier = fields
    for number, row in numbered:
        if isinstance(row, Fault):
            raise InputError(row.problem, "correct or remove the row", path=path, row=number, field=row.field)
        if fault := _fault(row, (query, passage)):
            raise InputError(fault.problem, "correct or remove the row", path=path, row=number, field=fault.field)
        named = identifier is not None and row.get(identifier) not in (None, "")
        unnamed = f"{path.name}:{number}"  # with the file name, because other files have the same row numbers
        own = identifier_of(row, path, number, field=identifier) if identifier and named else unnamed
        text = titled(row, row[passage]) if use_titles else row[passage]
        yield one_form(row[query]), one_form(text), own


def _fault(row: Mapping[str, Any], fields: Sequence[str]) -> Fault | None:
    for name in fields:
        problem = text_fault(row[name]) if name in row else "the field is missing"
        if problem is not None:
            return Fault(problem, name)
    return None
