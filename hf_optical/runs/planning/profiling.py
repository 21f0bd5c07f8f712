"""Instruments of a dry run: peak memory of a section of code, tensors kept for the backward pass, times of steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil
import torch
from transformers import TrainerCallback

Clock = Callable[[], float]
_POLL_SECONDS = 0.01


@dataclass
class Stretch:
    """Time and memory of a section of code.

    Attributes:
        seconds: Seconds by the given clock.
        peak: Peak memory of the section, in bytes: of the GPU if there is one, otherwise resident memory of the
            process.
        after: Memory at its end, in bytes.
    """

    seconds: float = 0.0
    peak: float = 0.0
    after: float = 0.0


def _memory_now() -> float:
    """Return the bytes held now: of the GPU if there is one, otherwise resident memory of this process."""
    if torch.cuda.is_available():
        return float(torch.cuda.memory_reserved())
    return float(psutil.Process().memory_info().rss)


@contextmanager
def watched(clock: Clock = time.perf_counter) -> Iterator[Stretch]:
    """Measure time and memory of a section of code.

    Example:
        >>> with watched() as found:
        ...     kept = bytearray(50_000_000)
        >>> found.peak >= 50_000_000, found.seconds > 0
        (True, True)
    """
    found, done, gpu = Stretch(), threading.Event(), torch.cuda.is_available()

    def poll() -> None:
        process = psutil.Process()
        while not done.is_set():
            found.peak = max(found.peak, float(process.memory_info().rss))
            done.wait(_POLL_SECONDS)

    thread = threading.Thread(target=poll, daemon=True)
    if gpu:
        torch.cuda.reset_peak_memory_stats()
    else:
        thread.start()
    start = clock()
    try:
        yield found
    finally:
        if gpu:
            torch.cuda.synchronize()
        found.seconds = clock() - start
        done.set()
        if gpu:
            found.peak = float(torch.cuda.max_memory_reserved())
        else:
            thread.join()
        found.after = _memory_now()
        found.peak = max(found.peak, found.after)


class _Kept:
    """A saved tensor, counted while it exists."""

    __slots__ = ("_place", "_tally", "tensor")

    def __init__(self, tensor: torch.Tensor, tally: SavedTensors) -> None:
        self.tensor, self._tally, self._place = tensor, tally, tensor.untyped_storage().data_ptr()
        tally.add(self._place, tensor.untyped_storage().nbytes())

    def __del__(self) -> None:
        self._tally.remove(self._place)


class SavedTensors:
    """Counts the bytes that autograd keeps for the backward pass, without the weights.

    Args:
        weights: Parameters not to be counted.

    Example:
        >>> x = torch.ones(1000, requires_grad=True)
        >>> tally = SavedTensors([x])
        >>> with tally.counted():
        ...     y = (x.exp() * 2).exp().sum()
        >>> tally.peak  # the two results of exp, 4 bytes each
        8000
    """

    def __init__(self, weights: Any) -> None:
        self._weights = {weight.untyped_storage().data_ptr() for weight in weights}
        self._held: dict[int, list[int]] = {}
        self.now = self.peak = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the tensors saved within the context."""

        def pack(tensor: torch.Tensor) -> Any:
            if tensor.untyped_storage().data_ptr() in self._weights:
                return tensor
            return _Kept(tensor.detach(), self)

        def unpack(kept: Any) -> torch.Tensor:
            return kept.tensor if isinstance(kept, _Kept) else kept

        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            yield

    def add(self, place: int, size: int) -> None:
        """Add a saved tensor; views of one storage are counted once."""
        entry = self._held.setdefault(place, [0, size])
        if not entry[0]:
            self.now += size
            self.peak = max(self.peak, self.now)
        entry[0] += 1

    def remove(self, place: int) -> None:
        """Remove a released tensor."""
        entry = self._held[place]
        entry[0] -= 1
        if not entry[0]:
            self.now -= entry[1]
            del self._held[place]


@dataclass
class StepTimes(TrainerCallback):
    """Callback that records the seconds of every step, including the work between steps, and of the optimizer alone.

    Attributes:
        clock: Function that returns the time in seconds.
        steps: Seconds of every step.
        optimizer: Seconds of the optimizer in every step.
        began: Time at which the first step began.
        trained: Number of trained weights at that time.
    """

    clock: Clock = time.perf_counter
    steps: list[float] = field(default_factory=list)
    optimizer: list[float] = field(default_factory=list)
    began: float = 0.0
    trained: int = 0
    _last: float = 0.0
    _before_optimizer: float = 0.0

    def on_train_begin(self, *args: Any, model: Any = None, **options: Any) -> None:
        """Start the clock."""
        self.trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
        self.began = self._last = self.clock()

    def on_pre_optimizer_step(self, *args: Any, **options: Any) -> None:
        """Record the end of forward and backward pass."""
        self._before_optimizer = self._now()

    def on_step_end(self, *args: Any, **options: Any) -> None:
        """Record the end of the step."""
        now = self._now()
        self.steps.append(now - self._last)
        self.optimizer.append(now - self._before_optimizer)
        self._last = now

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return self.clock()
