"""Retrieval measures of a query encoder against documents, which another encoder of the same space may have encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, get_args

import numpy as np

from hf_optical.encoders.encoding import (
    Encoder,
    Interaction,
    Vectors,
    encode_texts,
    model_name,
    resolve_interaction,
)
from hf_optical.encoders.token_means import TokenMeans
from hf_optical.encoders.token_vectors import TokenVectors
from hf_optical.errors import InputError, check_choice
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.scoring import mean_scores, score_run
from hf_optical.evaluation.search import Similarity, search_dense, search_multi_vector
from hf_optical.evaluation.token_scoring import EPSILON, Scoring, TokenScoring, reads_content

if TYPE_CHECKING:
    from hf_optical.data.retrieval import RetrievalSet


@dataclass
class RetrievalScores:
    """Measures of one model on one retrieval set.

    Args:
        set: Name of the retrieval set.
        language: Language of the queries, a FLORES code.
        n: Number of judged queries.
        metrics: Means over the queries: ``ndcg@10``, ``mrr@10``, ``recall@1``, ``recall@10``, ``recall@100``,
            ``map``, ``mrr``.
        per_query: The same measures of each query.
        run: Scores of the documents found, by query, if they were kept.
    """

    set: str
    language: str
    n: int
    metrics: dict[str, float]
    per_query: dict[str, dict[str, float]]
    run: dict[str, dict[str, float]] | None = field(default=None, repr=False)


def evaluate_retrieval(
    query_encoder: Encoder,
    retrieval_set: RetrievalSet,
    document_encoder: Encoder | None = None,
    *,
    queries: Mapping[str, str] | None = None,
    interaction: Interaction | None = None,
    similarity: Similarity | None = None,
    scoring: Scoring = "maxsim",
    means: TokenMeans | None = None,
    epsilon: float = EPSILON,
    top_k: int | None = 1000,
    batch_size: int = 32,
    document_cache: DocumentCache | None = None,
    keep_run: bool = False,
    show_progress: bool = False,
) -> RetrievalScores:
    """Encode the judged queries and the corpus, search exactly, and score.

    Args:
        query_encoder: Encoder of the queries (``encode_query``), the student.
        retrieval_set: Queries, corpus and judgements.
        document_encoder: Encoder of the documents (``encode_document``), the teacher; ``None`` means the query encoder.
        queries: Other texts for the same query ids, such as ``retrieval_set.english_queries`` for the ceiling.
        interaction: ``"dense"``, ``"maxsim"``, or ``None`` for the document encoder's own.
        similarity: Similarity of dense vectors: ``"cosine"`` or ``"dot"``; ``None`` for the document encoder's own.
        scoring: Score of token vectors: ``"maxsim"``, ``"soft"`` or ``"balanced"``; see
            :class:`~hf_optical.evaluation.token_scoring.TokenScoring`.
        means: Mean tokens that ``"soft"`` and ``"balanced"`` subtract.
        epsilon: Weight of the entropy in these two.
        top_k: Depth of the ranking; ``None`` ranks the whole corpus.
        batch_size: Texts per forward pass.
        document_cache: Keeps document vectors between calls.
        keep_run: Whether to also return the ranking, to fuse it with another searcher's.
        show_progress: Whether to show progress bars.

    Returns:
        Means and per-query measures over the judged queries. The measures and the rule for ties are those of
        :func:`~hf_optical.evaluation.scoring.score_run`.

    Raises:
        InputError: If the two encoders' dimensions differ, or a judged query has no text.
        NonFiniteError: If an embedding has a NaN or an infinity.

    Example:
        .. code-block:: python

            scores = evaluate_retrieval(student, read_retrieval_set("eval/set", "swh_Latn"), teacher)
            scores.metrics["ndcg@10"]
    """
    document_encoder = document_encoder or query_encoder
    kind = resolve_interaction(document_encoder, interaction)
    check_scoring(scoring, kind)
    documents = list(retrieval_set.corpus.values())
    # A temporary cache would hash the weights for nothing.
    if document_cache is None:
        document_vectors = encode_texts(
            document_encoder,
            documents,
            "document",
            interaction=kind,
            content_only=reads_content(scoring),
            batch_size=batch_size,
            show_progress=show_progress,
        )
    else:
        document_vectors = document_cache.vectors(
            document_encoder,
            documents,
            interaction=kind,
            content_only=reads_content(scoring),
            batch_size=batch_size,
            show_progress=show_progress,
        )
    return evaluate_against_vectors(
        query_encoder,
        retrieval_set,
        document_vectors,
        document_encoder=document_encoder,
        queries=queries,
        similarity=similarity or ("dot" if kind == "maxsim" else own_similarity(document_encoder)),
        scoring=scoring,
        means=means,
        epsilon=epsilon,
        top_k=top_k,
        batch_size=batch_size,
        keep_run=keep_run,
        show_progress=show_progress,
    )


def evaluate_against_vectors(
    query_encoder: Encoder,
    retrieval_set: RetrievalSet,
    document_vectors: Vectors,
    *,
    document_encoder: Encoder,
    queries: Mapping[str, str] | None = None,
    similarity: Similarity = "cosine",
    scoring: Scoring = "maxsim",
    means: TokenMeans | None = None,
    epsilon: float = EPSILON,
    top_k: int | None = 1000,
    batch_size: int = 32,
    keep_run: bool = False,
    show_progress: bool = False,
) -> RetrievalScores:
    """Score a query encoder against existing document vectors, in the order of the set's corpus.

    Arguments, result and errors are those of :func:`evaluate_retrieval`; ``document_encoder`` only names the vectors'
    origin. For ``scoring`` other than MaxSim the vectors are of content tokens only, as returned by
    ``encode_texts(content_only=True)``.
    """
    texts = queries_to_score(retrieval_set, queries)
    query_vectors = encode_texts(
        query_encoder,
        list(texts.values()),
        "query",
        interaction="maxsim" if isinstance(document_vectors, TokenVectors) else "dense",
        content_only=reads_content(scoring),
        batch_size=batch_size,
        show_progress=show_progress,
    )
    check_same_space(query_encoder, query_vectors, document_encoder, document_vectors)
    how = TokenScoring.centred(scoring, means, retrieval_set.query_language, epsilon=epsilon)
    scores, indices = search(query_vectors, document_vectors, top_k, similarity, how)
    run = as_run(list(texts), list(retrieval_set.corpus), scores, indices)
    found = scores_of_run(retrieval_set, run)
    return replace(found, run=run) if keep_run else found


def scores_of_run(retrieval_set: RetrievalSet, run: Mapping[str, Mapping[str, float]]) -> RetrievalScores:
    """Score a ranking of the documents of a retrieval set.

    Args:
        retrieval_set: The judgements.
        run: Scores of the documents found, by query; every query in it is judged.
    """
    per_query = score_run(run, {query: retrieval_set.qrels[query] for query in run})
    return RetrievalScores(
        set=retrieval_set.name,
        language=retrieval_set.query_language,
        n=len(per_query),
        metrics=mean_scores(per_query),
        per_query=per_query,
    )


def queries_to_score(retrieval_set: RetrievalSet, queries: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the texts of queries with a relevant document, in the order of the set.

    Args:
        retrieval_set: Queries, corpus and judgements.
        queries: Other texts for the same ids.

    Returns:
        Text by query id.

    Raises:
        InputError: If a judged query has no text, or no query is judged.
    """
    texts = retrieval_set.queries if queries is None else queries
    judged = [query for query, judgements in retrieval_set.qrels.items() if any(r > 0 for r in judgements.values())]
    missing = [query for query in judged if query not in texts]
    if missing:
        raise InputError(
            f"{len(missing)} judged queries of {retrieval_set.name} have no text, the first is {missing[0]!r}",
            "complete the queries, or remove their judgements",
        )
    if not judged:
        raise InputError(f"{retrieval_set.name} has no query with a relevant document", "check the qrels file")
    return {query: texts[query] for query in judged}


def search(
    query_vectors: Vectors,
    document_vectors: Vectors,
    top_k: int | None,
    similarity: Similarity = "cosine",
    scoring: TokenScoring | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Search dense or token vectors; ``(scores, indices)`` as in :mod:`~hf_optical.evaluation.search`."""
    depth = top_k or max(1, len(document_vectors))
    if isinstance(query_vectors, TokenVectors) and isinstance(document_vectors, TokenVectors):
        return search_multi_vector(query_vectors, document_vectors, depth, scoring=scoring)
    if isinstance(query_vectors, TokenVectors) or isinstance(document_vectors, TokenVectors):
        raise InputError("one side has token vectors and the other single vectors", "encode both for one interaction")
    return search_dense(query_vectors, document_vectors, depth, similarity=similarity)


def as_run(
    query_ids: Sequence[str], document_ids: Sequence[str], scores: np.ndarray, indices: np.ndarray
) -> dict[str, dict[str, float]]:
    """Turn ``(queries, k)`` scores and indices into ``{query id: {document id: score}}``."""
    return {
        query: {document_ids[index]: score for index, score in zip(row_indices, row_scores, strict=True)}
        for query, row_indices, row_scores in zip(query_ids, indices.tolist(), scores.tolist(), strict=True)
    }


def check_scoring(scoring: Scoring, interaction: Interaction) -> None:
    """Raise an error for a token score if texts are compared by one vector each.

    Raises:
        InputError: The scoring needs token vectors, but texts are compared by one vector each.
    """
    check_choice("scoring", scoring, get_args(Scoring))
    if scoring != "maxsim" and interaction == "dense":
        raise InputError(
            f"{scoring!r} compares token vectors, but texts are compared by one vector each",
            "add interaction='maxsim' (--interaction maxsim)",
            field="scoring",
        )


def own_similarity(model: Encoder) -> Similarity:
    """Return the similarity that a dense model was trained for.

    Raises:
        InputError: If the model uses a distance, which the exact search does not support.
    """
    name = str(getattr(model, "similarity_fn_name", None) or "cosine")
    if name not in ("cosine", "dot"):
        raise InputError(
            f"{model_name(model)} compares vectors by {name}", "pass similarity='cosine' or similarity='dot'"
        )
    return "dot" if name == "dot" else "cosine"


def check_same_space(
    query_encoder: Encoder, query_vectors: Vectors, document_encoder: Encoder, document_vectors: Vectors
) -> None:
    """Refuse encoders whose vectors have different widths.

    Raises:
        InputError: The dimensions differ; the message names both models.
    """
    widths = [
        vectors.dimension if isinstance(vectors, TokenVectors) else vectors.shape[1]
        for vectors in (query_vectors, document_vectors)
    ]
    if widths[0] != widths[1]:
        raise InputError(
            f"the query encoder {model_name(query_encoder)} has {widths[0]} dimensions and the document encoder "
            f"{model_name(document_encoder)} has {widths[1]}",
            "use a query encoder that was trained into the document encoder's space",
        )
