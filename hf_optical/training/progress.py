"""Progress bar that shows the losses by name."""

from __future__ import annotations

from typing import Any

from transformers.trainer_callback import ProgressCallback

from hf_optical.training.held_out_choice import LOGGED

_HIDDEN = {"total_flos", "epoch", "grad_norm"}


class NamedLossProgress(ProgressCallback):
    """Progress bar of transformers with the latest value of every loss beside it, instead of lines above it."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **options: Any) -> None:
        """Show the numbers of a log in the bar, and everything else (evaluations, strings) as a line."""
        if not state.is_world_process_zero or self.training_bar is None or not logs:
            return
        if "train_runtime" in logs:  # the last log: times that are kept in the history, and that nobody reads as a dict
            return
        if any(name.startswith(LOGGED) for name in logs):  # printed as a line already
            return
        if "loss" not in logs:
            super().on_log(args, state, control, logs=logs, **options)
            return
        shown = {name: float(value) for name, value in logs.items() if name not in _HIDDEN}
        self.training_bar.set_postfix({name: f"{value:.4g}" for name, value in shown.items()}, refresh=True)
