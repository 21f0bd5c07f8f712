"""Evaluation of one model in many languages: monolingual, cross-lingual and pooled retrieval, with language bias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_optical.encoders.encoding import Encoder, Interaction, Vectors, resolve_interaction
from hf_optical.encoders.token_means import TokenMeans
from hf_optical.errors import InputError
from hf_optical.evaluation.bias import (
    LanguageBias,
    language_share,
    mean_rank_correlation,
    rank_distance,
    relevance_share,
    worst_language,
)
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.multilingual_set import MultilingualSet
from hf_optical.evaluation.retrieval import (
    RetrievalScores,
    as_run,
    check_same_space,
    check_scoring,
    own_similarity,
    search,
)
from hf_optical.evaluation.scoring import mean_scores, score_run
from hf_optical.evaluation.search import Similarity
from hf_optical.evaluation.token_scoring import EPSILON, Scoring, TokenScoring, reads_content

POOLED = "pooled"


@dataclass
class MultilingualScores:
    """Scores of one model on a multilingual set.

    Args:
        set: Name of the set.
        pairs: For every (query language, document language), the scores on the documents of that language alone;
            equal languages are the monolingual task, the others the cross-lingual one.
        pooled: For every query language, the scores on one corpus of all languages, where the parallel passages of
            all languages are relevant: the multilingual task.
        bias: Language bias of the pooled ranking.
    """

    set: str
    pairs: dict[tuple[str, str], RetrievalScores]
    pooled: dict[str, RetrievalScores]
    bias: LanguageBias

    @property
    def monolingual(self) -> dict[str, RetrievalScores]:
        """Return the scores by language for equal query and document languages."""
        return {asked: scores for (asked, answered), scores in self.pairs.items() if asked == answered}

    @property
    def cross_lingual(self) -> dict[tuple[str, str], RetrievalScores]:
        """Return the scores by language pair for different languages."""
        return {pair: scores for pair, scores in self.pairs.items() if pair[0] != pair[1]}

    def summary(self, metric: str = "map") -> dict[str, float | None]:
        """Return the unweighted means over languages or pairs of the three tasks: ``mono``, ``cross``, ``multi``."""
        tasks: dict[str, list[RetrievalScores]] = {
            "mono": list(self.monolingual.values()),
            "cross": list(self.cross_lingual.values()),
            "multi": list(self.pooled.values()),
        }
        return {
            task: float(np.mean([scores.metrics[metric] for scores in found])) if found else None
            for task, found in tasks.items()
        }


def evaluate_multilingual(
    query_encoder: Encoder,
    multilingual_set: MultilingualSet,
    document_encoder: Encoder | None = None,
    *,
    interaction: Interaction | None = None,
    similarity: Similarity | None = None,
    scoring: Scoring = "maxsim",
    means: TokenMeans | None = None,
    epsilon: float = EPSILON,
    top_k: int = 1000,
    bias_depth: int = 10,
    metric: str = "map",
    batch_size: int = 32,
    document_cache: DocumentCache | None = None,
    show_progress: bool = False,
) -> MultilingualScores:
    """Score every pair of languages and the pooled corpus; each text is encoded once, each score computed once.

    The bias needs the full ranking: 4 bytes per query (of all languages) and pooled document are held in memory.

    Args:
        query_encoder: Encoder of the queries.
        multilingual_set: Queries, documents, judgements.
        document_encoder: Encoder of the documents; by default the query encoder.
        interaction: As in :func:`~hf_optical.evaluation.retrieval.evaluate_retrieval`.
        similarity: As in the same function.
        scoring: As in the same function.
        means: As in the same function. The same mean is subtracted from documents of all languages, so that their
            scores stay comparable.
        epsilon: As there.
        top_k: Depth of the rankings that are scored; the bias uses the full ones.
        bias_depth: ``k`` of the language shares.
        metric: The measure by which the worst language is found.
        batch_size: Texts per forward pass.
        document_cache: Keeps document vectors between calls.
        show_progress: Whether to show progress bars.

    Returns:
        The scores. In the pooled task a document's id is prefixed with its language: ``swh_Latn/d1``.

    Raises:
        InputError: If the encoders' dimensions differ.
        NonFiniteError: If an embedding has a NaN or an infinity.
    """
    document_encoder = document_encoder or query_encoder
    kind = resolve_interaction(document_encoder, interaction)
    pool = [(language, document) for language, texts in multilingual_set.corpus.items() for document in texts]
    texts = [multilingual_set.corpus[language][document] for language, document in pool]
    check_scoring(scoring, kind)
    options: dict[str, Any] = {"interaction": kind, "batch_size": batch_size, "show_progress": show_progress}
    options["content_only"] = reads_content(scoring)
    cache = document_cache or DocumentCache()
    document_vectors = cache.vectors(document_encoder, texts, **options)
    scores: dict[str, np.ndarray] = {}
    for language, queries in multilingual_set.queries.items():
        # Queries are cached too, because passages and sentences of a folder share them.
        query_vectors = cache.vectors(query_encoder, list(queries.values()), "query", **options)
        check_same_space(query_encoder, query_vectors, document_encoder, document_vectors)
        measure = similarity or ("dot" if kind == "maxsim" else own_similarity(document_encoder))
        scores[language] = _all_scores(
            query_vectors, document_vectors, measure, TokenScoring.centred(scoring, means, language, epsilon=epsilon)
        )
    return score_multilingual(multilingual_set, scores, top_k=top_k, bias_depth=bias_depth, metric=metric)


def _all_scores(
    query_vectors: Vectors,
    document_vectors: Vectors,
    similarity: Similarity = "cosine",
    scoring: TokenScoring | None = None,
) -> np.ndarray:
    """Compute the scores of every query and document, float32, shape ``(queries, documents)``."""
    found, indices = search(query_vectors, document_vectors, None, similarity, scoring)
    scores = np.empty_like(found)
    np.put_along_axis(scores, indices, found, axis=1)
    return scores


def score_multilingual(
    multilingual_set: MultilingualSet,
    scores: Mapping[str, np.ndarray],
    *,
    top_k: int = 1000,
    bias_depth: int = 10,
    metric: str = "map",
) -> MultilingualScores:
    """Score precomputed similarities.

    Args:
        multilingual_set: Queries, documents, judgements.
        scores: For each query language ``(queries, pooled documents)``; rows in the order of the set's queries,
            columns by document language, then in the order of its corpus.
        top_k: As in :func:`evaluate_multilingual`.
        bias_depth: As in the same function.
        metric: As in the same function.

    Returns:
        The scores.

    Raises:
        InputError: If a shape is wrong.
    """
    item = multilingual_set
    columns, start = {}, 0
    for language, texts in item.corpus.items():
        columns[language] = slice(start, start + len(texts))
        start += len(texts)
    for language, queries in item.queries.items():
        if scores[language].shape != (len(queries), start):
            raise InputError(
                f"scores of {language} have the shape {scores[language].shape}",
                f"give ({len(queries)}, {start}): a score for every query and pooled document",
            )
    pairs = {
        (asked, answered): _score(
            f"{item.name}/{answered}",
            asked,
            list(item.queries[asked]),
            list(item.corpus[answered]),
            scores[asked][:, columns[answered]],
            item.qrels[asked, answered],
            top_k,
        )
        for asked, answered in item.qrels
    }
    documents = [f"{language}/{document}" for language, texts in item.corpus.items() for document in texts]
    pooled_qrels = {asked: _pooled_qrels(item, asked) for asked in item.queries}
    pooled = {
        asked: _score(
            f"{item.name}/{POOLED}", asked, list(item.queries[asked]), documents, scores[asked], judged, top_k
        )
        for asked, judged in pooled_qrels.items()
    }
    bias = _bias(item, scores, pooled_qrels, documents, bias_depth)
    bias.worst_language, bias.worst_score = worst_language(
        {language: found.metrics[metric] for language, found in pooled.items()}
    )
    return MultilingualScores(item.name, pairs, pooled, bias)


def _score(
    name: str,
    language: str,
    query_ids: list[str],
    document_ids: list[str],
    scores: np.ndarray,
    qrels: Mapping[str, Mapping[str, int]],
    top_k: int,
) -> RetrievalScores:
    rows = [row for row, query in enumerate(query_ids) if query in qrels]
    judged = [query_ids[row] for row in rows]
    if not judged:
        raise InputError(f"{name} has no judgement of a {language} query", "check the qrels, or leave the pair out")
    indices = np.argsort(-scores[rows], axis=1, kind="stable")[:, :top_k]
    run = as_run(judged, document_ids, np.take_along_axis(scores[rows], indices, axis=1), indices)
    per_query = score_run(run, {query: qrels[query] for query in judged})
    return RetrievalScores(name, language, len(per_query), mean_scores(per_query), per_query)


def _pooled_qrels(item: MultilingualSet, asked: str) -> dict[str, dict[str, int]]:
    pooled: dict[str, dict[str, int]] = {}
    for answered in item.corpus:
        for query, judged in item.qrels[asked, answered].items():
            pooled.setdefault(query, {}).update({f"{answered}/{document}": grade for document, grade in judged.items()})
    return pooled


def _bias(
    item: MultilingualSet,
    scores: Mapping[str, np.ndarray],
    qrels: Mapping[str, Mapping[str, Mapping[str, int]]],
    documents: list[str],
    depth: int,
) -> LanguageBias:
    column = {document: index for index, document in enumerate(documents)}
    relevant = {}
    for language, queries in item.queries.items():
        relevant[language] = np.zeros(scores[language].shape, dtype=bool)
        for row, query in enumerate(queries):
            found = [column[document] for document, grade in qrels[language].get(query, {}).items() if grade > 0]
            relevant[language][row, found] = True
    distances = {language: rank_distance(scores[language], relevant[language]) for language in item.queries}
    document_languages = [language for language, texts in item.corpus.items() for _ in texts]
    # Only questions asked in every language can be compared across languages.
    common = [query for query in next(iter(item.queries.values())) if all(query in q for q in item.queries.values())]
    aligned = {}
    for language, queries in item.queries.items():
        row_of = {query: row for row, query in enumerate(queries)}
        aligned[language] = scores[language][[row_of[query] for query in common]]
    everything, judged = np.concatenate(list(scores.values())), np.concatenate(list(relevant.values()))
    return LanguageBias(
        rank_distance=float(np.nanmean(np.concatenate(list(distances.values())))),
        rank_distance_by_language={language: float(np.nanmean(values)) for language, values in distances.items()},
        mean_rank_correlation=mean_rank_correlation(aligned),
        share_at_k=language_share(everything, document_languages, depth),
        relevance_share=relevance_share(judged, document_languages),
        k=depth,
    )
