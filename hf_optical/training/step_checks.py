"""Checks of every training step: loss and gradient are finite before the optimizer takes it."""

from __future__ import annotations

from typing import Any

import torch
from sentence_transformers.base.trainer import BaseTrainer
from torch import nn

from hf_optical.errors import NonFiniteError
from hf_optical.training.delayed_checks import DelayedChecks, skips_on_the_device
from hf_optical.training.losses_by_kind import unchecked

__all__ = ["StepChecks"]


class StepChecks(BaseTrainer):
    """Mixin of a trainer, which stops it before a step that is not finite.

    With ``delayed_checks`` of the arguments, and an optimizer that can skip a step on the device, the error comes when
    the next step begins; the weights are then as they were before the bad step.
    """

    _delayed: DelayedChecks | None = None

    def train(self, *args: Any, **options: Any) -> Any:
        """Train as the Trainer does; the last step is checked too."""
        self._delayed = DelayedChecks() if getattr(self.args, "delayed_checks", False) else None
        result = super().train(*args, **options)
        self._report_bad_step()
        return result

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any) -> Any:
        """Compute the loss; raise an error naming the data set at NaN or infinity, before backward and optimizer."""
        if self._delayed is None or not torch.is_grad_enabled() or not self._can_delay():
            return self._checked_loss(model, inputs, *args, **options)
        self._report_bad_step()
        self._delayed.keep(model, dict(inputs))
        with unchecked(self.loss):
            result = super().compute_loss(model, inputs, *args, **options)
        if isinstance(result, tuple):
            return (self._delayed.poisoned(result[0]), *result[1:])
        return self._delayed.poisoned(result)

    def _checked_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any) -> Any:
        name = inputs.get("dataset_name")
        try:
            result = super().compute_loss(model, inputs, *args, **options)
        except NonFiniteError as error:
            raise NonFiniteError(f"{self._place(name)}: {error}") from error
        loss = result[0] if isinstance(result, tuple) else result
        if not torch.isfinite(loss.detach()).all():
            raise NonFiniteError(f"{self._place(name)}: the loss is {float(loss.detach().mean())}; no step was taken")
        return result

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        norm = super()._clip_grad_norm(model)
        return norm if self._delayed is not None and self._can_delay() else self._finite(norm)

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if self._delayed is not None and isinstance(norm, torch.Tensor) and self._can_delay():
            self._delayed.guard(self.optimizer, norm, self.state.global_step + 1)
            return norm
        return self._finite(norm)

    def _finite(self, norm: Any) -> Any:
        # A gradient scaler (fp16) produces infinities on purpose and skips those steps itself.
        scaled = self.accelerator.scaler is not None
        if norm is not None and not scaled and not torch.isfinite(torch.as_tensor(norm)).all():
            raise NonFiniteError(f"{self._place(None)}: {_bad_norm(float(norm))}")
        return norm

    def _can_delay(self) -> bool:
        if self.optimizer is None or self.is_fsdp_enabled or self.accelerator.scaler is not None:
            return False
        return skips_on_the_device(self.optimizer)

    def _report_bad_step(self) -> None:
        """Raise if the step before was not finite; it was not taken, so that its batch can be read again."""
        bad = self._delayed.bad_step() if self._delayed is not None else None
        if bad is None:
            return
        now, self.state.global_step = self.state.global_step, bad.step - 1  # messages name the step that was bad
        try:
            for model, inputs in bad.batches:
                with torch.no_grad():
                    self._checked_loss(model, inputs)
        finally:
            self.state.global_step = now
        raise NonFiniteError(f"step {bad.step}: {_bad_norm(bad.norm)}")

    def _maybe_log_save_evaluate(self, *args: Any, **options: Any) -> None:
        if self.control.should_log or self.control.should_save or self.control.should_evaluate:
            self._report_bad_step()
        super()._maybe_log_save_evaluate(*args, **options)

    def _place(self, name: str | None) -> str:
        return f"step {self.state.global_step + 1}" + (f", data set {name!r}" if name else "")


def _bad_norm(norm: float) -> str:
    return f"the gradient's norm is {norm}; no step was taken. Lower the learning rate, or train in float32"
