"""The mean tokens of a search: the students', from their folders, and the documents', kept with the index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hf_optical.data.bitext import read_bitext
from hf_optical.data.languages import normalize
from hf_optical.data.pairs import OnBadRows
from hf_optical.encoders.encoding import Encoder
from hf_optical.encoders.token_means import MOST_TEXTS, TokenMeans, token_mean


def means_of_folders(folders: Iterable[str]) -> TokenMeans:
    """What was saved with some models; of two with the same language the first counts."""
    means = TokenMeans()
    for folder in folders:
        means = means.joined(TokenMeans.load(folder) or TokenMeans())
    return means


def means_of_bitexts(
    bitexts: Mapping[str, str],
    readers: Mapping[str | None, Encoder],
    teacher: Encoder,
    *,
    on_bad_rows: OnBadRows = "error",
) -> TokenMeans:
    """Mean tokens taken from bitext, for encoders that have none saved.

    Args:
        bitexts: Files by language of their translations.
        readers: Query encoders by language, None being the key of the one for all others.
        teacher: Reads the English, as documents.
        on_bad_rows: ``"error"`` stops at the first bad row of a file; ``"skip"`` leaves such rows out.
    """
    means = TokenMeans()
    by_code = {None if code is None else normalize(code): model for code, model in readers.items()}
    for code, file in bitexts.items():
        language, rows = normalize(code), read_bitext(file, language=code, on_bad_rows=on_bad_rows)
        reader = by_code[language] if language in by_code else by_code.get(None, teacher)
        documents = means.documents if means.documents is not None else token_mean(teacher, rows["source"], "document")
        means = TokenMeans({**means.queries, language: token_mean(reader, rows["translation"], "query")}, documents)
    return means


def with_index(means: TokenMeans, teacher: Encoder, texts: Sequence[str], location: str | None) -> TokenMeans:
    """The same with the documents' mean of an index: its own, where it has documents enough to have one.

    It is written into the index's folder at the first time and read from there afterwards. An index of few documents
    has no mean of its own (it would be what they are about): there the English of the bitext stands in.

    Args:
        means: Of the students.
        teacher: Reads the documents.
        texts: The documents.
        location: The index's folder; None or a URL where it has none.
    """
    folder = Path(location) if location and "://" not in location and Path(location).is_dir() else None
    kept = TokenMeans.load(folder) if folder else None
    if kept is None and len(texts) >= MOST_TEXTS:
        kept = TokenMeans({}, token_mean(teacher, texts, "document"))
        if folder:
            kept.save(folder)
    return means if kept is None else kept.joined(means)
