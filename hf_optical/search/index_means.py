"""Mean tokens for a search: those of the students, from their folders, and that of the documents, kept in the index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hf_optical.data.bitext import read_bitext
from hf_optical.data.languages import normalize
from hf_optical.data.pairs import OnBadRows
from hf_optical.encoders.encoding import Encoder
from hf_optical.encoders.token_means import MOST_TEXTS, TokenMeans, token_mean


def means_of_folders(folders: Iterable[str]) -> TokenMeans:
    """Load the mean tokens that were saved with models; for a language that occurs twice the first model's is used."""
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
    """Compute mean tokens from bitext, for encoders that were saved without them.

    Args:
        bitexts: Bitext files by language code of their translations.
        readers: Query encoders by language code; the key ``None`` has the encoder for all other languages.
        teacher: Encoder of the documents, which encodes the English sentences.
        on_bad_rows: ``"error"`` stops at the first bad row of a file; ``"skip"`` leaves such rows out.

    Returns:
        One mean token per language, and that of the documents, from the first bitext.
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
    """Replace the mean token of the documents by that of an index, if the index has enough documents.

    The mean is computed once and written into the index's folder. For fewer documents it would reflect their topic
    rather than the language, and the mean of the bitext's English sentences is kept.

    Args:
        means: Mean tokens of the students.
        teacher: Encoder of the documents.
        texts: Texts of the documents.
        location: Folder of the index; ``None`` or a URL if it has none.

    Returns:
        The mean tokens for this index.
    """
    folder = Path(location) if location and "://" not in location and Path(location).is_dir() else None
    kept = TokenMeans.load(folder) if folder else None
    if kept is None and len(texts) >= MOST_TEXTS:
        kept = TokenMeans({}, token_mean(teacher, texts, "document"))
        if folder:
            kept.save(folder)
    return means if kept is None else kept.joined(means)
