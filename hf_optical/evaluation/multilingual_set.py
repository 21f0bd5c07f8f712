"""Retrieval sets with documents in several languages: the same questions with parallel relevant passages."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hf_optical.data.benchmarks import retrieval_folder
from hf_optical.data.identifiers import identifier_field, identifier_of
from hf_optical.data.languages import normalize
from hf_optical.data.qrels import read_qrels
from hf_optical.data.retrieval import OnProblem, RetrievalSet, read_retrieval_set, retrieval_languages
from hf_optical.data.retrieval_files import scan
from hf_optical.data.tables import Fault, read_json_rows
from hf_optical.data.texts import one_form, text_fault
from hf_optical.errors import InputError

logger = logging.getLogger(__name__)

Level = Literal["passage", "sentence"]
Qrels = dict[str, dict[str, int]]

_SENTENCES = re.compile(r"(sentences|qrels_sentences)\.(?P<tag>[^.]+)\.(?:jsonl|trec|tsv)(?:\.gz)?")


@dataclass
class MultilingualSet:
    """Queries and documents by language, with the judgements of every language pair.

    Args:
        name: Name of the set.
        level: ``"passage"`` or ``"sentence"``.
        queries: For each query language, text by query id.
        corpus: For each document language, text by document id.
        qrels: For each pair (query language, document language), the judgements. Documents need no common ids.
        titled: Number of documents with a title, over all languages.
        titles_read: Whether titles were put before the texts.
    """

    name: str
    level: Level
    queries: dict[str, dict[str, str]]
    corpus: dict[str, dict[str, str]]
    qrels: dict[tuple[str, str], Qrels]
    titled: int = 0
    titles_read: bool = False

    def pair(self, query_language: str, document_language: str) -> RetrievalSet:
        """Return the set of one query language and one document language, which are equal for the monolingual task."""
        qrels = self.qrels[query_language, document_language]
        queries = self.queries[query_language]
        return RetrievalSet(
            self.name,
            query_language,
            document_language,
            {query: queries[query] for query in qrels},
            self.corpus[document_language],
            qrels,
            None,
            self.titled,
            self.titles_read,
        )


def read_multilingual_set(
    folder: str | Path,
    level: Level = "passage",
    *,
    query_languages: Sequence[str] = (),
    document_languages: Sequence[str] = (),
    name: str | None = None,
    use_titles: bool = False,
    on_problem: OnProblem = "error",
) -> MultilingualSet:
    """Read every language of a folder.

    Args:
        folder: For passages a retrieval set as :func:`~hf_optical.data.retrieval.read_retrieval_set` reads it. For
            sentences also ``sentences.<language>.jsonl`` and ``qrels_sentences.<language>.trec``, one pair of files
            per **document** language (LAReQA, Roy et al., 2020).
        level: ``"passage"`` or ``"sentence"``.
        query_languages: Only these, any codes; all by default.
        document_languages: Only these, any codes; all by default.
        name: Name of the set; the folder's by default, with ``-sentences`` for sentences.
        use_titles: As in :func:`~hf_optical.data.retrieval.read_retrieval_set`; sentences have no titles.
        on_problem: As in the same function. Items missing in only some of the languages are always an error.

    Returns:
        The set, languages as FLORES codes in sorted order. A warning names languages that have documents but no
        queries.

    Raises:
        InputError: If a file is missing or inconsistent, or no language is left.
    """
    folder = retrieval_folder(folder)
    reading: dict[str, Any] = {"on_problem": on_problem, "use_titles": use_titles}
    if level not in ("passage", "sentence"):
        raise InputError(f"level is {level!r}", "use 'passage' or 'sentence'")
    asked = choose_languages(retrieval_languages(folder)["queries"], query_languages, folder)
    if level == "passage":
        answered = choose_languages(retrieval_languages(folder)["documents"], document_languages, folder)
        found = _read_passages(folder, asked, answered, name or folder.resolve().name, reading)
    else:
        name = name or f"{folder.resolve().name}-sentences"
        found = _read_sentences(folder, asked, document_languages, name, reading)
    without = [language for language in found.corpus if language not in found.queries]
    if without:
        logger.warning(
            "%s: documents in %s, but no queries; they are not scored as query languages", folder, ", ".join(without)
        )
    return found


def has_sentences(folder: str | Path) -> bool:
    """Return whether a folder has sentence-level files."""
    return any(_SENTENCES.fullmatch(path.name) for path in retrieval_folder(folder).iterdir())


def choose_languages(found: Sequence[str], wanted: Sequence[str], folder: str | Path) -> list[str]:
    """Return the wanted languages among those found, given as any codes; all if none is named.

    Raises:
        InputError: If a wanted language is not among those found.

    Example:
        >>> choose_languages(["som_Latn", "swh_Latn"], ["sw"], ".")
        ['swh_Latn']
    """
    codes = [normalize(language) for language in wanted]
    missing = [code for code in codes if code not in found]
    if missing or not found:
        raise InputError(
            f"the folder has {', '.join(found) or 'no file with a language in its name'}, not {', '.join(missing)}",
            "choose languages that it has, or name its files by language",
            path=folder,
        )
    return [language for language in found if not codes or language in codes]


def _read_passages(
    folder: Path, asked: list[str], answered: list[str], name: str, reading: dict[str, Any]
) -> MultilingualSet:
    if scan(folder).pairs:
        return _read_pairs(folder, asked, answered, name, reading)
    # Each file is read once if the languages of both sides are equal.
    pairs = {language: (language if language in answered else answered[0]) for language in asked}
    sets = [read_retrieval_set(folder, *pair, **reading) for pair in pairs.items()]
    read = {item.document_language: item for item in sets}
    for language in answered:
        if language not in read:
            read[language] = read_retrieval_set(folder, asked[0], language, **reading)
    corpus = {language: item.corpus for language, item in read.items()}
    qrels = {(item.query_language, language): item.qrels for item in sets for language in answered}
    for (asked_in, answered_in), judged in qrels.items():
        _check_documents(judged, corpus[answered_in], folder, f"{asked_in} queries, {answered_in} documents")
    queries = {item.query_language: item.queries for item in sets}
    titled = sum(read[language].titled for language in answered)
    kept = {language: corpus[language] for language in answered}
    return MultilingualSet(name, "passage", queries, kept, qrels, titled, reading["use_titles"])


def _read_pairs(
    folder: Path, asked: list[str], answered: list[str], name: str, reading: dict[str, Any]
) -> MultilingualSet:
    """Read documents without common identifiers: every language pair has its own judgements and queries."""
    queries: dict[str, dict[str, str]] = {}
    corpus: dict[str, dict[str, str]] = {}
    titled: dict[str, int] = {}
    qrels: dict[tuple[str, str], Qrels] = {}
    for asked_in in asked:
        for answered_in in answered:
            item = read_retrieval_set(folder, asked_in, answered_in, **reading)
            queries.setdefault(asked_in, {}).update(item.queries)
            corpus.setdefault(answered_in, item.corpus)
            titled[answered_in] = item.titled
            qrels[asked_in, answered_in] = item.qrels
    return MultilingualSet(name, "passage", queries, corpus, qrels, sum(titled.values()), reading["use_titles"])


def _read_sentences(
    folder: Path, asked: list[str], wanted: Sequence[str], name: str, reading: dict[str, Any]
) -> MultilingualSet:
    files: dict[str, dict[str, Path]] = {"sentences": {}, "qrels_sentences": {}}
    for path in sorted(folder.iterdir()):
        if match := _SENTENCES.fullmatch(path.name):
            files[match[1]][normalize(match["tag"])] = path
    answered = choose_languages(sorted(files["sentences"]), wanted, folder)
    queries = {language: _texts(folder, language, reading) for language in asked}
    corpus: dict[str, dict[str, str]] = {}
    judgements: dict[str, Qrels] = {}
    for language in answered:
        if language not in files["qrels_sentences"]:
            raise InputError(
                f"there are {language} sentences without judgements", "add its qrels_sentences file", path=folder
            )
        path = files["qrels_sentences"][language]
        corpus[language] = _rows(files["sentences"][language])
        judged: Qrels = {}
        for line in read_qrels(path):
            judged.setdefault(line.query, {})[line.document] = line.grade
        _check_documents(judged, corpus[language], path, f"{language} sentences")
        judgements[language] = judged
    qrels = {
        (asked_in, answered_in): {query: judged[query] for query in texts if query in judged}
        for asked_in, texts in queries.items()
        for answered_in, judged in judgements.items()
    }
    _check_queries(queries, judgements, folder)
    return MultilingualSet(name, "sentence", queries, corpus, qrels)


def _check_queries(queries: dict[str, dict[str, str]], judgements: dict[str, Qrels], folder: Path) -> None:
    judged = {query for found in judgements.values() for query in found}
    for language, texts in queries.items():
        without = [query for query in texts if query not in judged]
        if without:
            logger.warning(
                "%s: %d %s queries have no judged sentence, the first is %r; they are not scored on sentences",
                folder,
                len(without),
                language,
                without[0],
            )
    strangers = [query for query in judged if not any(query in texts for texts in queries.values())]
    if strangers:
        logger.warning(
            "%s: judgements of sentences for %d queries that are missing in %s, the first is %r; they are left out",
            folder,
            len(strangers),
            ", ".join(queries),
            min(strangers),
        )


def _texts(folder: Path, language: str, reading: dict[str, Any]) -> dict[str, str]:
    # The queries are those of the passages, which the reader of retrieval sets checks.
    documents = retrieval_languages(folder)["documents"]
    answered = documents if scan(folder).pairs else [language if language in documents else documents[0]]
    found: dict[str, str] = {}
    for document_language in answered:
        found.update(read_retrieval_set(folder, language, document_language, **reading).queries)
    return found


def _rows(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, row in read_json_rows(path):
        if isinstance(row, Fault):
            raise InputError(row.problem, "correct or remove the row", path=path, row=number)
        identifier = identifier_of(row, path, number)
        if identifier in found:
            problem = f"the identifier {identifier!r} occurs more than once"
            raise InputError(
                problem, "give each row its own identifier", path=path, row=number, field=identifier_field(row)
            )
        if fault := text_fault(row.get("text")):
            raise InputError(fault, "give every row a text", path=path, row=number, field="text")
        found[identifier] = one_form(row["text"])
    return found


def _check_documents(judged: Qrels, corpus: dict[str, str], path: Path, what: str) -> None:
    missing = [document for judgements in judged.values() for document in judgements if document not in corpus]
    if missing:
        raise InputError(
            f"{what}: {len(missing)} judged documents do not exist, the first is {missing[0]!r}",
            "complete the corpus, or leave the language out",
            path=path,
        )
