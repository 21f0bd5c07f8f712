"""Reader of retrieval sets: queries in one language, documents in the same or another, and relevance judgements.

Layout of a folder (BEIR, Thakur et al. 2021, arXiv:2104.08663, with a language in the file names)::

    corpus[.<language>].jsonl[.gz]     {"_id" or "id", "text", optional "title"}
    queries[.<language>].jsonl[.gz]    {"_id" or "id", "text", optional "text_en"}
    qrels[.<language>|.all].trec|tsv   TREC "query 0 document grade", or BEIR "query document grade" with a header
    qrels.<queries>-<documents>.trec   for one pair of languages (FLORES codes), where documents share no identifiers
    qrels/test.tsv                     BEIR's own place

A file without a language serves every language. Languages in file names may be any code that ``normalize`` accepts.
In place of a folder all readers accept the name of a published set, an MTEB task or a Hub id
(:func:`hf_optical.data.benchmarks.retrieval_folder`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_optical.data.identifiers import identifier_field, identifier_of
from hf_optical.data.judgements import OnProblem, Problems, checked_qrels, judged_queries
from hf_optical.data.languages import ENGLISH, language_name, normalize
from hf_optical.data.qrels import read_qrels
from hf_optical.data.reading_notes import own_documents, reading_notes, unjudged_copies
from hf_optical.data.retrieval_files import Folder, scan
from hf_optical.data.tables import Fault, read_json_rows
from hf_optical.data.texts import is_blank, one_form, text_fault
from hf_optical.data.titles import title_of, titled, warn_of_unread_titles
from hf_optical.errors import InputError

__all__ = ["RetrievalSet", "read_retrieval_set", "retrieval_languages"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RetrievalSet:
    """Queries, documents and judgements, where every query has a positive judgement of a document in the corpus.

    Attributes:
        name: The name of the set, by default that of its folder.
        query_language: FLORES code of the queries.
        document_language: FLORES code of the documents.
        queries: Query id to text.
        corpus: Document id to text.
        qrels: Query id to document id to grade; a grade above zero means relevant.
        english_queries: English wording of all queries by the same ids, for the ceiling; ``None`` if it is incomplete.
        titled: Number of documents with a title.
        titles_read: Whether titles were put before the texts.
        judged_without_text: Number of judged queries that no file of queries contains, and that are not scored.
        queries_in_corpus: Number of queries that are also a document, which is then ranked first.
        unjudged_copies: Number of judgements of a document that has an unjudged copy in the corpus.
    """

    name: str
    query_language: str
    document_language: str
    queries: dict[str, str]
    corpus: dict[str, str]
    qrels: dict[str, dict[str, int]]
    english_queries: dict[str, str] | None
    titled: int = 0
    titles_read: bool = False
    judged_without_text: int = 0
    queries_in_corpus: int = 0
    unjudged_copies: int = 0

    def notes(self) -> dict[str, Any]:
        """Return the entry for ``results.json``, see :func:`hf_optical.data.reading_notes.reading_notes`."""
        counts = (self.judged_without_text, self.queries_in_corpus, self.unjudged_copies)
        return reading_notes(self.titled, self.titles_read, *counts)


def retrieval_languages(folder: str | Path) -> dict[str, tuple[str, ...]]:
    """List the languages of the queries, documents and judgements of a retrieval set.

    Args:
        folder: A folder, the name of a published set, an MTEB task or a Hub id.

    Returns:
        FLORES codes under ``"queries"``, ``"documents"`` and ``"qrels"``; under ``"untagged"`` which of the three also
        have a file without a language.

    Raises:
        InputError: The folder does not exist, or is not a retrieval set.
    """
    files = scan(_resolved(folder))
    judged: dict[str | None, Path] = {language: path for (language, _), path in files.pairs.items()}
    judged.update(files.qrels)
    kinds = {"queries": files.queries, "documents": files.corpus, "qrels": judged}
    languages = {kind: tuple(sorted(tag for tag in found if tag is not None)) for kind, found in kinds.items()}
    return {**languages, "untagged": tuple(kind for kind, found in kinds.items() if None in found)}


def read_retrieval_set(
    folder: str | Path,
    query_language: str,
    document_language: str = ENGLISH,
    name: str | None = None,
    *,
    use_titles: bool = False,
    on_problem: OnProblem = "error",
) -> RetrievalSet:
    """Read and check one retrieval set.

    Args:
        folder: A folder in the layout above, the name of a published set, an MTEB task or a Hub id.
        query_language: The language of the queries, any code.
        document_language: The language of the documents, any code. Default English.
        name: The name of the set. Default: that of the folder.
        use_titles: Whether to put the title of a document before its text, unless the text begins with it. BEIR and
            MTEB do. The default is false for all sets, so that sets with and without titles are read in the same way;
            a warning states how many titles are not read.
        on_problem: ``"error"`` (default) stops at the first inconsistency. ``"warn"`` logs a warning and skips empty
            texts, judgements of unknown queries or documents, and queries without a positive judgement. Repeated
            identifiers and damaged rows are always errors.

    Returns:
        The set. If a file of judgements is for all languages (``qrels.all``, or without a language), judgements of
        queries that this language lacks are skipped with a message; so are the queries of other splits in BEIR's
        layout.

    Raises:
        InputError: A file is missing or there is an inconsistency; the message names languages, rows and identifiers.
    """
    if on_problem not in ("error", "warn"):
        raise InputError(f"on_problem is {on_problem!r}", "use 'error' or 'warn'")
    problems = Problems(on_problem)
    asked, documents = normalize(query_language), normalize(document_language)
    folder = _resolved(folder)
    files = scan(folder)
    query_path = _pick(files, files.queries, asked, "queries")
    corpus_path = _pick(files, files.corpus, documents, "documents")
    pair_path = files.pairs.get((asked, documents))
    judgements = f"judgements (qrels) of {documents} documents" if files.pairs else "judgements (qrels)"
    qrels_path = pair_path or _pick(files, files.qrels, asked, judgements)

    rows = _read_texts(query_path, problems, titles=False)
    queries = {identifier: row["text"] for identifier, row in rows.items()}
    documents_read = _read_texts(corpus_path, problems, titles=use_titles)
    corpus = {key: row["text"] for key, row in documents_read.items()}
    titled = sum(1 for row in documents_read.values() if title_of(row))
    warn_of_unread_titles(corpus_path, 0 if use_titles else titled, len(corpus))
    shared = pair_path is None and files.qrels.get(asked) != qrels_path
    judgements_read = read_qrels(qrels_path)
    lacking = {query for query, *_ in judgements_read} - set(queries)
    if lacking and len(files.queries) == 1:  # with several files, they may be queries of another language
        logger.warning(
            "%s: %d of %d judged queries have no text and are not scored, such as %r",
            qrels_path, len(lacking), len({query for query, *_ in judgements_read}), min(lacking),
        )  # fmt: skip
    qrels = checked_qrels(judgements_read, queries, corpus, qrels_path, shared, problems)
    queries = judged_queries(queries, qrels, qrels_path, query_path, problems, partial=pair_path is not None)
    kept = {identifier: qrels[identifier] for identifier in queries}
    own, copies = own_documents(queries, corpus, kept), unjudged_copies(corpus, kept)
    if own:
        logger.warning(
            "%s: %d of %d queries are also a document, such as %r, which is ranked first; BEIR and MTEB remove it "
            "from the ranking of its query, but these scores include it", query_path, len(own), len(queries), own[0],
        )  # fmt: skip
    if copies:
        logger.warning(
            "%s: %d judgements are of a document that has an unjudged copy; the order of the two is arbitrary",
            corpus_path, copies,
        )  # fmt: skip
    return RetrievalSet(
        name=name or Path(folder).resolve().name,
        query_language=asked,
        document_language=documents,
        queries=queries,
        corpus=corpus,
        qrels=kept,
        english_queries=_english(queries, rows, asked, files.queries.get(ENGLISH), problems),
        titled=titled,
        titles_read=use_titles,
        judged_without_text=len(lacking) if len(files.queries) == 1 else 0,
        queries_in_corpus=len(own),
        unjudged_copies=copies,
    )


def _resolved(folder: str | Path) -> Path:
    from hf_optical.data.benchmarks import retrieval_folder

    return retrieval_folder(folder)


def _pick(files: Folder, found: dict[str | None, Path], language: str, what: str) -> Path:
    """Return the file of a language, or that for all languages."""
    path = found.get(language, found.get(None))
    if path is None:
        tags = ", ".join(sorted(tag for tag in found if tag)) or "none"
        raise InputError(
            f"there are no {what} in {language_name(language)} ({language}); languages that exist: {tags}",
            "choose one of these, or add the file",
            path=files.folder,
        )
    return path


def _read_texts(path: Path, problems: Problems, *, titles: bool) -> dict[str, dict[str, Any]]:
    """Read the rows of a file of queries or documents by identifier."""
    found: dict[str, dict[str, Any]] = {}
    lines: dict[str, int] = {}
    empty: list[str] = []
    for number, row in read_json_rows(path):
        if isinstance(row, Fault):
            raise InputError(row.problem, "correct or remove the row", path=path, row=number)
        identifier = identifier_of(row, path, number)
        if identifier in lines:
            problem = f"the identifier {identifier!r} is also that of row {lines[identifier]}"
            raise InputError(
                problem, "give each row its own identifier", path=path, row=number, field=identifier_field(row)
            )
        lines[identifier] = number
        text = row.get("text")
        if isinstance(text, str) and is_blank(text):
            empty.append(f"{identifier!r} (row {number})")
            continue
        fault = text_fault(text) if "text" in row else f"the field is missing (found {', '.join(row) or 'none'})"
        if fault is not None:
            raise InputError(fault, "give every row a text", path=path, row=number, field="text")
        found[identifier] = {**row, "text": one_form(str(titled(row, str(text)) if titles else text))}
    problems.report(empty, "rows with an empty text", "give them a text", path)
    if not found:
        raise InputError("no row is left", "give at least one row", path=path)
    return found


def _english(
    queries: dict[str, str],
    rows: dict[str, dict[str, Any]],
    language: str,
    english_path: Path | None,
    problems: Problems,
) -> dict[str, str] | None:
    """Return the English wording of all queries; ``None`` if some lack it, because a part would be another test."""
    if language == ENGLISH:
        return dict(queries)
    wordings: list[dict[str, str]] = []
    if english_path is not None:
        english = _read_texts(english_path, problems, titles=False)
        wordings.append({key: english[key]["text"] for key in queries if key in english})
    inline = {key: rows[key].get("text_en") for key in queries}
    said = {key: text for key, text in inline.items() if isinstance(text, str) and text_fault(text) is None}
    wordings.append({key: one_form(text) for key, text in said.items()})
    best = max(wordings, key=len)
    if len(best) == len(queries):
        return best
    if best:
        logger.warning("only %d of %d queries have an English wording, which is not used", len(best), len(queries))
    return None
