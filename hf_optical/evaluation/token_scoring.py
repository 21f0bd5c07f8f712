"""Scores between the tokens of a query and a document: MaxSim, or entropic transport on centred tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from sentence_transformers.util import maxsim
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from hf_optical.encoders.token_means import TokenMeans
from hf_optical.errors import check_choice, check_positive
from hf_optical.transport.soft_scores import balanced_token_scores, centred_units, soft_scores

Scoring = Literal["maxsim", "soft", "balanced"]
EPSILON = 0.05
"""Default weight of the entropy, in units of a cosine: near the best on held-out pairs of students grown from MiniLM
(.05 to .1) and of multilingual-e5-small (.03 to .05); ``benchmarks/token_scoring.py --tune``."""
_ELEMENTS = 6_000_000  # numbers per block of similarities: 24 MB, near the size of CPU caches


@dataclass(frozen=True)
class TokenScoring:
    """Score of token vectors for queries of one language.

    Args:
        kind: ``"maxsim"`` is the sum over the query's tokens of the largest similarity, with all tokens as they are;
            ``"soft"`` is one-sided entropic transport, for queries against passages; ``"balanced"`` is entropic
            transport with both marginals, for sentences against sentences. See :mod:`hf_optical.transport.soft_scores`.
        query_mean: Mean token of the query language, subtracted from its tokens; None to subtract nothing.
        document_mean: Mean token of the documents' language, used in the same way.
        epsilon: Weight of the entropy.

    Example:
        >>> query, document = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8], [0.0, 1.0]])
        >>> [round(float(TokenScoring(kind).scores([query], [document])), 2) for kind in ("maxsim", "soft", "balanced")]
        [0.6, 0.6, 0.3]
    """

    kind: Scoring = "maxsim"
    query_mean: np.ndarray | None = None
    document_mean: np.ndarray | None = None
    epsilon: float = EPSILON

    def __post_init__(self) -> None:
        check_choice("scoring", self.kind, get_args(Scoring))
        check_positive("epsilon", self.epsilon)

    @classmethod
    def centred(cls, kind: Scoring, means: TokenMeans | None, language: str | None, **options: float) -> TokenScoring:
        """Return the same score with the token means of a language; MaxSim needs none and is unchanged.

        Raises:
            InputError: There is no mean for the language.
        """
        if kind == "maxsim":
            return cls(kind)
        means = means if means is not None else TokenMeans()
        return cls(kind, means.of(language), means.documents, **options)

    @property
    def content_only(self) -> bool:
        """Return whether special and prompt tokens are left out."""
        return reads_content(self.kind)

    def scores(self, queries: Sequence[Tensor], documents: Sequence[Tensor], max_elements: int = _ELEMENTS) -> Tensor:
        """Compute the scores of every query and document.

        Args:
            queries: Token vectors, (n, d) each, as returned by the encoder.
            documents: Token vectors of the documents, (m, d) each.
            max_elements: Budget of a block of similarities, in numbers.

        Returns:
            (queries, documents), float32.
        """
        queries = [self._ready(query, self.query_mean) for query in queries]
        documents = [self._ready(document, self.document_mean) for document in documents]
        if self.kind == "maxsim":
            return maxsim(queries, documents, chunk_elements=max_elements)
        lengths = torch.tensor([len(document) for document in documents])
        # Sorted by length, so that little padding is needed; the order is restored at the end.
        order = lengths.argsort(descending=True, stable=True)
        found = torch.empty(len(queries), len(documents))
        start = 0
        while start < len(order):
            width = int(lengths[order[start]]) * max(len(query) for query in queries)
            places = order[start : start + max(1, min(64, max_elements // width))]
            start += len(places)
            block = pad_sequence([documents[place] for place in places.tolist()], batch_first=True)
            real = torch.arange(block.shape[1]) < lengths[places].unsqueeze(1)
            for row, query in enumerate(queries):
                found[row, places] = self._one(query, block, real)
        return found

    def _one(self, query: Tensor, block: Tensor, real: Tensor) -> Tensor:
        if self.kind == "balanced":
            return balanced_token_scores(query, block, real, self.epsilon)
        similarity = (block.flatten(0, 1) @ query.T).view(*block.shape[:2], -1).transpose(1, 2)
        return soft_scores(similarity, torch.ones(1, len(query), dtype=torch.bool), real, self.epsilon)

    def _ready(self, tokens: Tensor, mean: np.ndarray | None) -> Tensor:
        return tokens if mean is None else centred_units(tokens, torch.from_numpy(mean))


def reads_content(scoring: Scoring) -> bool:
    """Return whether a score leaves special and prompt tokens out.

    Example:
        >>> reads_content("soft"), reads_content("maxsim")
        (True, False)
    """
    return scoring != "maxsim"
