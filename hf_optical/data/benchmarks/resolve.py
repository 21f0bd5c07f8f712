"""Resolution of a user's reference (folder, published set, MTEB task, Hub id) to a folder in the project's layout."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_optical.data.benchmarks.contexts import read_contexts
from hf_optical.data.benchmarks.folder import Collected, write_folder
from hf_optical.data.benchmarks.origin import Origin, cache_folder, state_of
from hf_optical.data.benchmarks.sets import SETS, LiteratureSet
from hf_optical.data.benchmarks.topics import read_clirmatrix, read_topics
from hf_optical.data.languages import ENGLISH, normalize
from hf_optical.errors import InputError
from hf_optical.places import user_path

__all__ = ["Reference", "cache_folder", "parse_reference", "retrieval_folder"]

logger = logging.getLogger(__name__)

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_FORM = "NAME, NAME:LANGUAGES or NAME:LANGUAGES:SPLIT (languages joined by +), and @FOLDER for a local copy"


@dataclass(frozen=True)
class Reference:
    """Parsed reference to a set: ``name:part:split@copy``.

    Args:
        name: A name in :data:`~hf_optical.data.benchmarks.sets.SETS`, ``mteb``, or a Hub id.
        parts: The parts behind the name, which are separated by colons.
        copy: Folder with a local copy of the published files, or ``None``.
    """

    name: str
    parts: tuple[str, ...] = ()
    copy: Path | None = None


def parse_reference(text: str) -> Reference:
    """Parse a reference.

    Example:
        >>> parse_reference("belebele:swh_Latn+som_Latn@copies/belebele").parts
        ('swh_Latn+som_Latn',)
    """
    reference, _, copy = text.partition("@")
    name, *parts = reference.split(":")
    return Reference(name, tuple(parts), user_path(copy) if copy else None)


def retrieval_folder(source: str | Path, *, cache: str | Path | None = None) -> Path:
    """Return the folder of a retrieval set in the project's layout, which is created in a cache if necessary.

    Args:
        source: An existing folder, which has precedence; a published set such as ``xquad_r``, ``belebele:swh_Latn``,
            ``miracl:sw:dev``, ``clirmatrix:sw-en`` or ``ciral:so@FOLDER`` (with a local copy of the published files);
            an MTEB task ``mteb:TASK`` or ``mteb:TASK:SUBSET``; or a Hub id in BEIR's layout, ``owner/name`` or
            ``owner/name:LANGUAGES``.
        cache: Folder for sets in the project's layout. By default it is beside the Hub's cache.

    Returns:
        The folder. A ``source`` that is not a reference is returned as a path, so that its reader reports what is
        missing.

    Raises:
        InputError: The set does not have a language, a part of the reference is missing, or the source cannot be
            downloaded; the message explains how to use a local copy.
    """
    if isinstance(source, Path) or user_path(source).is_dir():
        return user_path(source)
    found = parse_reference(source)
    place = Path(cache) if cache is not None else cache_folder()
    if found.name in SETS:
        return _published(SETS[found.name], found, place)
    if found.name == "mteb":
        from hf_optical.data.benchmarks.mteb_task import mteb_folder

        return mteb_folder(found, place)
    if _HUB_ID.fullmatch(found.name) and not found.name.startswith("."):
        from hf_optical.data.benchmarks.hub import hub_folder

        return hub_folder(found, place)
    return user_path(source)


def cached_place(cache: Path, reference: Reference, *details: str) -> Path:
    """Return the folder of a reference in the cache, which for a local copy depends on the state of its files."""
    name = "-".join(part for part in (reference.name.replace("/", "--"), *details) if part)
    name = re.sub(r"[^\w.+-]", "_", name)
    if reference.copy is None:
        return cache / name
    return cache / state_of(reference.copy) / name


def _published(item: LiteratureSet, found: Reference, cache: Path) -> Path:
    """Return the folder of a published set, which is converted if it is not in the cache."""
    if len(found.parts) > 2:
        raise InputError(f"found {len(found.parts)} parts behind the name", f"write {_FORM}", path=item.name)
    given = found.parts[0] if found.parts else ""
    split = found.parts[1] if len(found.parts) > 1 else item.split
    languages = _pair(item, given) if item.shape == "clirmatrix" else _languages(item, given)
    origin = Origin(item.name, found.copy)
    wanted = "all" if tuple(languages) == item.default_languages else "+".join(languages)
    place = cached_place(cache, found, wanted, "" if split == item.split else split)
    if place.is_dir():
        return place
    reader = {"contexts": read_contexts, "topics": read_topics, "clirmatrix": read_clirmatrix}[item.shape]
    collected: Collected = reader(item, languages, split, origin)
    about = {
        "name": item.name,
        "languages": languages,
        "split": split,
        "licence": item.licence,
        "citation": item.citation,
        "page": item.page,
    }
    logger.warning("%s: the licence is %s; please cite %s", item.name, item.licence, item.citation)
    return write_folder(collected, place, about)


def _languages(item: LiteratureSet, given: str) -> list[str]:
    """Return the sorted FLORES codes of the languages of a reference, or the set's default."""
    languages = [normalize(code) for code in given.split("+") if code] or list(item.default_languages)
    unknown = [code for code in languages if item.languages and code not in item.languages]
    if not languages or unknown:
        offered = ", ".join(item.languages) or "the languages of its documents, as FLORES codes"
        problem = f"{item.name} has no {', '.join(unknown)}" if unknown else "no language is given"
        raise InputError(f"{problem}; it has {offered}", f"write {item.name}:LANGUAGE", path=item.name)
    if item.parallel and ENGLISH not in languages:
        languages.append(ENGLISH)
    if not item.parallel and item.asked != "own" and len(languages) > 1:
        problem = f"found {len(languages)} languages, but each has its own queries"
        raise InputError(problem, f"give several sets: {item.name}:{languages[0]} ...", path=item.name)
    return sorted(set(languages))


def _pair(item: LiteratureSet, given: str) -> Sequence[str]:
    """Return the FLORES codes of queries and documents of a reference to CLIRMatrix."""
    codes = given.split("-")
    if len(codes) != 2:
        raise InputError(
            f"found {given!r} where a pair of languages is expected",
            f"write {item.name}:QUERIES-DOCUMENTS, e.g. {item.name}:sw-en",
            path=item.name,
        )
    return [normalize(code) for code in codes]
