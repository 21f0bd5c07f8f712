"""Training arguments: those of sentence-transformers, and what the distillation adds."""

from __future__ import annotations

from dataclasses import dataclass, field

from sentence_transformers.multi_vector_encoder.training_args import MultiVectorEncoderTrainingArguments
from sentence_transformers.sentence_transformer.training_args import SentenceTransformerTrainingArguments

from hf_optical.errors import InputError
from hf_optical.losses.terms import parse_objective
from hf_optical.transport import SOLVERS


@dataclass
class OTDistillationTrainingArguments(SentenceTransformerTrainingArguments, MultiVectorEncoderTrainingArguments):
    """Arguments of :class:`~hf_optical.trainer.OTDistillationTrainer`, for dense and multi-vector students.

    Args:
        objective: Terms of the loss on bitext, e.g. ``"ot"``, ``"ot+nce"``, ``"ot+0.5*nce+cos"``.
        solver: Finds the transport plan: ``"ipot"``, ``"sinkhorn"`` or ``"exact"``.
        special_tokens: ``"match"``, ``"exclude"`` or ``"transport"``.
        marginals: ``"uniform"``, or ``"idf"``: tokens weigh by their inverse document frequency in the bitext.
        temperature: Of the contrastive terms (cosine scores are divided by it).
        gather_across_devices: Contrast across all processes, so that two processes equal one.

    All others as in sentence-transformers and transformers, ``max_length`` (tokens per text in training) included.

    Example:
        >>> args = OTDistillationTrainingArguments(output_dir="out", objective="ot+nce", use_cpu=True)
        >>> args.objective, args.solver
        ('ot+nce', 'ipot')
    """

    objective: str = field(default="ot+nce", metadata={"help": "Terms of the loss on bitext: ot, mse, cos, nce."})
    solver: str = field(default="ipot", metadata={"help": f"Finds the plan: {', '.join(SOLVERS)}."})
    special_tokens: str = field(default="match", metadata={"help": "match, exclude or transport."})
    marginals: str = field(default="uniform", metadata={"help": "uniform or idf."})
    temperature: float = field(default=0.05, metadata={"help": "Temperature of the contrastive terms."})
    gather_across_devices: bool = field(default=True, metadata={"help": "Contrast across all processes."})

    def __post_init__(self) -> None:
        """Check what the distillation adds, then what the hosts have."""
        parse_objective(self.objective)
        if self.solver not in SOLVERS:
            raise InputError(f"there is no solver {self.solver!r}", f"use one of: {', '.join(SOLVERS)}", field="solver")
        if self.special_tokens not in ("match", "exclude", "transport"):
            raise InputError(
                f"is {self.special_tokens!r}", "use 'match', 'exclude' or 'transport'", field="special_tokens"
            )
        if not self.temperature > 0:
            raise InputError(f"is {self.temperature}", "give a positive number", field="temperature")
        if self.marginals not in ("uniform", "idf"):
            raise InputError(f"there are no marginals {self.marginals!r}", "use 'uniform' or 'idf'", field="marginals")
        super().__post_init__()
