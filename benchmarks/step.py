"""What the transport term costs beside the rest of a training step: OT step over sentence-MSE step.

``python benchmarks/step.py [--output FILE]``: student and frozen teacher of one shape read random tokens; the two
losses take turns, and a ratio is of the same round. ``all``: forward of both, loss, backward, optimizer, as a recipe
does it. ``cached teacher``: the teacher's token vectors are at hand, so the rest is smaller and the term's share
larger. The loss is timed alone too, because a share of a percent drowns in the step's own noise: ``from parts`` is
one plus (OT loss - MSE loss) / (step with the MSE loss).
"""

# What is timed is called before its loop goes on.
# ruff: noqa: B023

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from timing import circumstances, interleaved, milliseconds, ratios
from torch import Tensor
from torch.nn import functional
from transformers import XLMRobertaConfig, XLMRobertaModel

from hf_optical.configuration.parsing import run
from hf_optical.losses.alignment import transport_term
from hf_optical.results.files import write_json
from hf_optical.transport import IPOT, Sinkhorn, TransportSolver

SHAPES = {
    "6x384": {"num_hidden_layers": 6, "hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536},
    "12x768": {"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072},
    "tiny": {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64},
}
TARGETS = {("6x384", "all"): 1.006, ("6x384", "cached teacher"): 1.008, ("12x768", "all"): 1.003}
SOLVERS: dict[str, TransportSolver] = {
    "Sinkhorn, 50 iterations": Sinkhorn(iterations=50),
    "Sinkhorn to 1e-3": Sinkhorn(iterations=1000, tolerance=1e-3, relaxation=1.7),
    "IPOT, 50 iterations": IPOT(),
}
MSE = "sentence MSE"


@dataclass
class StepBenchmark:
    """Options."""

    shapes: list[str] = field(default_factory=lambda: ["6x384", "12x768"], metadata={"help": "Of " + ", ".join(SHAPES)})
    batch: int = field(default=32, metadata={"help": "Pairs."})
    length: int = field(default=64, metadata={"help": "Tokens of every sentence."})
    vocabulary: int = field(default=2000, metadata={"help": "Rows of the embeddings; few, so that the encoder counts."})
    rounds: int = field(default=5, metadata={"help": "Timed rounds."})
    loss_rounds: int = field(default=15, metadata={"help": "Timed rounds of the losses alone."})
    whole: bool = field(default=True, metadata={"help": "Time whole steps with every solver, not with the MSE alone."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})


def main(config: StepBenchmark) -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    rows = [row for shape in config.shapes for row in measure(shape, config)]
    heads = f"{'OT / MSE step':>15}{'(min to max)':>20}{'from parts':>12}{'target':>8}"
    print(f"{'shape':<10}{'teacher':<16}{'solver':<26}{heads}")
    for row in rows:
        whole = row["whole_step"] or {"median": float("nan"), "min": "", "max": ""}
        print(f"{row['shape']:<10}{row['step']:<16}{row['solver']:<26}{whole['median']:>15.4f}"
              f"{'(' + str(whole['min']) + ' to ' + str(whole['max']) + ')':>20}{row['from_parts']:>12.4f}"
              f"{row['target'] or '':>8}")  # fmt: skip
    if config.output:
        shape = {"batch": config.batch, "length": config.length, "rounds": config.rounds, "rows": rows}
        write_json(Path(config.output), circumstances() | shape)


def measure(shape: str, config: StepBenchmark) -> list[dict[str, Any]]:
    """One row per solver, with the teacher online and cached."""
    torch.manual_seed(0)
    settings = XLMRobertaConfig(
        vocab_size=config.vocabulary, max_position_embeddings=config.length + 2, **SHAPES[shape]
    )
    student, teacher = (XLMRobertaModel(settings, add_pooling_layer=False) for _ in range(2))
    teacher.eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-5, fused=True)
    ids = torch.randint(5, config.vocabulary, (config.batch, config.length))
    mask = torch.ones_like(ids).bool()
    special = torch.zeros_like(mask)
    special[:, 0] = special[:, -1] = True
    with torch.no_grad():
        cached = teacher(ids).last_hidden_state
    losses = _losses(mask, special)

    def step(loss: Callable[[Tensor, Tensor], Tensor], *, online: bool) -> None:
        optimizer.zero_grad()
        with torch.no_grad():
            target = teacher(ids).last_hidden_state if online else cached
        loss(student(ids).last_hidden_state, target).backward()
        optimizer.step()

    vectors = (cached + cached.std() * torch.randn_like(cached)).requires_grad_()

    def alone(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        vectors.grad = None
        loss(vectors, cached).backward()

    parts = interleaved({name: lambda loss=loss: alone(loss) for name, loss in losses.items()}, config.loss_rounds)
    rows = []
    for kind, online in (("all", True), ("cached teacher", False)):
        timed = {n: loss for n, loss in losses.items() if config.whole or n == MSE}
        times = interleaved(
            {n: lambda loss=loss: step(loss, online=online) for n, loss in timed.items()}, config.rounds
        )
        whole, mse = statistics.median(times[MSE]), statistics.median(parts[MSE])
        for name in SOLVERS:
            rows.append(
                {
                    "shape": shape,
                    "step": kind,
                    "solver": name,
                    "whole_step": ratios(times[name], times[MSE]) if config.whole else None,
                    "from_parts": round(1 + (statistics.median(parts[name]) - mse) / whole, 5),
                    "from_parts_range": _range(parts[name], parts[MSE], whole),
                    "target": TARGETS.get((shape, kind)),
                    "mse_step_milliseconds": milliseconds(times[MSE]),
                    "loss_milliseconds": milliseconds(parts[name]),
                    "mse_loss_milliseconds": milliseconds(parts[MSE]),
                }
            )
    return rows


def _range(mine: list[float], mse: list[float], whole: float) -> list[float]:
    found = [1 + (m - base) / whole for m, base in zip(mine, mse, strict=True)]
    return [round(min(found), 5), round(max(found), 5)]


def _losses(mask: Tensor, special: Tensor) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    def mse(student: Tensor, teacher: Tensor) -> Tensor:
        weight = mask.unsqueeze(2) / mask.sum(1)[:, None, None]
        return functional.mse_loss((student * weight).sum(1), (teacher * weight).sum(1))

    def transport(solver: TransportSolver) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda s, t: transport_term((s, mask, special), (t, mask, special), solver).mean()

    return {MSE: mse, **{name: transport(solver) for name, solver in SOLVERS.items()}}


if __name__ == "__main__":
    run(main, StepBenchmark)
