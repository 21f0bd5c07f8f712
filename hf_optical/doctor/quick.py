"""Fast form of the examination, for use before every training."""

from __future__ import annotations

from typing import Any

from hf_optical.data.sources import PairSource
from hf_optical.doctor.checks import Checks
from hf_optical.doctor.examination import examine
from hf_optical.doctor.overlap import EvaluationIndex
from hf_optical.doctor.verdict import Verdict

__all__ = ["quick_check"]


def quick_check(
    rows: PairSource, *, language: str | None = None, index: EvaluationIndex | None = None, **options: Any
) -> Verdict:
    """Examine rows without the search for near-duplicates and without the lexical check.

    This takes some 20 microseconds of processor time for a pair of sentences (``benchmarks/doctor.py``).

    Args:
        rows: A dataset with the columns ``source`` and ``translation``, mappings, pairs or a file.
        language: Language of the translations, any code. Without it their script is not checked.
        index: Texts of an evaluation set (:func:`hf_optical.doctor.overlap.evaluation_index`), to find those in the
            rows. By default this is not checked.
        **options: Further arguments of :func:`hf_optical.doctor.examine`.

    Returns:
        The verdict, with ``verdict.level`` in a word and ``verdict.text()`` in a few lines.

    Example:
        >>> verdict = quick_check([("Good morning", "Habari ya asubuhi"), ("", "Asante")], language="sw")
        >>> verdict.counts["empty"], verdict.level
        (1, 'dirty')
    """
    return examine(rows, language=language, index=index, checks=Checks(near=False, misaligned=False), **options).verdict
