"""Choose the share of the untrained student in the target: by how well it reads the language before training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from hf_optical.adapters import LanguageAdapters
from hf_optical.encoders.copies import is_copy
from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.teachers import Teacher, TeacherStandIn

SHARE = 0.5
"""Share of an untrained student that reads the language."""
READS = 0.5
"""Share of translations whose own English it must find first to count as reading the language."""
PAIRS = 256


def chosen_anchor(student: Any, teacher: Teacher, pairs: Sequence[tuple[str, str]], *, seed: int = 0) -> float:
    """Return `SHARE` for a copy of a teacher that already finds most English sentences by their translations, else 0.

    A student that does not read the language yet would only keep its mistakes. For students that are not copies of
    their teacher (grown, mapped, with language adapters) the share was of no use or was not measured.

    Args:
        student: The student before training.
        teacher: The teacher. If there is only a cache of its vectors, the share is 0.
        pairs: English sentences and their translations; up to `PAIRS` are drawn, and a sentence that occurs again is
            left out.
        seed: Random seed of the draw.
    """
    online: Any = teacher.online if isinstance(teacher, TeacherStandIn) else teacher
    if LanguageAdapters.of(student) is not None or online is None or not is_copy(student, online):
        return 0.0
    distinct = list(dict(pairs).items())
    rows = [distinct[place] for place in np.random.default_rng(seed).permutation(len(distinct))[:PAIRS]]
    if len(rows) < 2:
        return 0.0
    english, read = (
        functional.normalize(torch.from_numpy(np.array(encode_texts(model, [pair[side] for pair in rows], "query"))))
        for side, model in enumerate((online, student))
    )
    found = (read @ english.T).argmax(dim=1) == torch.arange(len(rows))
    return SHARE if float(found.float().mean()) >= READS else 0.0
