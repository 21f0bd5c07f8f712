"""Reader of test collections with topics, judgements and a corpus in JSONL or columns, as in TREC."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from hf_optical.data.benchmarks.folder import Collected, Judged, Text
from hf_optical.data.benchmarks.origin import Origin
from hf_optical.data.benchmarks.sets import LiteratureSet
from hf_optical.data.languages import iso_code
from hf_optical.data.qrels import read_qrels
from hf_optical.data.tables import Fault, open_bytes, read_json_rows
from hf_optical.errors import InputError

__all__ = ["read_clirmatrix", "read_topics"]


def read_topics(item: LiteratureSet, languages: Sequence[str], split: str, origin: Origin) -> Collected:
    """Read a collection in some languages of its documents.

    Titles are kept, and the reader of the folder decides whether to use them.

    Args:
        item: The set.
        languages: FLORES codes of the documents; only one, unless the set is parallel.
        split: Split of the set.
        origin: Place of its files.

    Returns:
        The set. The corpora are iterators that read the files when they are written.
    """
    collected = Collected({}, {}, {})
    for language in languages:
        code = item.languages[language]
        first, _, second = code.partition("/")
        asked = language if item.asked == "same" else item.asked

        def files(role: str, *, parts: dict[str, str]) -> list[Path]:
            return origin.files(item.files[role].format(**parts))

        parts = {"code": code, "first": first, "second": second, "split": split}
        judged: list[Judged] = [
            (line.query, line.document, line.grade) for path in files("qrels", parts=parts) for line in read_qrels(path)
        ]
        topics = dict(_topics(files("topics", parts=parts)[0], int(item.fields.get("query", 1))))
        if item.name == "wikiclir":  # one file of queries serves the documents of every language
            wanted = {query for query, _, _ in judged}
            topics = {query: text for query, text in topics.items() if query in wanted}
        collected.queries[asked] = list(topics.items())
        collected.corpus[language] = _corpus(files("corpus", parts=parts), item)
        collected.qrels["all" if item.parallel else f"{asked}-{language}"] = judged
    return collected


def read_clirmatrix(item: LiteratureSet, pair: Sequence[str], split: str, origin: Origin) -> Collected:
    """Read one pair of languages of CLIRMatrix.

    Each line of its file has a query with its judged documents, ``[[identifier, grade], ...]``.

    Args:
        item: The set.
        pair: FLORES codes of queries and documents.
        split: ``train``, ``dev``, ``test1`` or ``test2``.
        origin: Place of its files.

    Returns:
        The set. The corpus is an iterator that reads the file when it is written.
    """
    asked, answered = pair
    parts = {"query": iso_code(asked), "document": iso_code(answered), "split": split}
    queries: dict[str, str] = {}
    judged: list[Judged] = []
    for path in origin.files(item.files["judged"].format(**parts)):
        for number, row in read_json_rows(path):
            if isinstance(row, Fault):
                raise InputError(row.problem, "correct or remove the row", path=path, row=number)
            try:
                queries[str(row["src_id"])] = row["src_query"]
                judged += [(str(row["src_id"]), str(document), int(grade)) for document, grade in row["tgt_results"]]
            except (KeyError, TypeError, ValueError) as error:
                problem = f"the line is not one of CLIRMatrix ({type(error).__name__}: {error})"
                remedy = "give the file in the form in which its authors publish it"
                raise InputError(problem, remedy, path=path, row=number) from None
    corpus = _corpus(origin.files(item.files["corpus"].format(**parts)), item)
    return Collected({asked: list(queries.items())}, {answered: corpus}, {f"{asked}-{answered}": judged})


def _topics(path: Path, column: int) -> Iterator[tuple[str, str]]:
    """Yield the identifiers and texts of the queries."""
    for number, cells in _cells(path):
        if number == 1 and cells[0].lower() in ("qid", "id", "query_id", "query-id"):
            continue
        if len(cells) <= column:
            problem = f"found {len(cells)} columns where {column + 1} are expected"
            raise InputError(problem, "write the query's identifier, a tab and its text", path=path, row=number)
        yield cells[0], cells[column]


def _corpus(paths: Sequence[Path], item: LiteratureSet) -> Iterator[Text]:
    """Yield the documents of all files of a corpus."""
    for path in paths:
        if ".jsonl" in path.name or ".jl" in path.name or _is_json(path):
            yield from _json_corpus(path, item)
        else:
            yield from _column_corpus(path, item)


def _is_json(path: Path) -> bool:
    """Return whether a file begins with a JSON object, because the name of a download may lack its extension."""
    with open_bytes(path) as stream:
        return isinstance(stream, io.BufferedReader) and stream.peek(1)[:1] == b"{"


def _json_corpus(path: Path, item: LiteratureSet) -> Iterator[Text]:
    identifier, text = str(item.fields.get("id", "id")), str(item.fields.get("text", "text"))
    for number, row in read_json_rows(path):
        if isinstance(row, Fault):
            raise InputError(row.problem, "correct or remove the row", path=path, row=number)
        if identifier not in row or text not in row:
            raise InputError(
                f"found the fields {', '.join(row)}",
                f"give the corpus of {item.name}, which has the fields {identifier} and {text}",
                path=path,
                row=number,
            )
        yield str(row[identifier]), row[text], row.get("title")


def _column_corpus(path: Path, item: LiteratureSet) -> Iterator[Text]:
    text, title = int(item.fields.get("text", 1)), item.fields.get("title")
    for number, cells in _cells(path):
        if len(cells) <= text:
            problem = f"found {len(cells)} columns where {text + 1} are expected"
            remedy = "give the file in the form in which its authors publish it"
            raise InputError(problem, remedy, path=path, row=number)
        yield cells[0], cells[text], cells[int(title)] if title is not None else None


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and tab-separated cells of the lines that are not blank."""
    with open_bytes(path) as stream:
        for number, raw in enumerate(stream, start=1):
            try:
                line = raw.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                problem = f"invalid UTF-8 (byte 0x{raw[error.start]:02X})"
                raise InputError(problem, "download the file again", path=path, row=number) from None
            if line.strip():
                yield number, line.split("\t")
