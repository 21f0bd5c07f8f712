"""Encoding of texts of several languages in mixed batches, each text through its own adapter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sentence_transformers.base.model import BaseModel

from hf_optical.adapters.rows import ROW_KEY, row_numbers
from hf_optical.errors import InputError

if TYPE_CHECKING:
    from hf_optical.adapters.language_adapters import LanguageAdapters
    from hf_optical.adapters.resolving import Policy
    from hf_optical.adapters.routing import LanguageRouter

# A lock, because the adapters of a forward pass and the hook on preprocessing below are stored on the model.
_ONE_AT_A_TIME = threading.RLock()


class _Text(str):
    """Text that carries the name of its adapter while sentence-transformers sorts texts by length."""

    adapter: str | None


def encode_languages(
    adapters: LanguageAdapters,
    encode: Callable[..., Any],
    texts: Sequence[str] | str,
    languages: Sequence[str | None] | str | None,
    *,
    policy: Policy = "base",
    router: LanguageRouter | None = None,
    **options: Any,
) -> Any:
    """Implement :meth:`LanguageAdapters.encode` with a method of sentence-transformers.

    Args:
        adapters: Adapters of the model.
        encode: The model's ``encode``, ``encode_query`` or ``encode_document``.
        texts: As in :meth:`LanguageAdapters.encode`.
        languages: As in :meth:`LanguageAdapters.encode`.
        policy: As in :meth:`LanguageAdapters.resolve`.
        router: Router for ``languages="auto"``; a :class:`LanguageRouter` with its defaults if ``None``.
        options: Options of ``encode``.

    Returns:
        The result of ``encode``; one vector if ``texts`` is a single string.

    Raises:
        InputError: There are not as many languages as texts, or a text is not a string.
        UnknownLanguageError: A language is unknown, or lacks an adapter under the policy ``"error"``.
    """
    single = isinstance(texts, str)
    texts = [texts] if isinstance(texts, str) else list(texts)
    names: list[str | None]
    if isinstance(languages, str) and languages == "auto":
        adapters.last_routing = adapters.route(texts, router=router, policy=policy)
        names = list(adapters.last_routing.adapters)
    else:
        given = [languages] * len(texts) if languages is None or isinstance(languages, str) else list(languages)
        if len(given) != len(texts):
            raise InputError(
                f"{len(given)} languages are given for {len(texts)} texts",
                "give one language for each text",
                field="languages",
            )
        found = {language: adapters.resolve(language, policy) for language in set(given)}
        names = [found[language] for language in given]
    vectors = _encode_rows(adapters.model, encode, texts, names, options)
    return vectors[0] if single else vectors


def _encode_rows(
    model: BaseModel, encode: Callable[..., Any], texts: Sequence[str], names: Sequence[str | None], options: Any
) -> Any:
    """Encode every text through the adapter of its row.

    Sentence-transformers sorts the texts, batches them and restores their order as usual. Its batches mix adapters,
    which is faster than a batch for each language, because small batches use the hardware badly.

    Args:
        model: The model, whose ``preprocess`` tokenizes a batch.
        encode: ``model.encode``, ``model.encode_query`` or ``model.encode_document``.
        texts: The texts.
        names: The adapter of each text, or ``None`` for the base.
        options: Options of ``encode``.

    Raises:
        InputError: A text is not a string, or several processes are requested.
    """
    if options.get("pool") is not None or isinstance(options.get("device"), (list, tuple)):
        raise InputError(
            "several processes cannot encode through language adapters, because they do not receive the languages",
            "encode on one device, without pool",
            field="pool",
        )
    tagged = []
    for row, (text, name) in enumerate(zip(texts, names, strict=True), start=1):
        if not isinstance(text, str):
            raise InputError(f"found a {type(text).__name__} where a text is expected", "give strings", row=row)
        one = _Text(text)
        one.adapter = name
        tagged.append(one)
    with _ONE_AT_A_TIME:
        preprocess = model.preprocess

        def with_rows(inputs: Sequence[Any], *args: Any, **more: Any) -> dict[str, Any]:
            features = preprocess([str(text) for text in inputs], *args, **more)
            return {**features, ROW_KEY: row_numbers([text.adapter for text in inputs])}

        model.preprocess = with_rows  # type: ignore[method-assign]
        try:
            return encode(tagged, **options)
        finally:
            del model.preprocess
