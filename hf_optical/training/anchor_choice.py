"""Choose the share of the untrained student in the target: by how well it reads the language before training."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from datasets import Dataset
from torch.nn import functional

from hf_optical.adapters import LanguageAdapters
from hf_optical.encoders.copies import is_copy
from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.teachers import Teacher, TeacherStandIn
from hf_optical.teacher_cache.training import bitexts

logger = logging.getLogger(__name__)

SHARE = 0.5
"""Share of an untrained student that reads the language."""
READS = 0.5
"""Share of translations whose own English it must find first to count as reading the language."""
PAIRS = 256


def chosen_anchor(student: Any, teacher: Teacher, data: Any, *, seed: int = 0) -> float:
    """Return `SHARE` for a copy of a teacher that already finds most English sentences by their translations, else 0.

    A student that does not read the language yet would only keep its mistakes, so that every language must be read. For
    students that are not copies of their teacher (grown, mapped, with language adapters) the share was of no use or was
    not measured, and where questions or words are trained on beside bitext it was not measured either.

    Args:
        student: The student before training.
        teacher: The teacher. If there is only a cache of its vectors, the share is 0.
        data: The training set or sets. Up to `PAIRS` pairs of each are drawn, and a sentence that occurs again is left
            out; a stream is not read, and the share is 0.
        seed: Random seed of the draw.
    """
    online: Any = teacher.online if isinstance(teacher, TeacherStandIn) else teacher
    sets = [rows for _, _, rows in bitexts(data)]
    if not sets or (isinstance(data, Mapping) and len(sets) < len(data)):
        return 0.0  # there are streams, or sets of another kind than bitext
    if LanguageAdapters.of(student) is not None or online is None or not is_copy(student, online):
        return 0.0
    share, found = 0.0, [_found_first(student, online, rows, seed) for rows in sets]
    if PartialState().is_main_process and min(found) >= READS:
        share = SHARE
    shares = [share]
    if PartialState().num_processes > 1:
        broadcast_object_list(shares)  # rounding on another device might decide otherwise
    read = ", ".join(f"{part:.0%}" for part in found)
    logger.info("Anchor %g: the untrained student finds the English of %s of the translations first", shares[0], read)
    return shares[0]


def _found_first(student: Any, teacher: Any, rows: Dataset, seed: int) -> float:
    """Return the share of translations whose own English is the nearest among all that were drawn."""
    drawn = rows.select(np.random.default_rng(seed).permutation(len(rows))[: 2 * PAIRS])
    pairs = list(dict(zip(drawn["source"][:], drawn["translation"][:], strict=True)).items())[:PAIRS]
    if len(pairs) < 2:
        return 0.0
    english, read = (
        functional.normalize(torch.from_numpy(np.array(encode_texts(model, [pair[side] for pair in pairs], "query"))))
        for side, model in enumerate((teacher, student))
    )
    return float(((read @ english.T).argmax(dim=1) == torch.arange(len(pairs))).float().mean())
