"""Trainings that take turns in one process: each runs some steps, is timed, and hands over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import TrainerCallback


class Turns:
    """Who may run now; the others wait."""

    def __init__(self, names: list[str]) -> None:
        self._condition = threading.Condition()
        self._names = list(names)

    def wait(self, name: str) -> None:
        """Return when it is this one's turn."""
        with self._condition:
            self._condition.wait_for(lambda: self._names[0] == name)

    def hand_over(self, name: str) -> None:
        """Let the next one run, and return when it is this one's turn again."""
        with self._condition:
            self._names.append(self._names.pop(0))
            self._condition.notify_all()
        self.wait(name)

    def leave(self, name: str) -> None:
        """Take no more turns."""
        with self._condition:
            self._names.remove(name)
            self._condition.notify_all()


@dataclass
class Segments(TrainerCallback):
    """Times every ``length`` steps of a training, with all that the trainer does between steps, and hands over.

    What a training does before its first step (a bank, a watch's first look, lengths of texts) is timed apart.
    """

    turns: Turns
    name: str
    length: int
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    before: float = 0.0
    """CPU seconds from the start of the training to its first step."""
    _began: tuple[float, float] = (0.0, 0.0)

    def start(self) -> None:
        """When the training is about to begin."""
        self._began = (time.process_time(), time.perf_counter())

    def on_step_begin(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        """Before the first step of a segment."""
        if state.global_step % self.length:
            return
        if state.global_step:
            self._stop()
            self.turns.hand_over(self.name)
        else:
            self.before = time.process_time() - self._began[0]
        # Of the process, not of the thread: tokenizers have threads of their own. No one else runs meanwhile.
        self._began = (time.process_time(), time.perf_counter())

    def on_train_end(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        """After the last segment."""
        self._stop()

    def _stop(self) -> None:
        self.cpu.append(time.process_time() - self._began[0])
        self.wall.append(time.perf_counter() - self._began[1])
        print(f"{self.name}, segment {len(self.cpu)}: {self.cpu[-1]:.2f} s CPU, {self.wall[-1]:.2f} s", flush=True)


def train_in_turns(trainers: dict[str, Any], steps_per_segment: int) -> dict[str, Segments]:
    """Train all to their ends, some steps each in turn, one torch thread.

    Args:
        trainers: By name; with equal numbers of steps.
        steps_per_segment: Steps until the next one's turn.

    Returns:
        The times of each.
    """
    turns = Turns(list(trainers))
    segments = {name: Segments(turns, name, steps_per_segment) for name in trainers}
    errors: list[BaseException] = []

    def run(name: str, train: Callable[[], Any]) -> None:
        torch.set_num_threads(1)  # counts for the thread that says it
        turns.wait(name)
        try:
            if not errors:
                segments[name].start()
                train()
        except BaseException as error:
            errors.append(error)
        finally:
            turns.leave(name)

    threads = []
    for name, trainer in trainers.items():
        trainer.add_callback(segments[name])
        threads.append(threading.Thread(target=run, args=(name, trainer.train)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return segments
