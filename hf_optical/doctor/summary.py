"""Summary of an examination: counts, reasons and examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from hf_optical.doctor.kinds import KINDS, bit_of
from hf_optical.doctor.verdict import Example

if TYPE_CHECKING:
    from hf_optical.doctor.examination import Examination

__all__ = ["sum_up"]

_EXAMPLES = 5  # number of examples of each kind
_SHOWN = 240  # number of characters of an example


def sum_up(examination: Examination, checked: Callable[[str], bool]) -> None:
    """Add counts, reasons and examples of all kinds of defects to the verdict of an examination.

    Args:
        examination: The examination.
        checked: Function that returns whether a kind was looked for.
    """
    flags, verdict = examination.flags, examination.verdict
    wanted: dict[int, list[str]] = {}
    left = flags & np.uint32(examination.drop)
    verdict.dropped = int(np.count_nonzero(left))
    for kind in KINDS:
        bit = np.uint32(bit_of(kind.name))
        rows = np.flatnonzero(flags & bit)
        if len(rows) or checked(kind.name):
            verdict.counts[kind.name] = len(rows)
        first = np.count_nonzero(left & bit)
        if first:
            verdict.reasons[kind.name] = int(first)
        left = np.where(left & bit, np.uint32(0), left)
        for row in rows[np.linspace(0, len(rows) - 1, min(_EXAMPLES, len(rows))).astype(int)]:
            wanted.setdefault(int(row), []).append(kind.name)
    place = 0
    for chunk in examination.chunks() if wanted else ():
        for row in sorted(row for row in wanted if place <= row < place + len(chunk)):
            for name in wanted[row]:
                here = row - place
                verdict.examples.setdefault(name, []).append(
                    Example(
                        chunk.numbers[here],
                        chunk.source[here][:_SHOWN],
                        chunk.translation[here][:_SHOWN],
                        examination.details.get((row, name), ""),
                    )
                )
        place += len(chunk)
