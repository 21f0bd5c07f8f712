"""Provenance of a published model: id, revision and hash of the teacher; licences and origins of the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_optical.data.fingerprint import file_fingerprint
from hf_optical.data.licences import licence_counts
from hf_optical.encoders.packaged import hub_id_of_files, packaged_teacher
from hf_optical.errors import InputError
from hf_optical.places import user_path

YOUR_TEACHER = "path/to/your/teacher"
"""Stands in examples for a teacher that is a folder of whoever trained the model."""


@dataclass(frozen=True)
class Teacher:
    """Teacher, the model whose index is searched.

    Args:
        id: Hub id, or the last part of the path of a folder.
        revision: Commit on the Hub.
        sha256: Hash of its files, if the run was given a local folder.
        hub_id: Its Hub id if it has one, for the card's ``base_model``.
        vectors_only: Whether the student was trained without the model, on vectors of its index alone; ``id`` is then
            the name of the index.
    """

    id: str
    revision: str | None = None
    sha256: str | None = None
    hub_id: str | None = None
    vectors_only: bool = False

    @property
    def label(self) -> str:
        """Name for the card's text, with a link if the teacher is on the Hub."""
        if self.vectors_only and not self.hub_id:
            return f"the index `{self.id}`, of whose model only the vectors were available"
        if self.hub_id:
            return f"[{self.id}](https://huggingface.co/{self.hub_id})"
        return f"`{self.id}` (a folder of the publisher)"

    @property
    def place(self) -> str:
        """Hub id, or a path that nobody takes for one of a folder, for examples: ``model`` may be the student's own."""
        return self.hub_id or YOUR_TEACHER


def bitext_of(config: Mapping[str, Any]) -> list[str]:
    """Return the bitext files of a run as its options name them: ``FILE`` or ``CODE=FILE``."""
    given = config.get("bitext") or []
    return [given] if isinstance(given, str) else list(given)


def teacher_record(name_or_path: str) -> dict[str, Any]:
    """Return the entry of ``results.json`` about a teacher, which records whether it was a folder or a Hub id.

    The name alone would not tell: a relative path such as ``models/mini`` has the form of a Hub id.

    Args:
        name_or_path: The teacher as given to the training recipe.

    Returns:
        ``{"hub_id": ...}``, or ``folder`` and ``sha256`` of a local folder.
    """
    if not user_path(name_or_path).is_dir():
        return {"hub_id": name_or_path}
    return {"folder": user_path(name_or_path).resolve().name, "sha256": file_fingerprint(name_or_path)["sha256"]}


def index_record(source: str) -> dict[str, Any]:
    """Return the entry of ``results.json`` about a teacher of which only vectors are available.

    Args:
        source: The index: a folder, a file, or ``LOCATION#COLLECTION``.

    Example:
        >>> index_record("data/index.parquet"), index_record("http://host:6333#documents")
        ({'index': 'index.parquet'}, {'index': 'documents'})
    """
    return {"index": source.rpartition("#")[2] if "#" in source else Path(source).name}


def find_teacher(
    name_or_path: str,
    *,
    hub_id: str | None = None,
    revision: str | None = None,
    record: Mapping[str, Any] | None = None,
) -> Teacher:
    """Find id, revision and hash of a teacher without using the network.

    Args:
        name_or_path: The teacher as given to the training recipe.
        hub_id: Its Hub id, if the recipe was given a folder whose files are not known.
        revision: Its commit; by default looked up in the local cache of the Hub.
        record: The entry of ``results.json`` about it (:func:`teacher_record`). Runs of old versions have none; a name
            without an owner is then taken for a folder.

    Returns:
        The teacher.

    Raises:
        InputError: The id is not of the form ``name`` or ``owner/name``.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    folder, record = Path(name_or_path), record or {}
    if "index" in record:
        return Teacher(id=hub_id or record["index"], revision=revision, hub_id=hub_id, vectors_only=True)
    sha256 = record.get("sha256") or (file_fingerprint(folder)["sha256"] if folder.is_dir() else None)
    was_folder = "folder" in record or folder.exists() or not _looks_like_id(name_or_path)
    found = hub_id or record.get("hub_id") or hub_id_of_files(sha256) or (None if was_folder else name_or_path)
    if found and revision is None:
        try:
            cached = try_to_load_from_cache(found, "modules.json")
        except HFValidationError as error:
            raise InputError(f"{found!r} is not a Hub id ({error})", "write owner/name", field="teacher_id") from None
        if isinstance(cached, str):
            revision = Path(cached).parent.name
    return Teacher(
        id=found or record.get("folder") or folder.resolve().name, revision=revision, sha256=sha256, hub_id=found
    )


def teacher_folder(name_or_path: str, sha256: str | None) -> Path | None:
    """Return a folder of this machine that holds a run's teacher, unchanged; ``None`` if there is none.

    Args:
        name_or_path: The teacher as ``results.json`` names it; a folder outside of the working directory has lost its
            place there, and its name may be that of another folder.
        sha256: Hash of its files.
    """
    places = [user_path(name_or_path), packaged_teacher()]
    found = [place for place in places if place is not None and place.is_dir()]
    return next((place for place in found if file_fingerprint(place)["sha256"] == sha256), None)


def _looks_like_id(name: str) -> bool:
    return not name.startswith((".", "/", "~")) and name.count("/") == 1


def data_provenance(entries: Sequence[Mapping[str, Any]], places: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Add licences and origins, with counts of rows, to the entries of ``results.json`` about the data.

    Args:
        entries: Entries with ``path``, ``rows``, ``sha256``, and ``licences`` and ``origin`` if the run counted them.
        places: Where the files are now, for older runs. A file is read only if its hash is that of an entry.

    Returns:
        The entries, with ``licences`` and ``origin`` added if the file has such columns.
    """
    known: dict[str, Path] = {}
    for place in map(Path, places):
        if place.is_file():
            known[file_fingerprint(place)["sha256"]] = place
    files = [known.get(str(entry.get("sha256"))) for entry in entries]
    return [{**entry, **(licence_counts(file) if file else {})} for entry, file in zip(entries, files, strict=True)]


def non_commercial(data: Sequence[Mapping[str, Any]]) -> str:
    """List the non-commercial licences of the data with their rows, as text that is empty if there are none.

    Example:
        >>> non_commercial([{"licences": {"CC-BY-NC-4.0": 1200, "CC-BY-4.0": 3}}])
        'CC-BY-NC-4.0: 1,200 rows'
    """
    counts: Counter[str] = Counter()
    for entry in data:
        licences = entry.get("licences")
        if isinstance(licences, Mapping):
            counts.update({name: rows for name, rows in licences.items() if "-NC" in name.upper()})
    return ", ".join(f"{name}: {rows:,} rows" for name, rows in counts.most_common())
