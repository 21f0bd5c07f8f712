"""Fills a cache, slowly enough to be killed: FOLDER TEXTS SECONDS-PER-SHARD."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import tiny_models
import torch

from hf_optical.teacher_cache import CachedTeacher, filling

folder, count, pause = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
torch.set_num_threads(1)
teacher = tiny_models.dense(folder / "teacher", tiny_models.ENGLISH)
cached = CachedTeacher.for_teacher(teacher, folder / "cache")
write = filling.write_shard


def slow(*args):
    time.sleep(pause)
    return write(*args)


filling.write_shard = slow
filling.fill(folder / "cache", teacher, tiny_models.bitext(count)["source"], batch_size=8, shard_bytes=1)
