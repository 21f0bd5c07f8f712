"""Reranking of a search's results by a score between token vectors, without a change to the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hf_optical.encoders.encoding import Encoder, Vectors, encode_texts
from hf_optical.encoders.token_means import TokenMeans
from hf_optical.errors import InputError
from hf_optical.evaluation.search import search_multi_vector
from hf_optical.evaluation.token_scoring import EPSILON, Scoring, TokenScoring
from hf_optical.search.hit import Hit
from hf_optical.search.queries import QueryEncoders, query_languages


class TokenReranker:
    """Reranker that compares the token vectors of query and document, for dense encoders too.

    The token vectors of a dense student lie in its teacher's space, as its sentence vectors do, and can be compared
    without further training: by MaxSim (ColBERT, arXiv 2004.12832), or by entropic transport between tokens from which
    the means of their languages are subtracted (:class:`~hf_optical.evaluation.token_scoring.TokenScoring`). The gain
    depends on the documents (``benchmarks/token_scoring.py``, docs/dense_or_multi_vector.md); measure it on yours with
    ``hf-optical evaluate --interaction maxsim --scoring soft``.

    Args:
        documents: Encoder of the documents, the teacher.
        queries: Encoder of queries, or encoders by language as in :class:`~hf_optical.search.queries.QueryEncoders`.
            By default the document encoder.
        scoring: ``"maxsim"``, ``"soft"`` for queries against passages, or ``"balanced"`` for sentences against
            sentences. By default ``"soft"`` if means are given, else ``"maxsim"``.
        means: Mean tokens of the query languages and of the documents, which ``"soft"`` and ``"balanced"`` need:
            ``TokenMeans.load(folder)`` of a trained student, or computed with
            :func:`~hf_optical.encoders.token_means.token_mean`.
        epsilon: Weight of the entropy, above 0; the default was chosen on held-out pairs of MiniLM's students and E5.
        batch_size: Texts per forward pass.

    Raises:
        InputError: The scoring is unknown, the means that it needs are missing, or epsilon is not above 0.

    Example:
        .. code-block:: python

            found = index.query(queries, languages="swh_Latn", top_k=100)
            means = TokenMeans.load("outputs/swahili/model")
            best = TokenReranker(teacher, {"swh_Latn": student}, scoring="soft", means=means).rerank(
                queries, found, texts_by_id, languages="swh_Latn", top_k=10
            )
    """

    def __init__(
        self,
        documents: Encoder,
        queries: Any = None,
        *,
        scoring: Scoring | None = None,
        means: TokenMeans | None = None,
        epsilon: float = EPSILON,
        batch_size: int = 32,
    ) -> None:
        self.documents, self.batch_size = documents, batch_size
        scoring = scoring or ("maxsim" if means is None else "soft")
        self.scoring, self.means, self.epsilon = scoring, means, epsilon
        self._reads_content = TokenScoring(scoring, epsilon=epsilon).content_only
        if scoring != "maxsim" and (means is None or means.documents is None):
            raise InputError(
                f"{scoring!r} compares centred tokens, and the mean tokens are not given",
                "pass means=TokenMeans.load(folder of a trained student), or "
                "TokenMeans({language: token_mean(student, texts, 'query')}, token_mean(teacher, texts, 'document'))",
                field="means",
            )
        chosen = documents if queries is None else queries
        self.queries = QueryEncoders(chosen, interaction="maxsim", batch_size=batch_size)

    def rerank(
        self,
        texts: Sequence[str],
        found: Sequence[Sequence[Hit]],
        documents: Mapping[str, str],
        *,
        languages: str | Sequence[str | None] | None = None,
        top_k: int = 10,
    ) -> list[list[Hit]]:
        """Rerank the documents found for each query by their token vectors.

        Args:
            texts: The queries.
            found: For each query, the documents that an index found. A document that several queries found is encoded
                once.
            documents: Text of every document found, by id.
            languages: The queries' language code, or one code per query.
            top_k: Number of documents to return per query.

        Returns:
            One list of documents per query, best first. For MaxSim the score is the sum of the largest cosines over the
            query's tokens, otherwise the mean of the cosines, weighted by the transport plan.

        Raises:
            InputError: The number of lists is not that of the queries, ``top_k`` is below 1, a document has no text, a
                query is empty, or a language has no mean token.
        """
        if len(found) != len(texts):
            raise InputError(f"found {len(found)} lists for {len(texts)} queries", "give one list per query")
        if top_k < 1:
            raise InputError(f"is {top_k}", "ask for at least one document", field="top_k")
        names = list(dict.fromkeys(hit.id for hits in found for hit in hits))
        if missing := [name for name in names if name not in documents]:
            raise InputError(
                f"{len(missing)} of the documents found have no text, such as {missing[0]!r}",
                "give the texts of all documents of the index",
                field="documents",
            )
        if not names:
            return [[] for _ in texts]
        codes = query_languages(languages, len(texts))
        how = {
            code: TokenScoring.centred(self.scoring, self.means, code, epsilon=self.epsilon)
            for code in dict.fromkeys(codes)
        }
        read = encode_texts(
            self.documents,
            [documents[name] for name in names],
            "document",
            interaction="maxsim",
            content_only=self._reads_content,
            batch_size=self.batch_size,
        )
        queries = self.queries.encode(texts, languages, content_only=self._reads_content)
        vectors = dict(zip(names, read, strict=True))
        ordered: list[list[Hit]] = []
        for query, hits, code in zip(queries, found, codes, strict=True):
            ordered += order_by_tokens([query], [hits], vectors, top_k, how[code])
        return ordered


def order_by_tokens(
    queries: Vectors | Sequence[np.ndarray],
    found: Sequence[Sequence[Hit]],
    vectors: Mapping[str, np.ndarray],
    top_k: int,
    scoring: TokenScoring | None = None,
) -> list[list[Hit]]:
    """Order the documents found for each query by a score between token vectors.

    Args:
        queries: Token vectors of each query, ``(tokens, dimension)``.
        found: Documents found for each query, whose scores are ignored.
        vectors: Token vectors of every document found, ``(tokens, dimension)``, by id.
        top_k: Number of documents to return per query.
        scoring: The score, for queries of its language; MaxSim by default.

    Returns:
        One list of documents per query, best first.

    Example:
        >>> east, north = np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 1.0]], np.float32)
        >>> order_by_tokens([east], [[Hit("a", 0.9), Hit("b", 0.8)]], {"a": north, "b": east}, top_k=2)
        [[Hit(id='b', score=1.0), Hit(id='a', score=0.0)]]
    """
    ordered: list[list[Hit]] = []
    for query, hits in zip(queries, found, strict=True):
        ids = list(dict.fromkeys(hit.id for hit in hits))
        best: list[Hit] = []
        if ids:
            (scores,), (rows,) = search_multi_vector([query], [vectors[name] for name in ids], top_k, scoring=scoring)
            best = [Hit(ids[row], float(score)) for row, score in zip(rows, scores, strict=True)]
        ordered.append(best)
    return ordered
