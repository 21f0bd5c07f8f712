"""Mean token vector of each language, which centred scores subtract; kept beside a model or an index."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hf_optical.data.languages import normalize
from hf_optical.encoders.encoding import Encoder, Role, encode_texts
from hf_optical.encoders.token_vectors import TokenVectors
from hf_optical.errors import InputError, NonFiniteError

FILE = "token_means.json"
"""File name in a model's folder; sentence-transformers ignores it."""
MOST_TEXTS = 256
"""Number of texts averaged; more change the mean too little to influence the scores."""


@dataclass(frozen=True)
class TokenMeans:
    """Mean unit token vectors, without special and prompt tokens.

    Attributes:
        queries: Mean by FLORES code of the query language, (d,), as encoded by its query encoder.
        documents: Mean of English as encoded by the document encoder, (d,); None if only the queries' means are known.
    """

    queries: dict[str, np.ndarray] = field(default_factory=dict)
    documents: np.ndarray | None = None

    def of(self, language: str | None) -> np.ndarray:
        """Return the queries' mean of a language.

        Args:
            language: Any code; None if there is only one language.

        Raises:
            InputError: There is no mean for the language.
        """
        code = self._code(language)
        if code not in self.queries:
            raise InputError(
                f"there is no mean token of {code or 'queries without a language'}; there are "
                f"{', '.join(self.queries) or 'none'}",
                "name the language of the queries, or compute the mean of its texts: token_mean(encoder, texts, "
                "'query')",
                field="languages",
            )
        return self.queries[code]

    def knows(self, language: str | None) -> bool:
        """Return whether queries of a language can be compared with documents by a centred score."""
        return self.documents is not None and self._code(language) in self.queries

    def _code(self, language: str | None) -> str | None:
        if language:
            return normalize(language)
        return next(iter(self.queries)) if len(self.queries) == 1 else None

    def joined(self, other: TokenMeans) -> TokenMeans:
        """Return these means, completed by those of another object."""
        documents = self.documents if self.documents is not None else other.documents
        return TokenMeans({**other.queries, **self.queries}, documents)

    def save(self, folder: str | Path) -> Path:
        """Write ``token_means.json`` into the folder of a model or a local index."""
        content = {
            "what": "mean unit token vectors, without special and prompt tokens",
            "queries": {code: [round(float(x), 6) for x in mean] for code, mean in self.queries.items()},
            "documents": None if self.documents is None else [round(float(x), 6) for x in self.documents],
        }
        path = Path(folder) / FILE
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    @classmethod
    def load(cls, folder: str | Path) -> TokenMeans | None:
        """Load the means that :meth:`save` wrote; ``None`` if a folder has none, or for a Hub id.

        Raises:
            InputError: The file is damaged.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            documents = content["documents"]
            found = cls(
                {str(code): np.asarray(mean, np.float32) for code, mean in content["queries"].items()},
                None if documents is None else np.asarray(documents, np.float32),
            )
            vectors = [*found.queries.values(), *([] if found.documents is None else [found.documents])]
            if any(mean.ndim != 1 or not np.isfinite(mean).all() for mean in vectors):
                raise ValueError("a mean is not a list of finite numbers")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"the mean tokens cannot be read ({error})", "remove the file, or save it again", path=path
            ) from error
        return found


def token_mean(encoder: Encoder, texts: Sequence[str], role: Role, *, batch_size: int = 32) -> np.ndarray:
    """Compute the mean of all content tokens of texts of one language.

    Args:
        encoder: The encoder.
        texts: A few hundred texts; of more than 256, that many evenly spaced ones are encoded, from the first
            to the last.
        role: ``"query"`` or ``"document"``.
        batch_size: Texts per forward pass.

    Returns:
        (d,), float32.

    Raises:
        InputError: There are no texts.
    """
    if not len(texts):
        raise InputError("there are no texts", "give a few hundred sentences of the language", field="texts")
    places = np.linspace(0, len(texts) - 1, min(MOST_TEXTS, len(texts))).astype(int)
    chosen = [texts[place] for place in places]
    read = encode_texts(encoder, chosen, role, interaction="maxsim", content_only=True, batch_size=batch_size)
    assert isinstance(read, TokenVectors)
    mean = read.values.mean(axis=0, dtype=np.float64).astype(np.float32)
    if not np.isfinite(mean).all():
        raise NonFiniteError("the mean token is not finite. Remedy: check the encoder's weights.")
    return mean
