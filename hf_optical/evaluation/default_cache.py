"""The user's cache of document vectors, which commands use unless another folder is given."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from huggingface_hub.constants import HF_HOME

from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.places import user_path

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "HF_OPTICAL_CACHE"
_MOST_BYTES = 5 * 10**9


def default_cache() -> DocumentCache:
    """Open the cache of document vectors that training, evaluation and search use unless another folder is given.

    It is ``hf_optical/documents`` in the cache folder of Hugging Face (``HF_HOME``), or ``documents`` in the folder
    that ``HF_OPTICAL_CACHE`` names; ``HF_OPTICAL_CACHE=off`` keeps nothing on disk. Above five gigabytes, the vectors
    that were not used for longest are deleted. Where the folder cannot be written, vectors are kept in memory, with a
    warning.
    """
    place = os.environ.get(CACHE_VARIABLE) or str(Path(HF_HOME) / "hf_optical")
    if place.lower() == "off":
        return DocumentCache()
    folder = user_path(place) / "documents"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        logger.warning(
            "%s cannot be written (%s): document vectors are not kept; set %s to another folder, or to off",
            folder,
            error.strerror,
            CACHE_VARIABLE,
        )
        return DocumentCache()
    return DocumentCache(folder, most_bytes=_MOST_BYTES)
