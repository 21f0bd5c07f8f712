"""Storage of token vectors as float16, or as int8 with a scale per token."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_optical.errors import NonFiniteError

_LEVELS = 127
_LARGEST_HALF = 65_504.0
_SMALLEST_SCALE = 6.2e-5  # float16 loses precision below it (subnormal numbers)


def _quantise(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Quantise every vector to 255 levels between minus and plus its largest absolute entry.

    Args:
        tokens: Token vectors, (T, d), float.

    Returns:
        Values, (T, d), int8, and the scale of each vector, (T,), float16: ``tokens`` is about ``values * scale``. The
        scale is rounded to float16 before the values are computed, so that its rounding adds no error.

    Example:
        >>> values, scale = _quantise(torch.tensor([[1.0, -0.5, 0.0]]))
        >>> values.tolist(), round(float(scale) * 127, 2)
        ([[127, -63, 0]], 1.0)
    """
    tokens = tokens.float()
    largest = tokens.abs().amax(dim=-1)
    # Slightly larger than needed: a scale that float16 rounds down would clip the largest entry.
    scale = (largest / _LEVELS * 1.0005).clamp_min(_SMALLEST_SCALE).half()
    values = (tokens / scale.float().unsqueeze(-1)).round().clamp(-_LEVELS, _LEVELS).to(torch.int8)
    return values, scale


def dequantise(values: Tensor, scale: Tensor) -> Tensor:
    """Compute float32 vectors from quantised ones.

    Args:
        values: Quantised vectors, (..., d), int8.
        scale: Scale of each vector, (...).

    Returns:
        (..., d), float32.
    """
    return values.float() * scale.float().unsqueeze(-1)


def compress(tokens: Tensor, dtype: str) -> tuple[Tensor, Tensor | None]:
    """Convert token vectors to the type in which they are stored.

    Args:
        tokens: Token vectors, (T, d).
        dtype: ``"int8"``, ``"float16"`` or ``"float32"``.

    Returns:
        The stored vectors, (T, d), and for int8 their scales, (T,), else ``None``.

    Raises:
        NonFiniteError: A value is beyond the range of float16.
    """
    if dtype == "int8":
        return _quantise(tokens)
    if dtype == "float16":
        if tokens.numel() and float(tokens.abs().max()) > _LARGEST_HALF:
            raise NonFiniteError(
                f"the teacher's token vectors have values of {float(tokens.abs().max()):.3g}, beyond the range of "
                "float16. Remedy: use teacher_cache_dtype int8, which scales each token."
            )
        return tokens.half(), None
    return tokens.float(), None


def token_bytes(width: int, dtype: str) -> int:
    """Return the bytes of one stored token vector, including its scale.

    Example:
        >>> token_bytes(384, "int8"), token_bytes(384, "float16")
        (386, 768)
    """
    return {"int8": width + 2, "float16": 2 * width, "float32": 4 * width}[dtype]
