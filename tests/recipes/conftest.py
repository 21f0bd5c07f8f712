from __future__ import annotations

from contextlib import contextmanager

import pytest
from script_modules import load_recipe


@pytest.fixture(scope="session")
def recipe():
    """The training recipe."""
    return load_recipe("train")


@pytest.fixture
def interrupted_after(monkeypatch):
    """A context in which a training is interrupted, as by Ctrl-C, after so many steps."""
    from hf_optical.training.trainer import OTDistillationTrainer

    step = OTDistillationTrainer.training_step

    @contextmanager
    def after(steps):
        def interrupted(self, *args, **options):
            if self.state.global_step == steps:
                raise KeyboardInterrupt
            return step(self, *args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(OTDistillationTrainer, "training_step", interrupted)
            yield

    return after
