"""Encode texts that each have an adapter of their own, in mixed batches, order kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sentence_transformers.base.model import BaseModel

from hf_optical.adapters.rows import ROW_KEY, row_numbers
from hf_optical.errors import InputError

if TYPE_CHECKING:
    from hf_optical.adapters.language_adapters import LanguageAdapters, Policy
    from hf_optical.adapters.routing import LanguageRouter

# The adapters of a forward pass are kept on the model, and the hook below on its preprocessing.
_ONE_AT_A_TIME = threading.RLock()


class _Text(str):
    """A text that keeps its adapter while sentence-transformers sorts texts by length."""

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
    """Implement :meth:`LanguageAdapters.encode` with sentence-transformers' method."""
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
                f"{len(given)} languages for {len(texts)} texts", "give one for each text", field="languages"
            )
        found = {language: adapters.resolve(language, policy) for language in set(given)}
        names = [found[language] for language in given]
    vectors = _encode_rows(adapters.model, encode, texts, names, options)
    return vectors[0] if single else vectors


def _encode_rows(
    model: BaseModel, encode: Callable[..., Any], texts: Sequence[str], names: Sequence[str | None], options: Any
) -> Any:
    """Encode texts, each through the adapter named beside it.

    Sentence-transformers sorts, batches and restores the order as usual; its batches mix adapters, which costs less
    than a batch for each language (a forward pass of few texts is a slow one).

    Args:
        model: Its ``preprocess`` makes the features of a batch.
        encode: ``model.encode``, or ``encode_query``, ``encode_document``.
        texts: The texts.
        names: For each an adapter, or ``None`` for the base.
        options: Options of sentence-transformers' method.

    Raises:
        InputError: Something is no text, or several processes are asked for.
    """
    if options.get("pool") is not None or isinstance(options.get("device"), (list, tuple)):
        raise InputError(
            "encoding in several processes does not know the language of a text", "encode on one device", field="pool"
        )
    tagged = []
    for row, (text, name) in enumerate(zip(texts, names, strict=True), start=1):
        if not isinstance(text, str):
            raise InputError(f"{type(text).__name__} is not a text", "give strings", row=row)
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
