"""Provenance of a published model: the teacher's id, revision and hash; licences and origins of its data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_optical.data.fingerprint import file_fingerprint
from hf_optical.data.tables import FORMATS, Fault, file_format, read_records
from hf_optical.errors import InputError
from hf_optical.places import user_path

_LICENCE_COLUMNS = ("license", "licence")
_ORIGIN_COLUMNS = ("origin", "source")
_MOST_ORIGINS = 100  # more different values than that are texts, not names of collections


@dataclass(frozen=True)
class Teacher:
    """The model whose index is searched.

    Args:
        id: Hub id, or of a folder its last part.
        revision: Commit on the Hub.
        sha256: Hash of its files, where it is a local folder.
        hub_id: The same id if it is one of the Hub, for the card's ``base_model``.
        vectors_only: The model was out of reach; the student was trained on its index alone, whose name ``id`` is.
    """

    id: str
    revision: str | None = None
    sha256: str | None = None
    hub_id: str | None = None
    vectors_only: bool = False

    @property
    def label(self) -> str:
        """For text: a link where there is something to link to."""
        if self.vectors_only and not self.hub_id:
            return f"the index `{self.id}`, of whose model only the vectors were at hand"
        if self.hub_id:
            return f"[{self.id}](https://huggingface.co/{self.hub_id})"
        return f"`{self.id}` (a folder of the publisher)"

    @property
    def place(self) -> str:
        """What the card's example loads: an id that everybody has, or a place that nobody takes for one."""
        return self.hub_id or f"path/to/{self.id}"


def bitext_of(config: Mapping[str, Any]) -> list[str]:
    """The bitext files of a run, as its options name them: ``FILE`` or ``CODE=FILE``."""
    given = config.get("bitext") or []
    return [given] if isinstance(given, str) else list(given)


def teacher_record(name_or_path: str) -> dict[str, Any]:
    """What ``results.json`` keeps of a teacher: whether it was a folder, for its last part may look like an id.

    Args:
        name_or_path: As the training recipe was given it.
    """
    if not user_path(name_or_path).is_dir():
        return {"hub_id": name_or_path}
    return {"folder": user_path(name_or_path).resolve().name, "sha256": file_fingerprint(name_or_path)["sha256"]}


def index_record(source: str) -> dict[str, Any]:
    """What ``results.json`` keeps of a teacher of which there are vectors only.

    Args:
        source: Where its index is: a folder, a file, or ``LOCATION#COLLECTION``.

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
    """Find id, revision and hash of a teacher without a network.

    Args:
        name_or_path: As the training recipe was given it.
        hub_id: Its Hub id, where a folder was given.
        revision: Its commit; found in the local cache of the Hub if not given.
        record: What the run says of it (:func:`teacher_record`); runs of old versions say nothing, and a name without
            an owner is then taken for a folder.

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
    found = hub_id or record.get("hub_id") or (None if was_folder else name_or_path)
    if found and revision is None:
        try:
            cached = try_to_load_from_cache(found, "modules.json")
        except HFValidationError as error:
            raise InputError(f"{found!r} is no Hub id ({error})", "write owner/name", field="teacher_id") from None
        if isinstance(cached, str):
            revision = Path(cached).parent.name
    return Teacher(
        id=found or record.get("folder") or folder.resolve().name, revision=revision, sha256=sha256, hub_id=found
    )


def _looks_like_id(name: str) -> bool:
    return not name.startswith((".", "/", "~")) and name.count("/") == 1


def data_provenance(entries: Sequence[Mapping[str, Any]], places: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Add licences and origins, with counts of rows, to what ``results.json`` says of the data.

    Args:
        entries: ``path``, ``rows``, ``sha256``.
        places: Where the files are now; only a file with the recorded hash is looked into.

    Returns:
        The entries; with ``licences`` and ``origin`` where the file has such columns.
    """
    known: dict[str, Path] = {}
    for place in map(Path, places):
        if place.is_file() and place.suffix.removesuffix(".gz") in (*FORMATS, ""):
            known[file_fingerprint(place)["sha256"]] = place
    out = []
    for entry in entries:
        extra: dict[str, Any] = {}
        if file := known.get(str(entry.get("sha256"))):
            extra = {
                "licences": column_counts(file, _LICENCE_COLUMNS),
                "origin": column_counts(file, _ORIGIN_COLUMNS),
            }
        out.append({**entry, **{name: value for name, value in extra.items() if value}})
    return out


def column_counts(path: Path, names: Sequence[str]) -> dict[str, int] | None:
    """Count the values of a column; ``None`` if there is no such column, or it holds texts."""
    file_format(path)
    records = read_records(path)
    column = next((name for name in names if name in records.columns), None)
    if column is None:
        return None
    counts: Counter[str] = Counter()
    for _, row in records.rows:
        if not isinstance(row, Fault):
            counts[str(row.get(column) or "not stated")] += 1
        if len(counts) > _MOST_ORIGINS:
            return None
    return dict(counts.most_common())


def non_commercial(data: Sequence[Mapping[str, Any]]) -> str:
    """The non-commercial licences of the data and their rows, as text; empty if there are none.

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
