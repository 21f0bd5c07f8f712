"""Search for the files of a retrieval set in a folder, by part and language."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

from hf_optical.data.languages import UnknownLanguageError, normalize
from hf_optical.errors import InputError

__all__ = ["Folder", "scan"]

logger = logging.getLogger(__name__)

_TEXTS = re.compile(r"(corpus|queries)(?:\.(?P<tag>.+?))?\.jsonl(?:\.gz)?")
_QRELS = re.compile(r"(qrels)(?:\.(?P<tag>.+?))?\.(?:trec|tsv)(?:\.gz)?")
_SHARED_TAG = "all"
# FLORES codes only, because in BCP 47 "sw-en" would be Swahili in a region.
_PAIR = re.compile(r"([a-z]{3}_[A-Z][a-z]{3})-([a-z]{3}_[A-Z][a-z]{3})")


@dataclass(frozen=True)
class Folder:
    """Files of a retrieval set by FLORES code, where ``None`` is a file for all languages.

    Attributes:
        folder: The folder.
        corpus: Files of documents.
        queries: Files of queries.
        qrels: Files of judgements by language of the queries.
        pairs: Files of judgements for one language of queries and one of documents.
    """

    folder: Path
    corpus: dict[str | None, Path] = field(default_factory=dict)
    queries: dict[str | None, Path] = field(default_factory=dict)
    qrels: dict[str | None, Path] = field(default_factory=dict)
    pairs: dict[tuple[str, str], Path] = field(default_factory=dict)


def scan(folder: Path) -> Folder:
    """Find the files of a retrieval set.

    Args:
        folder: The folder, which may have BEIR's subfolder ``qrels``.

    Returns:
        The files by kind and language.

    Raises:
        InputError: There is no such folder, a kind is missing, or there are two files of one kind and language.
    """
    if not folder.is_dir():
        raise InputError("there is no such folder", "give the folder of a retrieval set", path=folder)
    found = Folder(folder)
    for path in sorted(folder.iterdir()):
        match = _TEXTS.fullmatch(path.name) or _QRELS.fullmatch(path.name)
        pair = _PAIR.fullmatch(match["tag"] or "") if match and match[1] == "qrels" else None
        if match and pair:
            found.pairs[normalize(pair[1]), normalize(pair[2])] = path
        elif match:
            _add(getattr(found, match[1]), path, match["tag"])
    beir = folder / "qrels" / "test.tsv"
    if None not in found.qrels and beir.is_file():
        found.qrels[None] = beir
    found_kinds = {"corpus": found.corpus, "queries": found.queries, "qrels": found.qrels or found.pairs}
    missing = [kind for kind, files in found_kinds.items() if not files]
    if missing:
        raise InputError(
            f"the folder is not a retrieval set: there is no {' and no '.join(missing)} file",
            "a set has corpus[.<language>].jsonl, queries[.<language>].jsonl and qrels[.<language>].trec or .tsv, "
            "the first two also with .gz",
            path=folder,
        )
    return found


def _add(files: dict[str | None, Path], path: Path, tag: str | None) -> None:
    if tag is None or tag.casefold() == _SHARED_TAG:
        language = None
    else:
        try:
            language = normalize(tag)
        except UnknownLanguageError as error:
            logger.warning("%s is not read: %s", path, error.problem)
            return
    if language in files:
        raise InputError(f"{files[language].name} is for the same language", "keep one of the two", path=path)
    files[language] = path
