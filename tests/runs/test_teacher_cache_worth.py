"""How often a run reads a sentence, which decides whether a teacher cache is worth making."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from datasets import Dataset

from hf_optical.runs.teacher_cache import times_read


def test_only_the_batches_of_bitext_read_it():
    config = SimpleNamespace(max_steps=10, batch_size=4, gradient_accumulation_steps=2, bitext_share=0.25)
    rows = Dataset.from_dict({"source": ["a", "b", "b", "c"], "translation": ["x"] * 4})
    alone = SimpleNamespace(bitext={"swh_Latn": rows}, retrieval={})
    beside = SimpleNamespace(bitext={"swh_Latn": rows}, retrieval={"mono/swh_Latn": rows})
    assert times_read(config, alone) == pytest.approx(10 * 4 * 2 / 3)
    assert times_read(config, beside) == pytest.approx(0.25 * 10 * 4 * 2 / 3)
