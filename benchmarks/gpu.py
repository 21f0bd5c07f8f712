"""Everything there is to measure on a GPU, in one run of under ten minutes.

``python benchmarks/gpu.py [--output FILE]`` on CUDA; ``--dry true`` runs the same code on tiny shapes on the CPU, for
correctness alone. In one call it measures the device (bandwidth, float32 multiply-adds, cost of a launch), checks the
fused kernel against float64 in three precisions with rubbish in the padding, times it against the PyTorch form and
POT's batch solver and against the bound ``launch + max(bytes / bandwidth, 2 B n m iterations / multiply-adds a
second)``, times an OT step against a sentence-MSE step, and a run over sentences of unlike length against the stock
recipe.
"""

# What is timed is called before its loop goes on.
# ruff: noqa: B023

from __future__ import annotations

import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ot
import torch
from timing import circumstances
from torch import Tensor
from torch.nn import functional
from transformers import XLMRobertaConfig, XLMRobertaModel
from transformers.utils import is_flash_attn_2_available

from hf_optical.configuration import run
from hf_optical.losses.alignment import transport_loss, transport_term
from hf_optical.results import write_json
from hf_optical.transport import IPOT, Sinkhorn, TransportSolver, aligned_cost, uniform_marginals
from hf_optical.transport.fused import Launch, fused_fits, launch_for, run_kernel

EPSILON = 0.05
TARGETS = {
    "gradient_error": 1e-3,
    "times_faster_than_pytorch": 10,
    "times_faster_than_pot_batch": 50,
    "microseconds_32_64_100": 25,
    "share_of_bandwidth_bound": 0.70,
    "share_of_fma_bound": 0.35,
    "step_fused": 1.02,
    "step_pytorch": 1.10,
}


@dataclass
class GpuBenchmark:
    """Options."""

    dry: bool = field(default=False, metadata={"help": "Tiny shapes on the CPU; timings mean nothing then."})
    repeats: int = field(default=7, metadata={"help": "Timed repeats, in turn."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file."})


@dataclass(frozen=True)
class _Sizes:
    width: int
    tokens: int
    batches: tuple[int, ...]
    checks: tuple[tuple[int, int], ...]
    iterations: tuple[int, ...]
    step: tuple[int, int]
    model: dict[str, int]
    run_batches: int
    copied: int


_BASE = {"vocab_size": 20_000, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
_BASE |= {"intermediate_size": 3072, "max_position_embeddings": 514}
_TINY = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
_TINY |= {"intermediate_size": 32, "max_position_embeddings": 130}
REAL = _Sizes(
    768, 64, (32, 256, 4096), ((64, 64), (33, 17), (5, 100), (128, 128)), (10, 50, 100), (256, 64), _BASE, 40, 1 << 31
)
DRY = _Sizes(24, 8, (2,), ((7, 5),), (10,), (2, 8), _TINY, 2, 1 << 12)


def main(config: GpuBenchmark) -> None:
    """Measure, print, write."""
    if not config.dry and not torch.cuda.is_available():
        raise SystemExit("no CUDA device; --dry true runs the same code on tiny shapes")
    device, sizes = torch.device("cpu" if config.dry else "cuda"), DRY if config.dry else REAL
    report: dict[str, Any] = circumstances("device events, medians") | {"dry": config.dry, "targets": TARGETS}
    started = time.perf_counter()
    probe = torch.zeros(1, 1, sizes.width, device=device)
    report["fused_kernel"] = fused = fused_fits(probe, probe, Sinkhorn())
    if not fused:
        print("the fused kernel does not run here (no Triton, or switched off): its rows are left out")
    parts: dict[str, Callable[[], Any]] = {
        "device": lambda: measure_device(device, sizes, fused=fused),
        "accuracy": lambda: check_accuracy(device, sizes) if fused else [],
        "solvers": lambda: time_solvers(device, sizes, config.repeats, report.get("device", {}), fused=fused),
        "launches": lambda: sweep_launches(device, sizes) if fused else [],
        "step": lambda: time_step(device, sizes, config.repeats),
        "run": lambda: time_run(device, sizes),
    }
    for name, part in parts.items():
        try:
            report[name] = part()
        except Exception as error:  # what was measured before is worth keeping
            if config.dry:
                raise
            report[name] = {"failed": f"{type(error).__name__}: {error}"[:500]}
        _print(name, report[name])
        if config.output:
            write_json(Path(config.output), report | {"seconds": round(time.perf_counter() - started, 1)})


def measure_device(device: torch.device, sizes: _Sizes, *, fused: bool) -> dict[str, float | None]:
    """Bytes a second of a copy (read and written), float32 multiply-adds a second, seconds of a launch."""
    source = torch.randn(sizes.copied // 4, device=device)
    target = torch.empty_like(source)
    found: dict[str, float | None] = {
        "bytes_per_second": 2 * sizes.copied / timed(lambda: target.copy_(source), device)
    }
    found["fma_per_second"] = found["launch_seconds"] = None
    if not fused:
        return found
    from gpu_kernels import empty_kernel, fma_kernel

    programs, steps, block = (2, 4, 1024) if device.type == "cpu" else (132 * 64, 4096, 1024)
    out = torch.empty(programs * block, device=device)
    seconds = timed(lambda: fma_kernel[(programs,)](out, steps=steps, block=block), device)
    found["fma_per_second"] = programs * steps * block / seconds
    found["launch_seconds"] = timed(lambda: empty_kernel[(1,)](out), device, graph=True)
    return found


def check_accuracy(device: torch.device, sizes: _Sizes) -> list[dict[str, Any]]:
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
    device: torch.device, sizes: _Sizes, repeats: int, limits: dict[str, Any], *, fused: bool
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


def bound(pairs: int, n: int, width: int, iterations: int, limits: dict[str, Any]) -> dict[str, Any]:
    """``launch + max(bytes / bandwidth, 2 B n m iterations / multiply-adds per second)``."""
    read, written = 2 * pairs * n * width * 2 + 2 * pairs * n * 4, pairs * n * width * 4 + pairs * 4
    moving = (read + written) / limits["bytes_per_second"]
    adding = 2 * pairs * n * n * iterations / limits["fma_per_second"]
    seconds = limits["launch_seconds"] + max(moving, adding)
    return {"bound_seconds": seconds, "bound_by": "bytes" if moving > adding else "multiply-adds"}


def sweep_launches(device: torch.device, sizes: _Sizes) -> list[dict[str, Any]]:
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


def time_step(device: torch.device, sizes: _Sizes, repeats: int) -> dict[str, Any]:
    """OT step over sentence-MSE step, bfloat16 autocast, teacher online: fused kernel and PyTorch form."""
    student, teacher, optimizer = _models(device, sizes)
    pairs, length = sizes.step
    ids = torch.randint(5, sizes.model["vocab_size"], (pairs, length), device=device)
    mask = torch.ones_like(ids).bool()
    solver = Sinkhorn(EPSILON, 50)
    losses = {
        "MSE": lambda s, t: _mse(s, t, mask),
        "fused": lambda s, t: transport_term(_side(s, mask), _side(t, mask), solver, "transport").mean(),
        "PyTorch": lambda s, t: transport_loss(_side(s, mask), _side(t, mask), solver, "transport")[0].mean(),
    }
    times: dict[str, list[float]] = {name: [] for name in losses}
    for turn, (name, loss) in itertools.product(range(repeats + 2), losses.items()):
        step = lambda loss=loss: _step(student, teacher, optimizer, ids, mask, loss, device)  # noqa: E731
        seconds = timed(step, device, repeats=1, warm=0)
        if turn > 1:
            times[name].append(seconds)
    found: dict[str, Any] = {"milliseconds": {n: round(1e3 * statistics.median(t), 2) for n, t in times.items()}}
    for name in ("fused", "PyTorch"):
        shares = [mine / mse for mine, mse in zip(times[name], times["MSE"], strict=True)]
        found[f"{name} over MSE"] = [round(f(shares), 4) for f in (statistics.median, min, max)]
    return found


def time_run(device: torch.device, sizes: _Sizes) -> dict[str, Any]:
    """Pairs a second: stock recipe (random padded batches, teacher online, MSE) against ours (cached teacher, OT).

    Ours reads batches of similar length and, where FlashAttention 2 is installed, no padding in attention. Lengths are
    log-normal with median 24. Reading the cache costs one copy of a float16 batch from pinned memory to the device.
    """
    pairs = sizes.step[0]
    flash = device.type == "cuda" and is_flash_attn_2_available()
    lengths = [
        min(max(int(random.Random(i).lognormvariate(3.18, 0.6)), 4), 120) for i in range(pairs * sizes.run_batches)
    ]
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    found: dict[str, Any] = {"flash_attention": flash}
    for name, places, attention in (
        ("stock", list(range(len(lengths))), "sdpa"),
        ("ours", order, "flash_attention_2" if flash else "sdpa"),
    ):
        student, teacher, optimizer = _models(device, sizes, attention)
        batches = [[lengths[i] for i in places[start : start + pairs]] for start in range(0, len(places), pairs)]
        random.Random(0).shuffle(batches)
        seconds = timed(
            lambda: _epoch(student, teacher, optimizer, batches, device, stock=name == "stock"), device, repeats=1
        )
        found[name] = {"pairs_per_second": round(len(lengths) / seconds, 1)}
    found["times_as_fast"] = round(found["ours"]["pairs_per_second"] / found["stock"]["pairs_per_second"], 3)
    return found


def _epoch(
    student: XLMRobertaModel,
    teacher: XLMRobertaModel,
    optimizer: torch.optim.Optimizer,
    batches: list[list[int]],
    device: torch.device,
    *,
    stock: bool,
) -> None:
    solver = Sinkhorn(EPSILON, 50)
    for lengths in batches:
        ids = torch.randint(5, student.config.vocab_size, (len(lengths), max(lengths)), device=device)
        mask = torch.arange(max(lengths), device=device) < torch.tensor(lengths, device=device).unsqueeze(1)
        if stock:
            _step(student, teacher, optimizer, ids, mask, lambda s, t: _mse(s, t, mask), device)
        else:
            shape = (*ids.shape, student.config.hidden_size)
            cached = torch.ones(shape, dtype=torch.float16, pin_memory=device.type == "cuda")
            known = cached.to(device, non_blocking=True).add_(torch.randn(shape[2], device=device).half())
            loss = lambda s, t: transport_term(_side(s, mask), _side(t, mask), solver, "transport").mean()  # noqa: E731
            _step(student, None, optimizer, ids, mask, loss, device, known)


def _models(
    device: torch.device, sizes: _Sizes, attention: str = "sdpa"
) -> tuple[XLMRobertaModel, XLMRobertaModel, torch.optim.Optimizer]:
    torch.manual_seed(0)
    settings = XLMRobertaConfig(attn_implementation=attention, **sizes.model)
    student, teacher = (XLMRobertaModel(settings, add_pooling_layer=False).to(device) for _ in range(2))
    if device.type == "cuda":
        teacher.bfloat16()
        if attention != "sdpa":
            student.bfloat16()  # FlashAttention takes half precision only
    teacher.eval().requires_grad_(False)
    return student, teacher, torch.optim.AdamW(student.parameters(), lr=1e-5, fused=True)


def _step(
    student: XLMRobertaModel,
    teacher: XLMRobertaModel | None,
    optimizer: torch.optim.Optimizer,
    ids: Tensor,
    mask: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    device: torch.device,
    known: Tensor | None = None,
) -> None:
    optimizer.zero_grad()
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        if teacher is not None:
            with torch.no_grad():
                known = teacher(ids, attention_mask=mask).last_hidden_state
        vectors = student(ids, attention_mask=mask).last_hidden_state
    assert known is not None
    loss(vectors, known).backward()
    optimizer.step()


def _mse(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    weight = (mask / mask.sum(1, keepdim=True)).unsqueeze(2)
    return functional.mse_loss((student.float() * weight).sum(1), (teacher.float() * weight).sum(1))


def _side(vectors: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return vectors, mask, torch.zeros_like(mask)


def _oracle(
    student: Tensor, teacher: Tensor, masks: list[Tensor] | None, solver: TransportSolver
) -> tuple[Tensor, Tensor]:
    mine, theirs = masks or [torch.ones(side.shape[:2], device=side.device).bool() for side in (student, teacher)]
    return transport_loss(_side(student, mine), _side(teacher, theirs), solver, "transport")


def _with_pot(student: Tensor, teacher: Tensor, a: Tensor, b: Tensor, iterations: int) -> Tensor:
    def align(cost: Tensor) -> tuple[Tensor, Tensor]:
        plan = ot.batch.solve_batch(
            cost, EPSILON, a=a, b=b, method="log_sinkhorn", max_iter=iterations, tol=0.0, grad="detach"
        ).plan
        return plan, plan

    return aligned_cost(student, teacher, align)[0]


def tokens(
    pairs: int, n: int, m: int, width: int, device: torch.device, dtype: torch.dtype, *, padded: bool = True
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Fresh random token vectors that share a direction, and masks; padding holds NaN."""
    common = torch.randn(pairs, 1, width, device=device)
    sides, masks = [], []
    for count in (n, m):
        least = max(1, count // 2) if padded else count
        mask = torch.arange(count, device=device) < torch.randint(least, count + 1, (pairs, 1), device=device)
        vectors = (common + torch.randn(pairs, count, width, device=device)).to(dtype)
        sides.append(vectors.masked_fill(~mask.unsqueeze(2), float("nan")))
        masks.append(mask)
    return sides[0], sides[1], masks


def timed(
    call: Callable[[], Any], device: torch.device, *, repeats: int = 20, warm: int = 3, graph: bool = False
) -> float:
    """Median seconds of a call: by device events, of graph replays if asked for; by the host's clock on a CPU."""
    if device.type == "cpu":
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    if graph:
        from triton.testing import do_bench_cudagraph

        return 1e-3 * float(do_bench_cudagraph(call, return_mode="median"))
    for _ in range(warm):
        call()
    return 1e-3 * statistics.median(_events(call, repeats))


def _events(call: Callable[[], Any], repeats: int) -> Iterator[float]:
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        yield start.elapsed_time(end)


def _print(name: str, part: Any) -> None:
    print(f"\n{name}")
    for row in part if isinstance(part, list) else [part]:
        print("  " + "  ".join(f"{key} {_short(value)}" for key, value in row.items()))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run(main, GpuBenchmark)
