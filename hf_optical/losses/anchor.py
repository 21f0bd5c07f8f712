"""Target of the ranking term that keeps a share of what the student made of a translation before training."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from hf_optical.errors import InputError


def check_share(anchor: float) -> None:
    """Raise an `InputError` for a share of the untrained student that is not from 0 to below 1."""
    if not 0 <= anchor < 1:
        raise InputError(f"is {anchor}", "give a share of 0 or more and below 1", field="anchor")


def anchored_target(teacher: Tensor, untrained: Tensor, share: float) -> Tensor:
    """Mix the teacher's vectors of English sentences with the untrained student's vectors of their translations.

    ``normalise((1 - share) * t + share * u)`` with unit vectors ``t`` (teacher, of the English) and ``u`` (untrained
    student, of the translation). A student that could read the language before training is pulled to a point between
    both, which ranks better than either: the errors of ``t`` as a target of noisy translations and those of ``u`` are
    not the same ones. What it read well in other domains than the bitext's is then not lost.

    Args:
        teacher: The teacher's sentence vectors of the English, (B, d).
        untrained: The untrained student's sentence vectors of the translations, (B, d).
        share: Share of the untrained student: 0 for the teacher alone, below 1.

    Returns:
        Unit vectors, (B, d), in float32.

    References:
        - Li, Hoiem: Learning without Forgetting, ECCV 2016, https://arxiv.org/abs/1606.09282, where the untrained
          network's outputs on the new data are the second target; here one target is made of both.

    Example:
        >>> import torch
        >>> anchored_target(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 0.5).tolist()
        [[0.7071067690849304, 0.7071067690849304]]
    """
    own = functional.normalize(untrained.float(), dim=-1)
    return functional.normalize((1 - share) * functional.normalize(teacher.float(), dim=-1) + share * own, dim=-1)
