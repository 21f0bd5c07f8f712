"""Upload of a publication folder to a repository on the Hub."""

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
    """Upload a folder that :func:`~hf_optical.publishing.publish.build` wrote to a repository on the Hub.

    The token is read from the environment (``HF_TOKEN``) or the stored login, and from nowhere else. Unchanged files
    are not sent again. Files of an earlier publication that are missing in this one are deleted; all other files of
    the repository are left alone.

    Args:
        folder: The folder to upload.
        repo_id: Hub id of the repository, ``owner/name``; it is created if missing.
        private: Whether a new repository is private; an existing one keeps its setting.
        revision: An existing branch, in place of ``main``.

    Returns:
        The URL of the repository.

    Raises:
        InputError: The token is missing or refused, the revision does not exist, or the folder was not built for
            publication.
        HFOpticalError: The Hub could not be reached, has no room, or the upload broke off. Calling it again continues
            the upload.
    """
    folder = Path(folder)
    if not (folder / PROVENANCE_FILE).is_file():
        raise InputError("the folder was not built for publication", "build it first (--dry_run)", path=folder)
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
    """Create a repository if it is missing, and provide the Hub's client with its errors translated.

    Args:
        repo_id: Hub id, ``owner/name``.
        kind: ``"model"`` or ``"dataset"``.
        private: Whether a new repository is private; an existing one keeps its setting.
        revision: Branch that error messages name.

    Yields:
        The client.

    Raises:
        InputError: The token is missing or refused, or the revision does not exist.
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
    """List the files that an earlier publication uploaded and this one does not have."""
    from huggingface_hub.errors import EntryNotFoundError

    try:
        path = api.hf_hub_download(repo_id, PROVENANCE_FILE, revision=revision)
        before = json.loads(Path(path).read_text(encoding="utf-8")).get("files", {})
    except (EntryNotFoundError, ValueError):
        return []
    return [name for name in before if not (folder / name).is_file()]
