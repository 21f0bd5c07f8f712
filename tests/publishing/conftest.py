"""A run with an adapter, for all tests of publishing."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models
from published_runs import add_adapter, write_run


@pytest.fixture(scope="module")
def dense_run(tmp_path_factory) -> Path:
    run = write_run(tmp_path_factory.mktemp("run"), tiny_models.dense(tmp_path_factory.mktemp("made")))
    add_adapter(run)
    return run
