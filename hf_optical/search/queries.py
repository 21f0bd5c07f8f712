"""Choice of the query encoder: one for all languages, one per language, or one base with language adapters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from hf_optical.data.languages import normalize
from hf_optical.data.texts import text_fault
from hf_optical.encoders.encoding import (
    Encoder,
    Interaction,
    Vectors,
    encode_texts,
    resolve_interaction,
    token_arrays,
)
from hf_optical.encoders.token_vectors import TokenVectors
from hf_optical.errors import InputError


class QueryEncoders:
    """Encoders of queries into the vector space of the documents, chosen by language.

    Args:
        encoders: One encoder for every language; or a mapping from language codes to encoders, whose key ``None`` has
            the encoder for all other languages and for queries without a language code; or an object that chooses by
            itself, with a method ``encode_query(texts, languages=...)`` or ``encode(texts, languages=...)``, such as
            ``LanguageAdapters``.
        interaction: ``"dense"``, ``"maxsim"``, or ``None`` for that of the encoders.
        batch_size: Texts per forward pass.

    Raises:
        InputError: A language code is unknown, there is no encoder, or the encoders have different interactions.

    Example:
        .. code-block:: python

            QueryEncoders({"swh_Latn": swahili, "som_Latn": somali, None: teacher})
    """

    def __init__(self, encoders: Any, *, interaction: Interaction | None = None, batch_size: int = 32) -> None:
        self.batch_size = batch_size
        self.router = None if isinstance(encoders, Mapping) or _is_encoder(encoders) else encoders
        self.by_language: dict[str | None, Encoder] = {}
        if self.router is None:
            found = encoders if isinstance(encoders, Mapping) else {None: encoders}
            self.by_language = {None if code is None else normalize(code): model for code, model in found.items()}
            if not self.by_language:
                raise InputError("there is no query encoder", "give a model, or models by language", field="encoders")
            kinds = {resolve_interaction(model, interaction) for model in self.by_language.values()}
            if len(kinds) > 1:
                raise InputError(
                    "some query encoders give one vector per text and some one per token",
                    "use encoders of one kind, or set interaction",
                )
            self.interaction: Interaction = kinds.pop()
        else:
            self.interaction = resolve_interaction(self.router.model, interaction)

    def any_encoder(self) -> Any:
        """Return one of the encoders, for facts that are the same for all, such as the similarity."""
        return self.router.model if self.router is not None else next(iter(self.by_language.values()))

    def encode(
        self,
        texts: Sequence[str],
        languages: str | Sequence[str | None] | None = None,
        *,
        content_only: bool = False,
    ) -> Vectors:
        """Encode queries.

        Args:
            texts: The queries.
            languages: Their language code, or one code per query; ``None`` if it is unknown.
            content_only: Whether to leave out token vectors of special tokens and of the prompt.

        Returns:
            ``(n, dimension)`` float32, or token vectors for MaxSim, in the order of the texts.

        Raises:
            InputError: A query is empty (the message names its number), the numbers of languages and texts differ, or
                a language has no encoder.
        """
        _check_query_texts(texts)
        if self.router is not None:
            return _routed(self, list(texts), languages, content_only)
        codes = query_languages(languages, len(texts))
        groups: dict[str | None, list[int]] = {}
        for position, code in enumerate(codes):
            groups.setdefault(code if code in self.by_language else None, []).append(position)
            if code not in self.by_language and None not in self.by_language:
                known = ", ".join(str(name) for name in self.by_language)
                raise InputError(
                    f"there is no query encoder for {code or 'a query without a language'}; there are {known}",
                    "name the language of every query, or give an encoder under None",
                    row=position + 1,
                    field="languages",
                )
        out: list[np.ndarray] = [np.empty(0)] * len(texts)
        for code, positions in groups.items():
            batch = [texts[position] for position in positions]
            model = self.by_language[code]
            how: dict[str, Any] = {"interaction": self.interaction, "batch_size": self.batch_size}
            vectors = encode_texts(model, batch, "query", content_only=content_only, **how)
            for position, vector in zip(positions, vectors, strict=True):
                out[position] = vector
        return _packed(out, self.interaction)


def _check_query_texts(texts: Sequence[str]) -> None:
    """Check that queries are a list of texts that are not empty.

    Raises:
        InputError: A single string is given, or a query is empty, which the message names by its number.
    """
    if isinstance(texts, str):
        raise InputError("one string was given", "pass a list of queries", field="texts")
    for number, text in enumerate(texts, start=1):
        if fault := text_fault(text):
            raise InputError(fault, "remove the query or fill it", row=number, field="texts")


def _is_encoder(value: Any) -> bool:
    from sentence_transformers import MultiVectorEncoder, SentenceTransformer

    return isinstance(value, SentenceTransformer | MultiVectorEncoder)


def query_languages(languages: str | Sequence[str | None] | None, count: int) -> list[str | None]:
    """Return the FLORES code of each query, ``None`` if it is unknown.

    Args:
        languages: One language code for all queries, or one per query.
        count: Number of queries.

    Raises:
        InputError: The number of codes is not that of the queries, or a code is unknown.
    """
    if languages is None or isinstance(languages, str):
        return [normalize(languages) if languages else None] * count
    if len(languages) != count:
        raise InputError(
            f"found {len(languages)} languages for {count} texts", "give one, or one per text", field="languages"
        )
    return [normalize(code) if code else None for code in languages]


def _routed(queries: QueryEncoders, texts: list[str], languages: Any, content_only: bool) -> Vectors:
    """Encode queries with an object that chooses the encoder by itself."""
    router: Any = queries.router
    method = getattr(router, "encode_query", None) or router.encode
    options: dict[str, Any] = {"batch_size": queries.batch_size}
    if queries.interaction == "maxsim":
        encode = partial(method, languages=languages)
        rows = token_arrays(router.model, encode, texts, "query", content_only=content_only, **options)
        return _packed(rows, "maxsim")
    found = method(texts, languages=languages, **options)
    return _packed(
        [np.asarray(each.cpu() if hasattr(each, "cpu") else each, dtype=np.float32) for each in found], "dense"
    )


def _packed(vectors: list[np.ndarray], interaction: Interaction) -> Vectors:
    """Combine one array per query into ``(n, dimension)``, or into token vectors for MaxSim."""
    if interaction == "maxsim":
        return TokenVectors.from_list(vectors)
    return np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)
