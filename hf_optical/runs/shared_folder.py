"""Folder shared by several runs: grown students and document vectors, each made once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_optical.errors import InputError
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.places import whole_folder
from hf_optical.results.files import plain


class SharedFolder:
    """A folder in which runs keep, and find, what does not depend on how they train.

    Both are named by a digest of everything that decides them, so that a run with other data or options makes its own,
    and written beside and moved into place, so that a killed run leaves nothing half.

    Args:
        folder: Where; made if missing. ``None``: nothing is kept, and documents are encoded once per run.

    Raises:
        InputError: The folder cannot be made.
    """

    def __init__(self, folder: str | None) -> None:
        self._folder = Path(folder) if folder else None
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"the folder cannot be made ({error.strerror})", "name another one", path=folder, field="shared"
                ) from error

    def documents(self) -> DocumentCache:
        """The vectors of documents by content; in memory where there is no folder."""
        return DocumentCache(self._folder / "documents" if self._folder is not None else None)

    def student(self, decisive: Mapping[str, Any]) -> Path | None:
        """The student of a run that started from the same, if one is kept.

        Args:
            decisive: Everything that decides the student: options, seed, hashes of the data and the teacher.
        """
        place = self._place(decisive)
        return place if place is not None and place.is_dir() else None

    def keep_student(self, student: Any, decisive: Mapping[str, Any]) -> None:
        """Save a student for others; without a folder, or where one is kept already, do nothing."""
        place = self._place(decisive)
        if place is None or place.is_dir():
            return
        with whole_folder(place, keep_first=True) as scratch:  # another run may be first with the same student
            student.save_pretrained(str(scratch))

    def _place(self, decisive: Mapping[str, Any]) -> Path | None:
        if self._folder is None:
            return None
        text = json.dumps(plain(dict(decisive)), sort_keys=True)
        return self._folder / "students" / hashlib.sha256(text.encode()).hexdigest()[:32]
