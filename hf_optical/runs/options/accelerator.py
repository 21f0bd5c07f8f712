"""Whether this machine has an accelerator."""

from __future__ import annotations


def on_cpu() -> bool:
    """Return whether this machine has no accelerator; accelerate must be told, or it ignores the other processes.

    Example:
        >>> isinstance(on_cpu(), bool)
        True
    """
    import torch

    return not torch.accelerator.is_available()
