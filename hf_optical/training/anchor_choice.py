"""Choose the share of the untrained student in the target: by how well it reads the language before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from hf_optical.adapters import LanguageAdapters
from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.teachers import Teacher, TeacherStandIn
from hf_optical.training.teacher_bank import teacher_bank

SHARE = 0.5
"""Share of an untrained student that reads the language."""
READS = 0.5
"""Share of translations whose own English it must find first to count as reading the language."""
PAIRS = 256


def chosen_anchor(student: Any, teacher: Teacher, pairs: Sequence[tuple[str, str]], *, seed: int = 0) -> float:
    """Return `SHARE` if the untrained student already finds most English sentences by their translations, else 0.

    A student that does not read the language yet would only keep its mistakes. It is 0, too, for students with language
    adapters, which have no untrained copy, and for teachers that consist of an index's vectors.

    Args:
        student: The student before training, dense.
        teacher: The teacher, or a :class:`~hf_optical.teacher_cache.CachedTeacher`.
        pairs: English sentences and their translations; up to `PAIRS` are drawn, and a sentence that occurs again is
            left out.
        seed: Random seed of the draw.
    """
    if LanguageAdapters.of(student) is not None or isinstance(teacher, TeacherStandIn) and not teacher.gives_tokens:
        return 0.0
    translations = dict(pairs)
    drawn = np.random.default_rng(seed).permutation(len(translations))[:PAIRS]
    rows = [list(translations.items())[place] for place in drawn]
    if len(rows) < 2:
        return 0.0
    english = teacher_bank(teacher, [source for source, _ in rows], size=len(rows), seed=seed)
    if len(english) < len(rows):  # a cache without the teacher lacks some of them
        return 0.0
    read = torch.from_numpy(np.array(encode_texts(student, [text for _, text in rows], "query"))).float()
    found = (functional.normalize(read, dim=-1) @ english.T).argmax(dim=1) == torch.arange(len(rows))
    return SHARE if float(found.float().mean()) >= READS else 0.0
