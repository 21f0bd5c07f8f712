"""Folder shared by several runs: grown students and document vectors, each made once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_optical.errors import InputError
from hf_optical.evaluation.default_cache import default_cache
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.places import whole_folder
from hf_optical.results.files import plain


class SharedFolder:
    """Folder in which runs keep and find everything that does not depend on their training.

    Entries are named by a digest of everything that determines them, so that a run with other data or options makes its
    own. They are written to a temporary place and then moved, so that a killed run leaves no partial files.

    Args:
        folder: The folder; it is created if missing. With ``None`` grown students are not kept, and vectors of
            documents are kept in the user's cache.

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
                    f"the folder cannot be made ({error.strerror})", "name another folder", path=folder, field="shared"
                ) from error

    def documents(self) -> DocumentCache:
        """Return the cache of document vectors by content; the user's cache if there is no folder."""
        return DocumentCache(self._folder / "documents") if self._folder is not None else default_cache()

    def sentences(self) -> DocumentCache:
        """Return the cache of vectors of training sentences; in memory if there is no folder."""
        return DocumentCache(self._folder / "documents" if self._folder is not None else None)

    def student(self, decisive: Mapping[str, Any]) -> Path | None:
        """Return the kept student with the same starting conditions, if there is one.

        Args:
            decisive: Everything that determines the student: options, seed, hashes of data and teacher.
        """
        place = self._place(decisive)
        return place if place is not None and place.is_dir() else None

    def keep_student(self, student: Any, decisive: Mapping[str, Any]) -> None:
        """Save a student for other runs; do nothing without a folder or if it is kept already."""
        place = self._place(decisive)
        if place is None or place.is_dir():
            return
        with whole_folder(place, keep_first=True) as scratch:  # another run may have saved the same student meanwhile
            student.save_pretrained(str(scratch))

    def _place(self, decisive: Mapping[str, Any]) -> Path | None:
        if self._folder is None:
            return None
        text = json.dumps(plain(dict(decisive)), sort_keys=True)
        return self._folder / "students" / hashlib.sha256(text.encode()).hexdigest()[:32]
