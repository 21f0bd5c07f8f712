"""Checks of tensor values that raise at once on a CPU and do not synchronise with a CUDA device."""

from __future__ import annotations

import torch

from hf_optical.errors import InputError


def require(good: torch.Tensor, problem: str, remedy: str, *, field: str) -> None:
    """Raise an error unless every entry of ``good`` is true.

    On CUDA the check is queued as a device-side assertion, so that a training step does not wait for the device; it
    stops the run with ``problem`` when the device reaches it. On other devices the error is raised at once, and names
    the first entry at fault.

    Args:
        good: Booleans, ``(B,)``, one per pair of the batch (or per vocabulary entry).
        problem: What is wrong.
        remedy: What the user can do.
        field: Name of the argument at fault.

    Raises:
        InputError: An entry is false and the device is not CUDA.

    Example:
        >>> require(torch.tensor([True, False]), "no mass", "drop it", field="a")
        Traceback (most recent call last):
        hf_optical.errors.InputError: field 'a': no mass (first at index 1 of 2). Remedy: drop it.
    """
    if good.device.type == "cuda":
        torch._assert_async(good.all(), f"{field}: {problem}. Remedy: {remedy}.")
        return
    if not bool(good.all()):
        first = int((~good).nonzero()[0, 0])
        raise InputError(f"{problem} (first at index {first} of {len(good)})", remedy, field=field)
