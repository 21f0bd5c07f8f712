"""Options of a run: the training objective, its transport and its prompts."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.parsing import option
from hf_optical.training.default_values import BANK_SIZE


@dataclass
class ObjectiveOptions:
    """Options of the objective."""

    objective: str | None = option(
        None,
        "Sum of terms: ot, mse, cos, nce, rank, greedy, nearest, self_nce, source, e.g. 'ot+0.5*nce'. If not given "
        "'ot+rank', for late interaction 'ot+nce'.",
    )
    solver: str = option("ipot", "Solver of the transport plan: ipot, sinkhorn or exact.")
    special_tokens: str = option(
        "match",
        "How the transport treats special tokens: 'match' them to each other, 'exclude' or 'transport' them.",
        yaml_only=True,
    )
    marginals: str = option(
        "uniform",
        "Mass of each token in the transport: 'uniform', or 'idf' (less for frequent words).",
        yaml_only=True,
    )
    temperature: float | None = option(
        None,
        "Number by which the scores of the terms rank and nce are divided; chosen from the teacher's own scores if not "
        "given.",
    )
    anchor: float | None = option(
        None,
        "Share of the untrained student in the target of the term 'rank', which keeps what it read well before. If not "
        "given .5 for a copy of a teacher that reads the language, and 0 for other students.",
    )
    bank_size: int = option(
        BANK_SIZE,
        "Number of English sentences that the term 'rank' ranks, at most.",
        yaml_only=True,
    )
    contrastive_mini_batch: int | None = option(
        None,
        "Texts per forward pass of the contrastive loss on questions and passages; set it for batches that do not fit "
        "into memory.",
        yaml_only=True,
    )
    query_prompt: str | None = option(
        None, "Text put before every query in training and saved with the model; by default the student's own prompt."
    )
    passage_prompt: str | None = option(
        None,
        "Text put before every passage in training and saved with the model; by default the student's own prompt.",
        yaml_only=True,
    )
