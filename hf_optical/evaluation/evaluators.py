"""Evaluators for a trainer: the student's queries against documents that the teacher encodes once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sentence_transformers.base.evaluation import BaseEvaluator

from hf_optical.encoders.encoding import Encoder, Interaction, Vectors, encode_texts, resolve_interaction
from hf_optical.errors import InputError
from hf_optical.evaluation.retrieval import (
    RetrievalScores,
    evaluate_against_vectors,
    evaluate_retrieval,
    own_similarity,
)
from hf_optical.evaluation.search import Similarity

if TYPE_CHECKING:
    from hf_optical.data.retrieval import RetrievalSet


class CrossLingualRetrievalEvaluator(BaseEvaluator):
    """Score the model being trained as a query encoder against a fixed document index.

    The documents are encoded by ``document_encoder`` at the first call and kept. Without a document encoder, the
    trained model encodes them again at every call.

    Args:
        retrieval_set: Queries, corpus and judgements.
        document_encoder: The teacher.
        name: Prefix of the metrics; by default the set's name and language.
        primary_metric: The measure by which checkpoints are chosen.
        interaction: ``"dense"``, ``"maxsim"``, or ``None`` for the encoders' own.
        similarity: Similarity of dense vectors; ``None`` for the document encoder's own.
        queries: Other texts for the same query ids.
        top_k: Depth of the ranking.
        batch_size: Texts per forward pass.
        show_progress: Whether to show progress bars.

    Raises:
        InputError: If the measure is unknown.
        NonFiniteError: When called, if the model returns NaN or infinity, because training has then failed.

    Example:
        .. code-block:: python

            evaluator = CrossLingualRetrievalEvaluator(dev_set, document_encoder=teacher)
            trainer = OTDistillationTrainer(model=student, teacher=teacher, args=args, evaluator=evaluator, ...)
    """

    METRICS = ("ndcg@10", "mrr@10", "recall@1", "recall@10", "recall@100", "map", "mrr")

    def __init__(
        self,
        retrieval_set: RetrievalSet,
        document_encoder: Encoder | None = None,
        *,
        name: str | None = None,
        primary_metric: str = "ndcg@10",
        interaction: Interaction | None = None,
        similarity: Similarity | None = None,
        queries: Mapping[str, str] | None = None,
        top_k: int | None = 1000,
        batch_size: int = 32,
        show_progress: bool = False,
    ) -> None:
        super().__init__()
        if primary_metric not in self.METRICS:
            raise InputError(f"the measure {primary_metric!r} is unknown", f"use one of {', '.join(self.METRICS)}")
        self.retrieval_set = retrieval_set
        self.document_encoder = document_encoder
        self.name = f"{retrieval_set.name}_{retrieval_set.query_language}" if name is None else name
        self.primary_metric = primary_metric
        self.interaction = interaction
        self.similarity = similarity
        self.scores: RetrievalScores | None = None
        self._options: dict[str, Any] = {"batch_size": batch_size, "show_progress": show_progress}
        self._search: dict[str, Any] = {"queries": queries, "top_k": top_k}
        self._document_vectors: Vectors | None = None

    def __call__(  # type: ignore[override]
        self, model: Encoder, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Score ``model``; the per-query scores are kept in ``self.scores``.

        Args:
            model: The query encoder.
            output_path: Not used: the trainer logs the metrics.
            epoch: Epoch, for the model card.
            steps: Steps, for the model card.

        Returns:
            The measures, with the evaluator's name as prefix.
        """
        self.scores = self._against_index(model) if self.document_encoder is not None else self._alone(model)
        metrics = self.prefix_name_to_metrics(dict(self.scores.metrics), self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def get_config_dict(self) -> dict[str, Any]:
        """Return the configuration for the model card."""
        return {
            "query_language": self.retrieval_set.query_language,
            "document_language": self.retrieval_set.document_language,
            "queries": len(self.retrieval_set.qrels),
            "documents": len(self.retrieval_set.corpus),
        }

    def _alone(self, model: Encoder) -> RetrievalScores:
        return evaluate_retrieval(
            model,
            self.retrieval_set,
            interaction=self.interaction,
            similarity=self.similarity,
            **self._search,
            **self._options,
        )

    def _against_index(self, model: Encoder) -> RetrievalScores:
        encoder = self.document_encoder
        assert encoder is not None
        kind = resolve_interaction(encoder, self.interaction)
        if self._document_vectors is None:
            documents = list(self.retrieval_set.corpus.values())
            self._document_vectors = encode_texts(encoder, documents, "document", interaction=kind, **self._options)
        return evaluate_against_vectors(
            model,
            self.retrieval_set,
            self._document_vectors,
            document_encoder=encoder,
            similarity=self.similarity or ("dot" if kind == "maxsim" else own_similarity(encoder)),
            **self._search,
            **self._options,
        )
