"""Encoder with one language's adapter switched on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from hf_optical.adapters.files import FOLDER, Repository, open_repository
from hf_optical.data.languages import UnknownLanguageError, normalize
from hf_optical.encoders.models import load_encoder

logger = logging.getLogger(__name__)


def query_encoder(source: str | Path, adapter: str | None = None, *, required: bool = True) -> Any:
    """Load an encoder, with the adapter of a language where it has one.

    It is a model of sentence-transformers that reads everything through that adapter, documents too. For several
    languages at a time see :func:`~hf_optical.adapters.files.load_all`.

    Args:
        source: Folder or Hub id of a model.
        adapter: Language of the adapter; the model as it is when ``None``.
        required: Whether a model without this adapter is an error; else it is returned as it is.

    Returns:
        A ``SentenceTransformer`` or ``MultiVectorEncoder``.

    Raises:
        InputError: No such model, or damaged files.
        UnknownLanguageError: No such language, or no adapter for it.
    """
    model: Any = load_encoder(str(source))
    if adapter is None:
        if languages := Repository(Path(source), {}).languages:
            logger.warning("%s has adapters for %s; none is used: its base reads", source, ", ".join(languages))
        return model
    code = normalize(adapter)
    languages = open_repository(source, languages=[code]).languages
    if code in languages:
        model.load_adapter(str(source), adapter_kwargs={"subfolder": f"{FOLDER}/{code}"})
        return model.eval()
    if required:
        raise UnknownLanguageError(
            f"{source}: there is no adapter for {code}; there are: {', '.join(languages) or 'none'}",
            "check the folder and the language",
        )
    return model
