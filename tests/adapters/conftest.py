from __future__ import annotations

import pytest
import tiny_models
from adapter_models import randomized, with_adapters


@pytest.fixture(params=["dense", "late"])
def model(request, tmp_path):
    return getattr(tiny_models, request.param)(tmp_path, tiny_models.SWAHILI)


@pytest.fixture
def dense(tmp_path):
    return tiny_models.dense(tmp_path, tiny_models.SWAHILI, layers=2)


@pytest.fixture
def adapters(model):
    return randomized(with_adapters(model))
