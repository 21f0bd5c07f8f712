"""All options of a training run."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from hf_optical.runs.options.data import DataOptions
from hf_optical.runs.options.evaluation import EvaluationOptions
from hf_optical.runs.options.headings import HEADINGS
from hf_optical.runs.options.objective import ObjectiveOptions
from hf_optical.runs.options.output import OutputOptions
from hf_optical.runs.options.student import StudentOptions
from hf_optical.runs.options.training import TrainingOptions

if TYPE_CHECKING:  # torch and transformers are imported only where they are needed, so that --help answers at once
    from hf_optical.training.arguments import OTDistillationTrainingArguments

_OF_NO_CONSEQUENCE = {
    "config",
    "output_dir",
    "overwrite",
    "resume_anyway",
    "keep_checkpoints",
    "push_to_hub",
    "teacher_id",
    "report_to",
    "logging_steps",
    "save_steps",
    "measure_start",
    "check_data",
    "shared",
    "teacher_cache",  # its identity is compared, not its place
    "teacher_cache_dtype",
    "plan",
    "gpu",
    "memory_gb",
}


# The help lists the fields of the last base class first.
@dataclass
class TrainConfig(OutputOptions, TrainingOptions, StudentOptions, ObjectiveOptions, EvaluationOptions, DataOptions):
    """Train a student of an English retriever for a language, and measure the gain."""

    HEADINGS: ClassVar[dict[str, str]] = HEADINGS

    @property
    def trains_retrieval(self) -> bool:
        """Return whether there are questions and passages to train on, besides bitext."""
        return bool(self.query_passages or self.context_window)

    @property
    def reads_index_of(self) -> str:
        """Return the encoder of the documents: ``teacher`` or ``student``."""
        return self.document_encoder or ("student" if self.trains_retrieval else "teacher")

    @property
    def aligns_new_pieces(self) -> bool:
        """Return whether the student is grown and its new pieces are aligned in the bitext before training."""
        from hf_optical.students.start import ALIGNED

        return self.student in ("extend", "replace") and self.row_init in ALIGNED

    def decisive(self) -> dict[str, Any]:
        """Return the options that must be equal for an interrupted run to be resumed."""
        return {name: value for name, value in vars(self).items() if name not in _OF_NO_CONSEQUENCE}

    def policy_options(self) -> dict[str, Any]:
        """Return the options of `HybridPolicy` that do not depend on the data."""
        weights: str | float = self.language_weights
        with suppress(ValueError):  # a name, which the policy checks
            weights = float(weights)
        return {"alpha": self.alpha, "bitext_share": self.bitext_share, "language_weights": weights}

    def check(self) -> None:
        """Check for missing options and values out of range, before anything is read.

        Raises:
            InputError: The first such option.
        """
        from hf_optical.runs.option_checks import check_options

        check_options(self)

    @property
    def share_held_out(self) -> float:
        """Return the share of the bitext to hold out: 0 where retrieval is trained, which bitext cannot measure."""
        return 0.0 if self.trains_retrieval else self.held_out

    def arguments(self) -> OTDistillationTrainingArguments:
        """Make and check the trainer's arguments, before anything is read.

        Raises:
            InputError: As in `trainer_arguments`.
        """
        from hf_optical.runs.options.trainer_arguments import trainer_arguments

        return trainer_arguments(self)
