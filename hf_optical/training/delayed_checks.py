"""Steps that are not finite, skipped on the device and reported a step later: no step waits for the device."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["BadStep", "DelayedChecks", "skips_on_the_device"]

logger = logging.getLogger(__name__)


def skips_on_the_device(optimizer: Any) -> bool:
    """Whether an optimizer leaves out a step by a flag on the device, as fused ones do for the scaler of float16.

    Example:
        >>> weight = [torch.nn.Parameter(torch.zeros(1))]
        >>> skips_on_the_device(torch.optim.AdamW(weight, fused=True)), skips_on_the_device(torch.optim.AdamW(weight))
        (True, False)
    """
    inner = getattr(optimizer, "optimizer", optimizer)
    fused = all(group.get("fused") for group in inner.param_groups)
    return fused and bool(getattr(inner, "_step_supports_amp_scaling", False))


@dataclass(frozen=True)
class BadStep:
    """A step that was not taken.

    Attributes:
        step: Its number.
        norm: Of its gradient.
        batches: What was read for it.
    """

    step: int
    norm: float
    batches: list[tuple[Any, Any]]


class DelayedChecks:
    """Watches the gradient's norm: a step whose norm is not finite is not taken, and is found at the next one.

    The flag stays on the device, where the fused optimizer reads it (``found_inf``): weights and moments are as they
    were before. Only a copy travels to the host, which reads it when the next step begins, before a log, a validation
    or a checkpoint, and at the end. A loss that is not finite makes every gradient NaN (:meth:`poisoned`), and in all
    processes, once gradients are averaged: all of them skip the same step.
    """

    def __init__(self) -> None:
        self._pending: tuple[int, Tensor, Any, list[tuple[Any, Any]]] | None = None
        self._batches: list[tuple[Any, Any]] = []

    def keep(self, model: Any, inputs: Any) -> None:
        """Keep what is read, until its step is known to be sound: a bad one is read again, to name its rows."""
        self._batches.append((model, inputs))

    @staticmethod
    def poisoned(loss: Tensor) -> Tensor:
        """The loss, multiplied by NaN where it is not finite: some infinities have a finite gradient.

        Example:
            >>> DelayedChecks.poisoned(torch.tensor([2.0, float("inf")])).tolist()
            [2.0, nan]
        """
        return loss * torch.where(torch.isfinite(loss.detach()), 1.0, float("nan"))

    def guard(self, optimizer: Any, norm: Tensor, step: int) -> None:
        """Have the optimizer leave out its next step if the norm is not finite.

        Args:
            optimizer: A fused one; see :func:`skips_on_the_device`.
            norm: Of the gradient, a scalar on the device.
            step: Its number.
        """
        found = norm.detach().float().reshape(())
        getattr(optimizer, "optimizer", optimizer).found_inf = (~torch.isfinite(found)).float()
        event = None
        if found.device.type != "cpu":
            found = found.to("cpu", non_blocking=True)
            event = torch.Event(norm.device.type)
            event.record()
        self._pending = (step, found, event, self._batches)
        self._batches = []

    def bad_step(self) -> BadStep | None:
        """The last guarded step, if it was not finite; asked once."""
        if self._pending is None:
            return None
        step, norm, event, batches = self._pending
        self._pending = None
        if event is not None:
            event.synchronize()
        value = float(norm)
        return None if torch.isfinite(norm) else BadStep(step, value, batches)
