"""Comparison of a trimmed model with the whole one, which proves that trimming changed nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hf_optical.data.retrieval import RetrievalSet
from hf_optical.encoders.encoding import Encoder
from hf_optical.errors import HFOpticalError
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.retrieval import evaluate_retrieval
from hf_optical.evaluation.significance import compare
from hf_optical.units import folder_bytes


@dataclass(frozen=True)
class TrimProof:
    """Comparison of the whole and the trimmed model on the same texts.

    Attributes:
        texts: Number of texts compared.
        covered: Texts whose pieces are all kept.
        pieces_kept: Share of the texts' pieces that are kept, 0 to 1.
        identical_ids: Covered texts whose token ids are the same after renumbering.
        encoded: Covered texts that were embedded by both models, as queries and as documents.
        largest_difference: Largest absolute difference between two numbers of their vectors.
        rows_before: Embedding rows of the whole model.
        rows_after: Embedding rows of the trimmed model.
        bytes_before: Size of the whole model's folder.
        bytes_after: Size of the trimmed model's folder.
    """

    texts: int
    covered: int
    pieces_kept: float
    identical_ids: int
    encoded: int
    largest_difference: float
    rows_before: int
    rows_after: int
    bytes_before: int
    bytes_after: int

    @property
    def size_ratio(self) -> float:
        """Size after trimming as a share of the size before."""
        return self.bytes_after / self.bytes_before

    def check(self, tolerance: float = 1e-6) -> TrimProof:
        """Return the proof, or raise an error if trimming changed ids or vectors of covered texts.

        Args:
            tolerance: Largest difference allowed between two numbers of a vector.

        Raises:
            HFOpticalError: A covered text has other token ids, or a vector that differs by more than the tolerance.
        """
        if self.identical_ids != self.covered:
            raise HFOpticalError(
                f"{self.covered - self.identical_ids} of {self.covered} covered texts have other token ids after "
                "trimming; nothing is published. Remedy: publish the whole model, and report the tokenizer."
            )
        if not self.largest_difference <= tolerance:  # true for NaN as well
            raise HFOpticalError(
                f"embeddings differ by {self.largest_difference:.2g} after trimming (allowed: {tolerance:g}); nothing "
                "is published. Remedy: publish the whole model, and report the model."
            )
        return self

    def sentence(self) -> str:
        """Format the proof as text for the card.

        Example:
            >>> print(TrimProof(10, 9, 0.998, 9, 9, 0.0, 250_002, 40_000, 10**9, 4 * 10**8).sentence())
            250,002 rows became 40,000, 1,000.0 MB became 400.0 MB (40 %). 9 of 10 texts are covered...
        """
        return (
            f"{self.rows_before:,} rows became {self.rows_after:,}, {self.bytes_before / 1e6:,.1f} MB became "
            f"{self.bytes_after / 1e6:,.1f} MB ({self.size_ratio:.0%})".replace("%", " %")
            + f". {self.covered:,} of {self.texts:,} texts are covered ({100 * self.pieces_kept:.1f} % of pieces): "
            f"{self.identical_ids:,} have the same token ids, the largest difference of {self.encoded:,} embeddings is "
            f"{self.largest_difference:.2g}."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the proof for ``results.json``."""
        return {**asdict(self), "size_ratio": self.size_ratio}


def retrieval_before_and_after(
    model: Encoder, trimmed: Encoder, sets: Sequence[RetrievalSet], documents: Encoder, *, show_progress: bool = False
) -> list[dict[str, Any]]:
    """Compare the retrieval of the whole and of the trimmed model, which differ on queries that are not covered.

    Args:
        model: The whole model.
        trimmed: The trimmed model.
        sets: Retrieval sets, one for each language of the queries.
        documents: Encoder of the documents, the teacher.
        show_progress: Whether to show progress bars.

    Returns:
        For each set its name ``set``, ``language``, number of queries ``n``, nDCG@10 of the ``whole`` and the
        ``trimmed`` model, their ``difference`` with its 95 % bootstrap ``interval`` over queries, and the ``verdict``
        of the paired test.
    """
    cache = DocumentCache()
    options: dict[str, Any] = {"document_cache": cache, "show_progress": show_progress}
    found = []
    for item in sets:
        after, before = (evaluate_retrieval(each, item, documents, **options) for each in (trimmed, model))
        result = compare(after, before)
        found.append(
            {
                "set": result.set,
                "language": result.language,
                "n": result.n,
                "whole": result.mean_b,
                "trimmed": result.mean_a,
                "difference": result.difference,
                "interval": list(result.interval),
                "verdict": result.verdict,
            }
        )
    return found


def saved_bytes(model: Encoder) -> int:
    """Save a model to a temporary folder, and return the size of its files without the card, in bytes."""
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder, create_model_card=False)
        return folder_bytes(Path(folder))
