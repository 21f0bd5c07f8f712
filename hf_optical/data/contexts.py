"""Training pairs for retrieval from bitext with documents: a sentence as the query, its context as the passage.

If a language has no questions, a sentence can serve as one, and the sentences around it as the passage that answers it
(the inverse cloze task: Lee, Chang, Toutanova, arXiv 1906.00300). Because every sentence has a translation, this gives
monolingual and cross-lingual pairs for all languages of the bitext.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets

from hf_optical.data.identifiers import document_of
from hf_optical.data.languages import ENGLISH, normalize
from hf_optical.data.pair_columns import with_columns
from hf_optical.data.query_passages import QueryPassages
from hf_optical.data.sources import PairSource, records_of, single_sources
from hf_optical.data.tables import Fault
from hf_optical.data.texts import one_form, text_fault

__all__ = ["Sentence", "context_pairs", "read_documents"]


@dataclass(frozen=True)
class Sentence:
    """Sentence of a document.

    Attributes:
        id: Identifier, the same in every bitext that contains the sentence.
        document: Identifier of the document.
        texts: The sentence by FLORES code.
    """

    id: str
    document: str
    texts: Mapping[str, str]


def read_documents(
    source: str | Path, language: str, *, source_field: str | None = None, translation_field: str | None = None
) -> list[Sentence]:
    """Read the sentences of a bitext that belong to documents, in the order of the file.

    Args:
        source: A bitext file with a column ``doc`` (or ``document``). Rows without a value there are skipped, because
            they have no context. Rows with an empty side are skipped too; reading the file as bitext reports them.
        language: Language of the translations, any code.
        source_field: The English column. By default it is guessed.
        translation_field: The column of the translations. By default it is guessed.

    Returns:
        The sentences in English and in that language; empty if the file has no documents.
    """
    code = normalize(language)
    fields = (source_field, translation_field)
    return [sentence for one in single_sources(source, language=code) for sentence in _sentences(one, code, fields)]


def _sentences(source: PairSource, code: str, fields: tuple[str | None, str | None]) -> Iterator[Sentence]:
    name, records = records_of(source, None)
    records, columns = with_columns(records, name, *fields, code)
    for number, row in records.rows:
        # Every row is checked, because if only some rows have documents, the first hundred may have none.
        document = None if isinstance(row, Fault) else document_of(row)
        if document is None or isinstance(row, Fault):
            continue
        texts: dict[str, Any] = {ENGLISH: row.get(columns.source), code: row.get(columns.translation)}
        if all(text_fault(text) is None for text in texts.values()):
            identifier = str(row.get("id") or f"{Path(name).name}:{number}")
            yield Sentence(identifier, document, {key: one_form(text) for key, text in texts.items()})


def context_pairs(
    documents: Iterable[Sequence[Sentence]], width: int = 5, languages: Sequence[str] | None = None
) -> dict[str, QueryPassages]:
    """Build pairs of a sentence as the query and the rest of its window as the passage, in all pairs of languages.

    Documents are cut into windows of ``width`` sentences that do not overlap. All pairs of one window share an
    underlying id, so that a batch does not get two of them, which would be false negatives of each other.

    Args:
        documents: The sentences of each bitext, as `read_documents` returns them. Sentences of several bitexts with the
            same id are merged, with the languages of all.
        width: Number of sentences in a window. Windows of one sentence are skipped.
        languages: FLORES codes of the languages to use; all by default.

    Returns:
        Training sets by name: ``mono/<language>``, ``cross/<query language>-<passage language>``.

    Example:
        >>> lines = [Sentence(str(i), "d", {"eng_Latn": f"line {i}", "swh_Latn": f"mstari {i}"}) for i in range(3)]
        >>> pairs = context_pairs([lines], width=3)
        >>> sorted(pairs)[:2], pairs["cross/swh_Latn-eng_Latn"].rows[1]
        (['cross/eng_Latn-swh_Latn', 'cross/swh_Latn-eng_Latn'], {'query': 'mstari 1', 'passage': 'line 0 line 2'})
    """
    rows: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for window, sentences in _windows(_joined(documents), width):
        present = set.intersection(*(set(sentence.texts) for sentence in sentences))
        for asked in sorted(present & set(languages) if languages else present):
            for answered in sorted(present & set(languages) if languages else present):
                name = f"mono/{asked}" if asked == answered else f"cross/{asked}-{answered}"
                for index, sentence in enumerate(sentences):
                    others = [other.texts[answered] for place, other in enumerate(sentences) if place != index]
                    rows[name].append((sentence.texts[asked], " ".join(others), window))
    return {
        name: QueryPassages(
            datasets.Dataset.from_dict({"query": [row[0] for row in found], "passage": [row[1] for row in found]}),
            [row[2] for row in found],
        )
        for name, found in rows.items()
    }


def _joined(documents: Iterable[Sequence[Sentence]]) -> dict[str, list[Sentence]]:
    """Group the sentences by document and merge those with the same id."""
    texts: dict[str, dict[str, str]] = {}
    places: dict[str, list[str]] = defaultdict(list)
    for sentences in documents:
        for sentence in sentences:
            if sentence.id not in texts:
                places[sentence.document].append(sentence.id)
            texts.setdefault(sentence.id, {}).update(sentence.texts)
    return {
        document: [Sentence(identifier, document, texts[identifier]) for identifier in identifiers]
        for document, identifiers in places.items()
    }


def _windows(documents: Mapping[str, Sequence[Sentence]], width: int) -> Iterable[tuple[str, list[Sentence]]]:
    """Yield the windows of at least two sentences with their underlying ids."""
    for document, sentences in documents.items():
        for start in range(0, len(sentences), width):
            window = list(sentences[start : start + width])
            if len(window) > 1:
                yield f"window:{document}:{start // width}", window
