"""Loading of an encoder with the adapter of one language switched on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from hf_optical.adapters.repositories import FOLDER, Repository, open_repository
from hf_optical.data.languages import UnknownLanguageError, normalize
from hf_optical.encoders.models import load_encoder
from hf_optical.places import user_path

logger = logging.getLogger(__name__)


def query_encoder(source: str | Path, adapter: str | None = None, *, required: bool = True) -> Any:
    """Load an encoder with the adapter of a language.

    The result is a model of sentence-transformers that encodes all texts through that adapter, documents too. For
    several languages at a time see :func:`~hf_optical.adapters.files.load_all`.

    Args:
        source: Folder or Hub id of a model.
        adapter: Language of the adapter, any code; ``None`` for the base without an adapter.
        required: Whether a missing adapter is an error; if not, the base is returned.

    Returns:
        A ``SentenceTransformer`` or ``MultiVectorEncoder``.

    Raises:
        InputError: There is no such model, or its files are damaged.
        UnknownLanguageError: There is no such language, or no adapter for it.
    """
    source = str(user_path(source))
    model: Any = load_encoder(source)
    if adapter is None:
        if languages := Repository(Path(source), {}).languages:
            logger.warning(
                "%s has adapters for %s; none is used, because no language is given", source, ", ".join(languages)
            )
        return model
    code = normalize(adapter)
    languages = open_repository(source, languages=[code]).languages
    if code in languages:
        model.load_adapter(source, adapter_kwargs={"subfolder": f"{FOLDER}/{code}"})
        return model.eval()
    if required:
        raise UnknownLanguageError(
            f"{source}: there is no adapter for {code}; there are: {', '.join(languages) or 'none'}",
            "check the folder and the language",
        )
    return model
