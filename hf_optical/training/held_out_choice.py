"""Keep the step at which held-out pairs score best, and stop training when later steps are not better."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import TrainerCallback

from hf_optical.errors import InputError
from hf_optical.evaluation.held_out import HeldOutScore
from hf_optical.places import whole_file
from hf_optical.results.files import write_json

__all__ = ["PATIENCE", "HeldOutChoice", "Reading", "validation_interval"]
from hf_optical.training.default_values import PATIENCE
from hf_optical.training.weight_mean import check_start_share, weight_mean

logger = logging.getLogger(__name__)

_CURVE, _WEIGHTS, _START = "curve.json", "best.safetensors", "start.safetensors"
_VALIDATIONS, _CLOSEST = 25, 10
LOGGED = "held_out_"
"""Prefix of the names under which validations are logged."""


def validation_interval(steps: int) -> int:
    """Return the steps between validations: about 25 validations in a training, at least ten steps apart.

    Example:
        >>> [validation_interval(steps) for steps in (40, 500, 2000)]
        [10, 20, 80]
    """
    return max(_CLOSEST, round(steps / _VALIDATIONS))


@dataclass(frozen=True)
class Reading:
    """Result of one validation.

    Attributes:
        step: Optimizer steps taken before the validation.
        value: The measure; higher is better.
        parts: The measures whose mean it is, by name.
    """

    step: int
    value: float
    parts: dict[str, float] = field(default_factory=dict)


class HeldOutChoice(TrainerCallback):
    """Callback that validates during training, keeps the best step's weights, and restores them at the end.

    The untrained student is validated first: if no later step is better, training ends with the student with which it
    began. A tie goes to the earlier step. Only trained weights are kept, in ``folder`` together with the curve, so that
    an interrupted training that resumes from a checkpoint ends like an uninterrupted one. Of several processes the
    first validates and sends the result to the others.

    With ``start_share`` the student ends with the mean of the best step's weights and the untrained ones
    (`weight_mean`). Held-out pairs are the bitext's kind of text, in which the best step alone mostly scores higher. A
    mean that scores less than the same mean of both scores is not taken: there training is no straight way to something
    better, as with a student that could not read the language.

    Args:
        score: Function that scores the student; it may leave it in evaluation mode.
        folder: Folder used by this training only; created if it does not exist.
        every: Steps between validations; the last step is validated too.
        patience: Number of validations without improvement after which training stops; 0 to never stop.
        start_share: Share of the untrained student in the weights with which training ends.
        say: Function that gets a line of text for every validation; by default it is logged.
        log: Function that gets the numbers of every validation by name, such as the trainer's own ``log``, which passes
            them to TensorBoard and other dashboards.

    Raises:
        InputError: ``every`` is below 1, ``start_share`` is not from 0 to below 1, or the kept weights are missing on
            resuming.

    Example:
        ::

            index = HeldOutRetrieval(held_out_sets(split.held_out, split.train, "swh_Latn"), teacher)
            trainer.add_callback(HeldOutChoice(index.score, "out/held_out", every=50))
    """

    def __init__(
        self,
        score: Callable[[Any], HeldOutScore],
        folder: str | Path,
        *,
        every: int,
        patience: int = PATIENCE,
        start_share: float = 0.0,
        say: Callable[[str], Any] = logger.info,
        log: Callable[[dict[str, float]], Any] = lambda numbers: None,
    ) -> None:
        if every < 1:
            raise InputError(f"is {every}", "give a number of steps, 1 or more", field="every")
        check_start_share(start_share)
        self._score, self._folder, self._say, self._log = score, Path(folder), say, log
        self.every, self.patience, self.start_share = every, patience, start_share
        self.readings: list[Reading] = []
        self.best: Reading | None = None
        self.mean: Reading | None = None
        self.stopped_early = False
        self._names: set[str] = set()

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **options: Any) -> None:
        """Validate the untrained student; on resuming, read the earlier validations."""
        self._names = {name for name, weight in model.named_parameters() if weight.requires_grad}
        if not state.global_step:
            self.readings, self.best, self.mean = [], None, None
            self._validate(model, 0)
            return
        self._read_back(state.global_step)
        if self._exhausted() and state.global_step < state.max_steps:  # interrupted after early stopping
            self.stopped_early = control.should_training_stop = True

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **options: Any) -> None:
        """Validate if the interval has passed, and stop after ``patience`` validations without improvement."""
        last = state.global_step >= state.max_steps
        if state.global_step % self.every and not last:
            return
        if all(reading.step != state.global_step for reading in self.readings):
            self._validate(model, state.global_step)
        if self._exhausted() and not last:
            self.stopped_early = control.should_training_stop = True

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **options: Any) -> None:
        """Restore the best weights, or their mean with the untrained ones."""
        if self.best is None:
            return
        PartialState().wait_for_everyone()
        self._put_back(model)
        if self.start_share and self.best.step:
            self._average(model)
            self.mean = self._measured(model, self.best.step)
            if self.taken_mean is None:
                self._put_back(model)
        if PartialState().is_main_process:
            self._say(self.verdict())

    @property
    def untrained(self) -> Reading | None:
        """Return the validation before the first step."""
        return next((reading for reading in self.readings if reading.step == 0), None)

    def verdict(self) -> str:
        """Describe in words which step was kept and why."""
        if self.best is None or self.untrained is None:
            return "Nothing was validated."
        last = max(reading.step for reading in self.readings)
        ended = f"stopped at step {last}" if self.stopped_early else f"ran to step {last}"
        if self.best.step == 0:
            return (
                f"Held-out pairs: no step was better than the untrained student ({self.best.value:.3f}); the training "
                f"{ended}, and the student is kept as it was before."
            )
        said = (
            f"Held-out pairs: step {self.best.step} is kept ({self.best.value:.3f}, untrained "
            f"{self.untrained.value:.3f}); the training {ended}."
        )
        if self.mean is None:
            return said
        share = f"which count for {self.start_share:.0%}"
        averaged = f"averaged with the untrained student's, {share}: {self.mean.value:.3f}"
        if self.taken_mean is None:
            return f"{said} Its weights are not {averaged}."
        return f"{said} Its weights are {averaged}, to keep more of what that one reads in other texts."

    @property
    def taken_mean(self) -> Reading | None:
        """Return the mean's validation if training ended with it: it scored no less than the mean of both scores."""
        if self.mean is None or self.best is None or self.untrained is None:
            return None
        share = self.start_share
        least = share * self.untrained.value + (1 - share) * self.best.value
        return self.mean if self.mean.value >= least else None

    def summary(self) -> dict[str, Any]:
        """Return the entry of ``results.json``: the curve, the kept step, and whether training stopped early."""
        return {
            "curve": [asdict(reading) for reading in self.readings],
            "best_step": self.best.step if self.best else None,
            "best": self.best.value if self.best else None,
            "untrained": self.untrained.value if self.untrained else None,
            "start_share": self.start_share,
            "mean": self.mean
            and {"value": self.mean.value, "parts": self.mean.parts, "taken": self.taken_mean is not None},
            "stopped_early": self.stopped_early,
            "every": self.every,
            "patience": self.patience,
            "verdict": self.verdict(),
        }

    def _measured(self, model: Any, step: int) -> Reading:
        """Score the student on the first process, and send the result to the others."""
        state = PartialState()
        found: list[Any] = [None]
        if state.is_main_process:
            training = model.training
            try:
                score = self._score(model)
            finally:
                model.train(training)
            found = [Reading(step, score.value, dict(score.parts))]
        if state.num_processes > 1:
            broadcast_object_list(found)
        reading: Reading = found[0]
        return reading

    def _validate(self, model: Any, step: int) -> None:
        reading = self._measured(model, step)
        self.readings.append(reading)
        better = self.best is None or reading.value > self.best.value
        if better:
            self.best = reading
        if PartialState().is_main_process:
            shown = ", ".join(f"{name} {value:.3f}" for name, value in reading.parts.items())
            self._say(f"step {step}, held-out pairs: {reading.value:.4f} ({shown})" + ("; best" if better else ""))
            self._write(model if better else None)
        numbers = {"held-out pairs": reading.value, **reading.parts}
        self._log({f"{LOGGED}{name.removeprefix('held-out ').replace(' ', '_')}": x for name, x in numbers.items()})

    def _exhausted(self) -> bool:
        best = self.best.step if self.best else 0
        return bool(self.patience) and sum(reading.step > best for reading in self.readings) >= self.patience

    def _write(self, model: Any) -> None:
        """Write the weights first, then the curve, so that the curve never names a step whose weights are missing."""
        self._folder.mkdir(parents=True, exist_ok=True)
        assert self.best is not None
        if model is not None:
            weights = {name: weight.cpu().contiguous().clone() for name, weight in self._trained(model)}
            for name in (_WEIGHTS, _START) if self.start_share and self.best.step == 0 else (_WEIGHTS,):
                with whole_file(self._folder / name) as scratch:
                    save_file(weights, scratch)
        content = {"readings": [asdict(reading) for reading in self.readings], "best": asdict(self.best)}
        write_json(self._folder / _CURVE, content)

    def _read_back(self, step: int) -> None:
        """Read the validations up to a checkpoint's step; later ones are dropped, as training repeats those steps."""
        place = self._folder / _CURVE
        if not place.is_file() or not (self._folder / _WEIGHTS).is_file():
            raise InputError(
                "the held-out validations of the checkpoint are missing",
                "resume in the folder in which training began, or start again with --overwrite",
                path=place,
            )
        if self.start_share and not (self._folder / _START).is_file():
            raise InputError(
                f"is {self.start_share}, but the training was begun without keeping the untrained student's weights",
                "resume with a share of 0",
                path=self._folder / _START,
                field="start_share",
            )
        content = json.loads(place.read_text(encoding="utf-8"))
        self.readings = [Reading(**reading) for reading in content["readings"] if reading["step"] <= step]
        self.best = Reading(**content["best"])

    def _trained(self, model: nn.Module) -> list[tuple[str, Tensor]]:
        return [(name, weight.detach()) for name, weight in model.named_parameters() if name in self._names]

    def _put_back(self, model: nn.Module) -> None:
        """Give the student the best step's weights."""
        with self._kept(_WEIGHTS, model) as best:
            for name, weight in self._trained(model):
                weight.copy_(best.get_tensor(name))

    def _average(self, model: nn.Module) -> None:
        """Average the student's weights with the untrained ones, one at a time."""
        with self._kept(_START, model) as start:
            for name, weight in self._trained(model):
                weight.copy_(weight_mean(start.get_tensor(name).to(weight.device), weight, self.start_share))

    def _kept(self, name: str, model: nn.Module) -> Any:
        """Open a file of kept weights, and check that they are those that are trained."""
        opened, trained = safe_open(self._folder / name, framework="pt"), dict(self._trained(model))
        if set(opened.keys()) != trained.keys():
            raise InputError(
                f"the kept weights have {len(opened.keys())} parameters, but {len(trained)} are trained",
                "resume with the options with which training began, or start again with --overwrite",
                path=self._folder / name,
            )
        return opened
