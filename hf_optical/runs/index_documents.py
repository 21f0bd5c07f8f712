"""Documents of the teacher's index that a mapped student reads in training, in English, beside the pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset

from hf_optical.publishing.provenance import index_record
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.student import index_of_run
from hf_optical.runs.training_data import TrainingData
from hf_optical.students.grow import VOCABULARIES
from hf_optical.students.index_sample import index_sample


@dataclass(frozen=True)
class IndexDocuments:
    """Documents of an index as rows of training.

    Attributes:
        index: Name of the index.
        documents: Number of different texts.
        share: Share of the rows of training.
        rows: The rows, with the same text as ``source`` and ``translation``.
    """

    index: str
    documents: int
    share: float
    rows: Dataset

    def sentence(self) -> str:
        """Say how many documents are read how often."""
        return (
            f"Training: beside the pairs the student reads {self.documents:,} documents of the index in English, in "
            f"{self.share:.0%} of the rows, so that it does not drift away from what will be searched"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of ``results.json``."""
        return {"index": self.index, "documents": self.documents, "share": self.share, "rows": len(self.rows)}


def documents_in_training(
    config: TrainConfig, data: TrainingData, start: Mapping[str, Any] | None
) -> IndexDocuments | None:
    """Draw rows of the index for training, with the share that the map's choice gave its documents.

    A student that was mapped onto the index's documents and then trained on pairs of another kind of text alone leaves
    the documents: held-out pairs rise and searches of the index fall.

    Args:
        config: The options.
        data: The training data.
        start: Report on the student's start, with the choice of its map.

    Returns:
        The rows, the same for the same seed, or ``None``: without an index or a share for it, without training, with
        questions or language adapters, whose batches have no place for English documents.
    """
    if config.index_rows is None or config.student in VOCABULARIES or not config.max_steps:
        return None
    share = float((((start or {}).get("map") or {}).get("chosen") or {}).get("index") or 0.0)
    if not share or data.retrieval or config.adapter != "none":
        return None
    texts = list(dict.fromkeys(index_sample(index_of_run(config) or (), config.seed).texts))
    wanted = round(share / (1 - share) * data.pairs)
    generator = np.random.default_rng(config.seed)
    passes = [generator.permutation(len(texts)) for _ in range(-(-wanted // len(texts)))]
    drawn = [texts[place] for place in np.concatenate(passes)[:wanted]]
    rows = Dataset.from_dict({"source": drawn, "translation": drawn})
    return IndexDocuments(index_record(config.index_rows)["index"], len(set(drawn)), share, rows)
