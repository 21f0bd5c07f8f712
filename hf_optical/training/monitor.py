"""Monitor of a training: alarms for problems that the loss does not show, each with a threshold and a remedy."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from sentence_transformers.base.model import BaseModel
from transformers import TrainerCallback

from hf_optical.encoders.teachers import is_late_interaction
from hf_optical.errors import HFOpticalError, InputError, NonFiniteError
from hf_optical.evaluation.health import effective_rank, mean_off_diagonal_cosine, nearest_is_own, plan_information
from hf_optical.figures.plan import sentence_plan
from hf_optical.transport import Sinkhorn, TransportSolver
from hf_optical.transport.misplaced import MOST_MISPLACED, misplaced_shares

__all__ = ["Alarm", "MonitorLimits", "TrainingAlarm", "TrainingMonitor"]

logger = logging.getLogger(__name__)

_PLANS = 8


class TrainingAlarm(HFOpticalError):
    """Error raised when an alarm stops training (``on_alarm="stop"``)."""


@dataclass(frozen=True)
class MonitorLimits:
    """Thresholds of the alarms.

    Attributes:
        cosine: Mean cosine between the student's vectors of different texts above which they count as collapsed...
        over_teacher: ...if it also exceeds the teacher's own mean cosine by this much, because some encoders have
            narrow spaces.
        rank_share: Effective rank of the student's vectors, as a share of the teacher's, below which they count as
            collapsed.
        uniform_plan: Mean information of the plans (0 to 1) below which they carry no more information than the
            marginals.
        misplaced: Largest mean share of the mass that the plans may misplace.
        sharp_plan: Information above which a Sinkhorn plan, which is meant to be soft, counts as a hard alignment.
        retrieval_drop: Drop in retrieval of the monitored pairs from its best value, while the loss decreases.
    """

    cosine: float = 0.9
    over_teacher: float = 0.3
    rank_share: float = 0.25
    uniform_plan: float = 0.05
    misplaced: float = MOST_MISPLACED
    sharp_plan: float = 0.999
    retrieval_drop: float = 0.15


@dataclass(frozen=True)
class Alarm:
    """One alarm: step, kind, finding and remedy."""

    step: int
    kind: str
    found: str
    remedy: str


@dataclass
class _Reading:
    step: int
    loss: float | None
    cosine: float
    rank: float
    retrieval: float
    plan: float | None
    misplaced: float | None = None


@dataclass
class TrainingMonitor(TrainerCallback):
    """Callback that checks a few pairs whenever the trainer logs, and reports alarms.

    Args:
        teacher: Encoder of the English of the monitored pairs; it is read once.
        source: English sentences of the monitored pairs, a few dozen.
        translation: Their translations.
        solver: Transport solver, if the objective has one; without it no plans are monitored.
        limits: Thresholds of the alarms.
        using: Context manager that selects the adapter of the monitored language (``LanguageAdapters.use``).
        on_alarm: ``"warn"`` reports each kind of alarm once; ``"stop"`` raises `TrainingAlarm` before the next step.

    Raises:
        InputError: There are fewer than 16 pairs, or unequal numbers of sentences and translations.

    Example:
        ::

            trainer.add_callback(TrainingMonitor(teacher, rows["source"][:64], rows["translation"][:64]))
    """

    teacher: BaseModel
    source: Sequence[str]
    translation: Sequence[str]
    solver: TransportSolver | None = None
    limits: MonitorLimits = MonitorLimits()
    using: Callable[[], AbstractContextManager[Any]] = nullcontext
    on_alarm: Literal["warn", "stop"] = "warn"
    alarms: list[Alarm] = field(default_factory=list)
    readings: list[_Reading] = field(default_factory=list)
    _english: torch.Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if len(self.source) != len(self.translation) or len(self.source) < 16:
            raise InputError(
                f"{len(self.source)} and {len(self.translation)} texts are given to monitor",
                "give at least 16 pairs, or leave the monitor out",
                field="source",
            )
        if self.on_alarm not in ("warn", "stop"):
            raise InputError(f"is {self.on_alarm!r}", "use 'warn' or 'stop'", field="on_alarm")

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **options: Any) -> None:
        """Take a reading before the first step."""
        if state.is_world_process_zero:
            self._english = _vectors(self.teacher, self.source)
            self._read(model, state.global_step, None)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, model: Any = None, **options: Any
    ) -> None:
        """Take a reading at this step."""
        if state.is_world_process_zero and logs and "loss" in logs and self._english is not None:
            self._read(model, state.global_step, float(logs["loss"]))

    def summary(self) -> dict[str, Any]:
        """Return readings and alarms for ``results.json``."""
        return {
            "readings": [asdict(reading) for reading in self.readings],
            "alarms": [asdict(alarm) for alarm in self.alarms],
        }

    def _read(self, model: Any, step: int, loss: float | None) -> None:
        assert self._english is not None
        training = model.training
        model.eval()
        try:
            with self.using():
                vectors = _vectors(model, self.translation)
                if not torch.isfinite(vectors).all():
                    raise NonFiniteError(f"step {step}: the student's vectors of the monitored texts are not finite")
                with misplaced_shares() as shares:
                    information = self._plan_information(model) if self.solver is not None else None
        finally:
            model.train(training)
        self.readings.append(
            _Reading(
                step,
                loss,
                mean_off_diagonal_cosine(vectors),
                effective_rank(vectors),
                nearest_is_own(vectors, self._english) if vectors.shape == self._english.shape else float("nan"),
                information,
                float(np.mean(shares)) if shares else None,
            )
        )
        for alarm in self._found(self.readings[-1]):
            self._raise_alarm(alarm)

    def _plan_information(self, model: Any) -> float:
        plans = [
            sentence_plan(model, self.teacher, english, other, self.solver)[0]
            for english, other in zip(self.source[:_PLANS], self.translation[:_PLANS], strict=True)
        ]
        return float(np.mean([float(plan_information(plan[None])) for plan in plans]))

    def _found(self, now: _Reading) -> list[Alarm]:
        found = [self._collapsed(now), self._plan_alarm(now), self._misplaced(now), self._falling(now)]
        return [alarm for alarm in found if alarm is not None]

    def _collapsed(self, now: _Reading) -> Alarm | None:
        assert self._english is not None
        cosine, rank = mean_off_diagonal_cosine(self._english), effective_rank(self._english)
        if now.cosine > self.limits.cosine and now.cosine > cosine + self.limits.over_teacher:
            what = (
                f"the vectors of different texts have a mean cosine of {now.cosine:.2f}, those of the teacher "
                f"{cosine:.2f}"
            )
        elif now.rank < self.limits.rank_share * rank:
            what = f"the vectors spread over {now.rank:.1f} directions, those of the teacher over {rank:.1f}"
        else:
            return None
        return Alarm(now.step, "collapse", what, "lower the learning rate, or add a contrastive term (ot+nce)")

    def _plan_alarm(self, now: _Reading) -> Alarm | None:
        if now.plan is None:
            return None
        found = f"the transport plans carry {now.plan:.1%} of the information that they could carry"
        if now.plan < self.limits.uniform_plan:
            remedy = "use a smaller epsilon or beta, more iterations, or a student with a better start"
            return Alarm(now.step, "uniform plan", f"{found}: every token is spread over all tokens", remedy)
        if isinstance(self.solver, Sinkhorn) and now.plan > self.limits.sharp_plan:
            remedy = "use a larger epsilon, or the exact solver if hard alignments are wanted"
            return Alarm(now.step, "hard plan", f"{found}: they are hard alignments", remedy)
        return None

    def _misplaced(self, now: _Reading) -> Alarm | None:
        if now.misplaced is None or now.misplaced <= self.limits.misplaced:
            return None
        found = f"the transport plans misplace {now.misplaced:.1%} of the mass"
        remedy = "use more iterations, or a larger epsilon or beta: the solver stops too early for these costs"
        return Alarm(now.step, "misplaced mass", found, remedy)

    def _falling(self, now: _Reading) -> Alarm | None:
        """Make an alarm if loss and retrieval of the monitored pairs both fell at two readings in a row."""
        if np.isnan(now.retrieval):  # the student's vectors have another width than the teacher's
            return None
        best = max(self.readings, key=lambda reading: reading.retrieval)
        recent = self.readings[-2:]
        if best.loss is None:  # the start has no loss, so the first logged loss is used
            best_loss = next((reading.loss for reading in self.readings if reading.loss is not None), None)
        else:
            best_loss = best.loss
        fallen = all(
            reading is not best
            and reading.loss is not None
            and best_loss is not None
            and reading.loss <= best_loss
            and reading.retrieval < best.retrieval - self.limits.retrieval_drop
            for reading in recent
        )
        if not fallen:
            return None
        return Alarm(
            now.step,
            "retrieval falls",
            f"the loss is down to {now.loss:.3g} while {now.retrieval:.0%} of the monitored translations find their "
            f"English, against {best.retrieval:.0%} at step {best.step}",
            "the objective does not help retrieval here: add nce, lower the learning rate, or stop at that step",
        )

    def _raise_alarm(self, alarm: Alarm) -> None:
        if alarm.kind in {earlier.kind for earlier in self.alarms}:
            return
        self.alarms.append(alarm)
        if self.on_alarm == "stop":
            raise TrainingAlarm(f"step {alarm.step}, {alarm.kind}: {alarm.found}. Remedy: {alarm.remedy}")
        logger.warning("Step %d, %s: %s. Remedy: %s", alarm.step, alarm.kind, alarm.found, alarm.remedy)


@torch.no_grad()
def _vectors(model: Any, texts: Sequence[str]) -> torch.Tensor:
    """Encode one vector per text, (n, d), float32 on the CPU; for late interaction the mean of the token vectors."""
    options: dict[str, Any] = {"show_progress_bar": False, "batch_size": 64}
    if is_late_interaction(model):
        found = model.encode_query(list(texts), **options)
        return torch.stack([torch.as_tensor(tokens).float().mean(dim=0).cpu() for tokens in found])
    return model.encode_query(list(texts), convert_to_tensor=True, **options).float().cpu()
