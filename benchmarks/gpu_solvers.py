"""The fused kernel against float64, its PyTorch form, POT's batch solver, and what the device allows."""

# What is timed is called before its loop goes on.
# ruff: noqa: B023

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable
from typing import Any

import ot
import torch
from gpu_device import bound, timed
from gpu_shapes import Sizes, tokens
from torch import Tensor

from hf_optical.losses.alignment import transport_loss
from hf_optical.transport import IPOT, Sinkhorn, TransportSolver, aligned_cost, uniform_marginals
from hf_optical.transport.kernel_call import run_kernel
from hf_optical.transport.kernel_launch import Launch, launch_for

EPSILON = 0.05


def check_accuracy(device: torch.device, sizes: Sizes) -> list[dict[str, Any]]:
    """The kernel against the PyTorch form in float64 on the CPU; padding holds NaN."""
    rows = []
    solvers = (Sinkhorn(), Sinkhorn(iterations=500, tolerance=1e-5, relaxation=1.7), IPOT())
    types = (torch.float32, torch.float16, torch.bfloat16)
    for (n, m), solver, dtype in itertools.product(sizes.checks, solvers, types):
        student, teacher, masks = tokens(4, n, m, sizes.width, device, dtype)
        a, b = (uniform_marginals(mask) for mask in masks)
        found = run_kernel(student, teacher, a, b, solver, plan=True)
        wide = student.double().cpu().requires_grad_()
        loss, plan = _oracle(wide, teacher.double().cpu(), [mask.cpu() for mask in masks], solver)
        (wanted,) = torch.autograd.grad(loss.sum(), wide)
        assert found.gradient is not None
        assert found.plan is not None
        rows.append(
            {
                "tokens": f"{n} x {m}",
                "solver": type(solver).__name__ + (" to 1e-5, relaxed" if solver.tolerance else ""),
                "type": str(dtype).removeprefix("torch."),
                "gradient_error": float((found.gradient.cpu() - wanted).norm() / wanted.norm()),
                "loss_error": float((found.loss.cpu() - loss.detach()).abs().max()),
                "plan_l1_error": float((found.plan.cpu() - plan).abs().sum((1, 2)).max()),
            }
        )
    return rows


def time_solvers(
    device: torch.device, sizes: Sizes, repeats: int, limits: dict[str, Any], *, fused: bool
) -> list[dict[str, Any]]:
    """Cost, solve, loss and gradient: the kernel, the PyTorch form, POT's batch solver; bfloat16 tokens."""
    rows = []
    for pairs, iterations in itertools.product(sizes.batches, sizes.iterations):
        n = sizes.tokens
        student, teacher, masks = tokens(pairs, n, n, sizes.width, device, torch.bfloat16, padded=False)
        a, b = (uniform_marginals(mask) for mask in masks)
        leaf = student.clone().requires_grad_()
        for solver in (Sinkhorn(EPSILON, iterations), IPOT(iterations=iterations)):
            runs = {"PyTorch": lambda s=solver: torch.autograd.grad(_oracle(leaf, teacher, None, s)[0].sum(), leaf)}
            if isinstance(solver, Sinkhorn) and pairs <= 256:
                runs["POT batch"] = lambda: torch.autograd.grad(_with_pot(leaf, teacher, a, b, iterations).sum(), leaf)
            if fused:
                runs["fused kernel"] = lambda s=solver: run_kernel(student, teacher, a, b, s)
            row = {"pairs": pairs, "tokens": n, "iterations": iterations, "solver": type(solver).__name__}
            times: dict[str, list[float]] = {name: [] for name in runs}
            for _, (name, call) in itertools.product(range(repeats), runs.items()):
                times[name].append(timed(call, device, repeats=5))
            row["microseconds"] = {name: round(1e6 * statistics.median(found), 2) for name, found in times.items()}
            if fused:
                row |= _against(times, bound(pairs, n, sizes.width, iterations, limits), device, runs["fused kernel"])
            rows.append(row)
    return rows


def _against(
    times: dict[str, list[float]], limit: dict[str, Any], device: torch.device, call: Callable[[], Any]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in set(times) - {"fused kernel"}:
        shares = [theirs / mine for theirs, mine in zip(times[name], times["fused kernel"], strict=True)]
        found[f"times_faster_than_{name}"] = [round(f(shares), 2) for f in (statistics.median, min, max)]
    seconds = timed(call, device, graph=True)  # without the host's own cost of a call
    found["microseconds_in_a_graph"] = round(1e6 * seconds, 2)
    return found | limit | {"share_of_bound": round(limit["bound_seconds"] / seconds, 3)}


def sweep_launches(device: torch.device, sizes: Sizes) -> list[dict[str, Any]]:
    """Other layouts of the same kernel, so that the choice in `launch_for` can be checked."""
    rows = []
    n, pairs = sizes.tokens, sizes.batches[:1] + sizes.batches[-1:]
    for count, solver in itertools.product(dict.fromkeys(pairs), (Sinkhorn(EPSILON, sizes.iterations[-1]), IPOT())):
        student, teacher, masks = tokens(count, n, n, sizes.width, device, torch.bfloat16, padded=False)
        a, b = (uniform_marginals(mask) for mask in masks)
        usual = launch_for(n, n, proximal=isinstance(solver, IPOT))
        warps = (usual.warps,) if device.type == "cpu" else (2, 4, 8)
        for block_d, count_warps, relays in itertools.product((32, 64), warps, (True, False)):
            launch = Launch(usual.block_n, usual.block_m, block_d, count_warps, relays)
            seconds = timed(
                lambda s=solver, at=launch: run_kernel(student, teacher, a, b, s, launch=at), device, graph=True
            )
            row = {"pairs": count, "solver": type(solver).__name__, **launch._asdict()}
            rows.append(row | {"microseconds": round(1e6 * seconds, 2), "chosen": launch == usual})
    return sorted(rows, key=lambda row: (row["pairs"], row["solver"], row["microseconds"]))


def _oracle(
    student: Tensor, teacher: Tensor, masks: list[Tensor] | None, solver: TransportSolver
) -> tuple[Tensor, Tensor]:
    mine, theirs = masks or [torch.ones(side.shape[:2], device=side.device).bool() for side in (student, teacher)]
    return transport_loss(side(student, mine), side(teacher, theirs), solver, "transport")


def _with_pot(student: Tensor, teacher: Tensor, a: Tensor, b: Tensor, iterations: int) -> Tensor:
    def align(cost: Tensor) -> tuple[Tensor, Tensor]:
        plan = ot.batch.solve_batch(
            cost, EPSILON, a=a, b=b, method="log_sinkhorn", max_iter=iterations, tol=0.0, grad="detach"
        ).plan
        return plan, plan

    return aligned_cost(student, teacher, align)[0]


def side(vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Token vectors without special tokens, as the transport term takes them."""
    return vectors, mask, torch.zeros_like(mask)
