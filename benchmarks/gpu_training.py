"""Training steps and a short run with and without transport, on a GPU."""

# What is timed is called before its loop goes on.
# ruff: noqa: B023

from __future__ import annotations

import itertools
import random
import statistics
from collections.abc import Callable
from typing import Any

import torch
from gpu_device import timed
from gpu_shapes import Sizes
from gpu_solvers import EPSILON, side
from torch import Tensor
from torch.nn import functional
from transformers import XLMRobertaConfig, XLMRobertaModel
from transformers.utils import is_flash_attn_2_available

from hf_optical.losses.alignment import transport_loss, transport_term
from hf_optical.transport import Sinkhorn


def time_step(device: torch.device, sizes: Sizes, repeats: int) -> dict[str, Any]:
    """OT step over sentence-MSE step, bfloat16 autocast, teacher online: fused kernel and PyTorch form."""
    student, teacher, optimizer = _models(device, sizes)
    pairs, length = sizes.step
    ids = torch.randint(5, sizes.model["vocab_size"], (pairs, length), device=device)
    mask = torch.ones_like(ids).bool()
    solver = Sinkhorn(EPSILON, 50)
    losses = {
        "MSE": lambda s, t: _mse(s, t, mask),
        "fused": lambda s, t: transport_term(side(s, mask), side(t, mask), solver, "transport").mean(),
        "PyTorch": lambda s, t: transport_loss(side(s, mask), side(t, mask), solver, "transport")[0].mean(),
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


def time_run(device: torch.device, sizes: Sizes) -> dict[str, Any]:
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
            loss = lambda s, t: transport_term(side(s, mask), side(t, mask), solver, "transport").mean()  # noqa: E731
            _step(student, None, optimizer, ids, mask, loss, device, known)


def _models(
    device: torch.device, sizes: Sizes, attention: str = "sdpa"
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
