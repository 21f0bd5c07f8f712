"""Memory that ran out, told in one message with what to change, in place of an allocator's traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hf_optical.errors import HFOpticalError
from hf_optical.units import shown_bytes

_SIGNS = (
    "out of memory",  # CUDA, XPU, MPS
    "can't allocate memory",  # PyTorch's allocator on CPU, Linux
    "not enough memory",  # the same on Windows and macOS
    "cannot allocate memory",
    "unable to allocate",  # numpy
    "malloc of size",  # Arrow
)
# Adam keeps two numbers of 4 bytes for every trained weight, beside its gradient.
_BYTES_PER_TRAINED = 12
_CONTRASTIVE = {"contrastive", "self_nce"}


class OutOfMemoryError(HFOpticalError, MemoryError):
    """Memory ran out; says where, and what to change."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of any library says that memory ran out.

    Example:
        >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
        True
        >>> is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
        False
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


@contextmanager
def explained(place: Callable[[], str], remedies: Callable[[], list[str]]) -> Iterator[None]:
    """Turn any library's error of missing memory into one of ours; other errors pass.

    Args:
        place: Says where it happened; called when it did.
        remedies: What to change, best first; called when it did.

    Raises:
        OutOfMemoryError: In place of the library's.

    Example:
        >>> with explained(lambda: "step 3", lambda: ["batch_size 8 in place of 16"]):
        ...     raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")
        Traceback (most recent call last):
        ...
        hf_optical.planning.out_of_memory.OutOfMemoryError: step 3: memory ran out (CUDA out of memory). Remedy: ...
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, HFOpticalError) or not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(message(error, place(), remedies())) from error


def message(error: BaseException, place: str, remedies: list[str]) -> str:
    """The one message: where, what was found, what to change."""
    found = (str(error).splitlines() or [""])[0].split(". ")[0].strip(" .")[:160] or type(error).__name__
    choice = "; or ".join(remedies)
    return f"{place}: memory ran out ({found}). Remedy: {choice}. recipes/train.py --plan says beforehand what fits."


def compares_batch(objective: str | Mapping[str, float]) -> bool:
    """Whether an objective compares the pairs of a batch, so that a smaller batch has fewer negatives.

    Example:
        >>> compares_batch("ot+0.5*nce"), compares_batch("ot+rank")
        (True, False)
    """
    from hf_optical.losses.terms import parse_objective  # PyTorch, which --help can do without

    return not _CONTRASTIVE.isdisjoint(parse_objective(objective))


def training_remedies(args: Any, model: Any, *, adapters: bool) -> list[str]:
    """What a training that ran out of memory can change, with the numbers of this one.

    Args:
        args: The training arguments.
        model: The student; its trained weights are counted.
        adapters: Whether language adapters are trained.

    Returns:
        Remedies in words, best first.
    """
    found = []
    batch, accumulation = int(args.per_device_train_batch_size), int(args.gradient_accumulation_steps)
    if batch > 1:
        half = f"batch_size {batch // 2} with gradient_accumulation_steps {accumulation * 2}"
        note = " (fewer negatives for nce)" if compares_batch(args.objective) else ""
        found.append(f"{half} in place of {batch} with {accumulation}{note}")
    length = args.max_length
    if isinstance(length, Mapping):  # by task: the longest counts
        length = max(length.values(), default=None)
    if length is None or length > 32:
        found.append(f"max_length {length // 2 if length else 64} in place of {length or 'no limit'}")
    if not (args.bf16 or args.fp16) and getattr(args.device, "type", "cpu") != "cpu":
        found.append("bf16 (or fp16 where the GPU has no bfloat16)")
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    if not adapters and trained:
        found.append(
            f"a LoRA adapter (--adapter lora): gradients and optimizer of {trained / 1e6:.0f} million weights take "
            f"{shown_bytes(_BYTES_PER_TRAINED * trained)}"
        )
    return found or ["a smaller student (fewer layers), or a larger machine"]
