"""Bring a repository on the Hub to the state of a folder."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_optical.errors import InputError
from hf_optical.publishing.hub_errors import hub_errors
from hf_optical.publishing.layout import PROVENANCE_FILE, check_layout

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def push(folder: str | Path, repo_id: str, *, private: bool = True, revision: str | None = None) -> str:
    """Bring a repository on the Hub to the state of a folder that :func:`~hf_optical.publishing.publish.build` made.

    The token comes from the environment (``HF_TOKEN``) or the login, and from nowhere else. Files that have not changed
    are not sent again; files of an earlier publication that this one does not have are removed; any other file there is
    left alone.

    Args:
        folder: The folder.
        repo_id: ``owner/name``.
        private: Of a new repository; one that exists stays as it is.
        revision: An existing branch, in place of ``main``.

    Returns:
        The URL of the repository.

    Raises:
        InputError: No token, a wrong one, no such revision, a folder of something else.
        HFOpticalError: The Hub could not be reached, has no room, or the upload broke off: run again to go on.
    """
    folder = Path(folder)
    if not (folder / PROVENANCE_FILE).is_file():
        raise InputError("is no folder that was built for publication", "build it first (--dry_run)", path=folder)
    check_layout(folder)
    with repository(repo_id, private=private, revision=revision) as api:
        stale = _stale(api, repo_id, revision, folder)
        api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            revision=revision,
            commit_message="Publish with hf-optical",
            delete_patterns=[glob.escape(name) for name in stale] or None,
        )
    return f"{api.endpoint}/{repo_id}"


@contextmanager
def repository(
    repo_id: str, *, kind: str = "model", private: bool = True, revision: str | None = None
) -> Iterator[HfApi]:
    """The Hub's client, for a repository that exists now; what it raises becomes an error that says what to do.

    Args:
        repo_id: ``owner/name``.
        kind: ``"model"`` or ``"dataset"``.
        private: Of a new repository; one that exists stays as it is.
        revision: For the messages.

    Raises:
        InputError: No token, a wrong one, no such revision.
        HFOpticalError: The Hub could not be reached, or has no room.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import LocalTokenNotFoundError

    with hub_errors(repo_id, revision):
        if get_token() is None:
            raise LocalTokenNotFoundError("no token")
        api = HfApi()
        api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True)
        yield api


def _stale(api: Any, repo_id: str, revision: str | None, folder: Path) -> list[str]:
    """Files that an earlier publication wrote and this one does not have."""
    from huggingface_hub.errors import EntryNotFoundError

    try:
        path = api.hf_hub_download(repo_id, PROVENANCE_FILE, revision=revision)
        before = json.loads(Path(path).read_text(encoding="utf-8")).get("files", {})
    except (EntryNotFoundError, ValueError):
        return []
    return [name for name in before if not (folder / name).is_file()]
