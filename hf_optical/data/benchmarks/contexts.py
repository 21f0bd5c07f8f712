"""Reader of reading comprehension sets (LAReQA, Belebele) as retrieval: a question's own passage is relevant."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_optical.data.benchmarks.folder import Collected, Judged, Text
from hf_optical.data.benchmarks.origin import Origin
from hf_optical.data.benchmarks.sets import LiteratureSet
from hf_optical.data.tables import Fault, read_json_rows
from hf_optical.errors import InputError

__all__ = ["read_contexts"]


@dataclass
class _Row:
    """Question with its passage.

    Attributes:
        question_id: Identifier, the same in all languages of a parallel set.
        question: The question.
        context: The passage.
        english: English wording of the question, if the set has one.
        answer_start: First character of the answer in the passage, if the set states it.
        sentence_breaks: Start and end of each sentence of the passage; empty if the set does not state them.
    """

    question_id: str
    question: str
    context: str
    english: str | None = None
    answer_start: int | None = None
    sentence_breaks: Sequence[Sequence[int]] = ()


def read_contexts(item: LiteratureSet, languages: Sequence[str], split: str, origin: Origin) -> Collected:
    """Read the questions and passages of some languages.

    Passages do not have identifiers. Equal texts of one language become one document, named after the first of its
    questions in string order. If the relevant documents are the same in all languages, there is one file of judgements;
    otherwise each pair of languages has one, for the questions that both languages have.

    Args:
        item: The set.
        languages: FLORES codes of the questions.
        split: Split of the set.
        origin: Place of its files.

    Returns:
        The set, with sentences if the source has sentence breaks in every language.

    Raises:
        InputError: A file or a column is missing, or a language has no rows.
    """
    rows = {language: list(_rows(item, language, split, origin)) for language in languages}
    for language, found in rows.items():
        if not found:
            raise InputError(f"{item.name} has no rows in {language}", "check the copy", path=origin.folder)
    answered = {language: _answered(item, language) for language in languages}
    documents: dict[str, dict[str, str]] = {}
    for language in languages:
        names = documents.setdefault(answered[language], {})
        for row in rows[language]:
            # The passage gets the smallest identifier among its questions.
            names[row.context] = min(names.get(row.context, row.question_id), row.question_id)
    answers = {
        language: {row.question_id: documents[answered[language]][row.context] for row in rows[language]}
        for language in languages
    }
    collected = Collected(
        queries={
            language: [(row.question_id, row.question, row.english) for row in found]
            for language, found in rows.items()
        },
        corpus={language: [(name, text) for text, name in names.items()] for language, names in documents.items()},
        qrels=_own_qrels(answers, answered) if item.asked == "own" else _shared_qrels(answers),
    )
    if all(row.sentence_breaks for found in rows.values() for row in found):
        for language, found in rows.items():
            sentences, judged = _sentences(found, documents[language], origin)
            collected.sentences[language], collected.sentence_qrels[language] = sentences, judged
    return collected


def _answered(item: LiteratureSet, language: str) -> str:
    """Return the language of the documents for a language of the questions."""
    return item.answered.get(language, item.answered[""]) if item.asked == "own" else language


def _own_qrels(answers: dict[str, dict[str, str]], answered: dict[str, str]) -> dict[str, list[Judged]]:
    """Build the judgements of a set in which each language of questions has one language of documents."""
    return {
        f"{language}-{answered[language]}": [(query, document, 1) for query, document in found.items()]
        for language, found in answers.items()
    }


def _shared_qrels(answers: dict[str, dict[str, str]]) -> dict[str, list[Judged]]:
    """Build the judgements of a parallel set, for all languages at once if they agree, or for every pair."""
    found = list(answers.values())
    if all(one == found[0] for one in found):
        return {"all": [(query, document, 1) for query, document in found[0].items()]}
    return {
        f"{asked}-{answering}": [(query, there[query], 1) for query in here if query in there]
        for asked, here in answers.items()
        for answering, there in answers.items()
    }


def _sentences(rows: Iterable[_Row], names: dict[str, str], origin: Origin) -> tuple[list[Text], list[Judged]]:
    """Return the sentences of all passages of one language, and the judgements of the sentences with the answers."""
    sentences: dict[str, str] = {}
    judged: list[Judged] = []
    for row in rows:
        name = names[row.context]
        for index, (start, end) in enumerate(row.sentence_breaks):
            sentences[f"{name}-s{index}"] = row.context[start:end]
        if row.answer_start is None:
            raise InputError(f"question {row.question_id} has no answer", "check the copy", path=origin.folder)
        # The relevant sentence is that in which the answer begins; between two sentences there is only white space.
        starts = [start for start, _ in row.sentence_breaks]
        index = sum(start <= row.answer_start for start in starts) - 1
        judged.append((row.question_id, f"{name}-s{max(index, 0)}", 1))
    return list(sentences.items()), judged


def _rows(item: LiteratureSet, language: str, split: str, origin: Origin) -> Iterator[_Row]:
    """Read the questions of one language, from a Hub data set or from files."""
    code = item.languages.get(language, language)
    first, _, second = code.replace("/", ".").partition(".")
    place = item.files["rows"].format(code=code, first=first, second=second, split=split)
    prefix = "" if item.parallel else f"{first}-{split}-"
    if item.hub is not None and (origin.folder is None or not _has(origin, place)):
        tables: Iterable[Any] = origin.rows(item.hub, code, split)
        yield from (_from_table(row, item, prefix, item.hub, number) for number, row in enumerate(tables, start=1))
        return
    for path in origin.files(place):
        if _is_squad(path):
            yield from _from_squad(path)
            continue
        for number, line in read_json_rows(path):
            if isinstance(line, Fault):
                raise InputError(line.problem, "correct or remove the row", path=path, row=number)
            yield _from_table(line, item, prefix, str(path), number)


def _has(origin: Origin, place: str) -> bool:
    """Return whether the files of a place exist."""
    try:
        return bool(origin.files(place))
    except InputError:
        return False


def _from_table(row: dict[str, Any], item: LiteratureSet, prefix: str, path: str, number: int) -> _Row:
    """Convert the row of a table with one question in each row."""
    columns = {role: str(item.fields.get(role, role)) for role in ("id", "question", "context")}
    parts = columns["id"].split()
    missing = [name for name in (*parts, columns["question"], columns["context"]) if row.get(name) is None]
    if missing:
        raise InputError(
            f"the columns {', '.join(missing)} are missing (found {', '.join(row)})",
            f"give {item.name} in the form in which its authors publish it",
            path=path,
            row=number,
        )
    identifier = re.sub(r"\s+", "_", "#".join(str(row[name]) for name in parts))
    english = row.get(str(item.fields["english"])) if "english" in item.fields else None
    # AfriQA's questions are translated into the language of the documents, which is French for two languages.
    english = english if item.answered.get(_flores(item, prefix), "eng_Latn") == "eng_Latn" else None
    return _Row(f"{prefix}{identifier}", row[columns["question"]], row[columns["context"]], english)


def _flores(item: LiteratureSet, prefix: str) -> str:
    """Return the FLORES code of the language whose own code begins a prefix."""
    own = prefix.partition("-")[0]
    return next((code for code, name in item.languages.items() if name.partition(".")[0] == own), "")


def _is_squad(path: Path) -> bool:
    """Return whether a file has the JSON format of SQuAD."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    return b'"paragraphs"' in head and b'"data"' in head


def _from_squad(path: Path) -> Iterator[_Row]:
    """Read the questions of a file in the JSON format of SQuAD."""
    try:
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
        paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
        for paragraph in paragraphs:
            for question in paragraph["qas"]:
                yield _Row(
                    question["id"],
                    question["question"],
                    paragraph["context"],
                    answer_start=question["answers"][0]["answer_start"] if question.get("answers") else None,
                    sentence_breaks=paragraph.get("sentence_breaks", ()),
                )
    except (ValueError, KeyError, TypeError) as error:
        problem = f"the file does not have the JSON format of SQuAD ({type(error).__name__}: {error})"
        raise InputError(problem, "give the file in the form in which its authors publish it", path=path) from None
