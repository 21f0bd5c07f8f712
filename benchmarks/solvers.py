"""Time and accuracy of the transport solvers on this machine, as a table of ratios.

``python benchmarks/solvers.py [--json FILE]``: one thread, solvers interleaved, median over rounds. On CPU it is
processor time, which a busy machine disturbs least. Times are given relative to IPOT with 50 iterations in the same
round, since absolute times drift; the excess is the cost of the plan over the exact cost, the violation the mass
misplaced (L1), both averaged over the batch.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import torch

from hf_optical.transport import IPOT, Exact, Sinkhorn, TransportSolver, cosine_cost, uniform_marginals

REFERENCE = "IPOT 50"
SOLVERS: dict[str, TransportSolver] = {
    "IPOT 10": IPOT(iterations=10),
    REFERENCE: IPOT(),
    "IPOT 100": IPOT(iterations=100),
    "Sinkhorn 0.05": Sinkhorn(epsilon=0.05),
    "Sinkhorn 0.1": Sinkhorn(epsilon=0.1),
    "Exact": Exact(),
}
SIZES = [(16, 16), (40, 30), (64, 64), (128, 128)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=32, help="pairs per batch (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="timed rounds (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="where costs and plans lie (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the measurements to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for n, m in SIZES:
        rows += measure(n, m, options.pairs, options.rounds, options.device)
    print(f"{options.pairs} pairs, {options.rounds} rounds, {options.device}, time relative to {REFERENCE}")
    print(f"{'tokens':>9}  {'solver':<14}{'time':>7}{'ms':>9}{'excess':>10}{'violation':>11}")
    for row in rows:
        print(
            f"{row['n']:>5}x{row['m']:<3}  {row['solver']:<14}{row['time_ratio']:>7.2f}{row['milliseconds']:>9.2f}"
            f"{row['excess']:>10.2%}{row['violation']:>11.1e}"
        )
    if options.json:
        report = {"pairs": options.pairs, "rounds": options.rounds, "threads": 1, "device": options.device}
        report |= {"reference": REFERENCE, "torch": torch.__version__, "machine": platform.machine(), "rows": rows}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def measure(n: int, m: int, pairs: int, rounds: int, device: str) -> list[dict[str, object]]:
    """Time every solver on one batch of full rows of ``n`` student and ``m`` teacher tokens."""
    cost, a, b = batch(n, m, pairs, device)
    exact = Exact().solve(cost, a, b).cost
    times: dict[str, list[float]] = {name: [] for name in SOLVERS}
    for _ in range(rounds + 1):
        for name, solver in SOLVERS.items():
            times[name].append(timed(solver, cost, a, b))
    rows = []
    for name, solver in SOLVERS.items():
        solution = solver.solve(cost, a, b)
        # The first round warms caches up and loads what is loaded late.
        ratios = [mine / reference for mine, reference in zip(times[name][1:], times[REFERENCE][1:], strict=True)]
        rows.append(
            {
                "n": n,
                "m": m,
                "solver": name,
                "time_ratio": round(statistics.median(ratios), 3),
                "milliseconds": round(1e3 * statistics.median(times[name][1:]), 3),
                "excess": round(float((solution.cost / exact - 1).mean()), 6),
                "violation": float(f"{float(solution.violation.mean()):.2e}"),
            }
        )
    return rows


def timed(solver: TransportSolver, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> float:
    clock = time.process_time if cost.device.type == "cpu" else time.perf_counter
    start = clock()
    solver(cost, a, b).sum().item()  # the read waits for an asynchronous device
    return clock() - start


def batch(n: int, m: int, pairs: int, device: str, width: int = 384) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens of a sentence share a direction, as in a trained encoder; the student's are noisy copies, shuffled."""
    generator = torch.Generator().manual_seed(n * 1000 + m)
    teacher = torch.randn(pairs, 1, width, generator=generator) + torch.randn(pairs, m, width, generator=generator)
    source = torch.randint(m, (pairs, n, 1), generator=generator).expand(-1, -1, width)
    student = teacher.gather(1, source) + 1.5 * torch.randn(pairs, n, width, generator=generator)
    a, b = uniform_marginals(torch.ones(pairs, n)), uniform_marginals(torch.ones(pairs, m))
    return cosine_cost(student, teacher).to(device), a.to(device), b.to(device)


if __name__ == "__main__":
    main()
