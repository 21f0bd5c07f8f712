"""Export: parity where the runtimes are installed, clear words where they are not, adapters merged exactly."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import tiny_models
import torch
from sentence_transformers import SentenceTransformer

from hf_optical.errors import HFOpticalError, InputError
from hf_optical.publishing.export import Parity, compare, export, merge_adapter, require_backend

TEXTS = ["the goat sleeps", "a big red house near the river and a tree", "dog"]


def _has(*modules: str) -> bool:
    try:
        return all(importlib.util.find_spec(module) is not None for module in modules)
    except ModuleNotFoundError:
        return False


ONNX, OPENVINO = _has("onnxruntime", "optimum.onnxruntime"), _has("openvino", "optimum.intel")
NO_ONNX = "optimum-onnx is not installed: its releases so far ask for transformers 4, this project for 5"


@pytest.fixture
def folder(tmp_path):
    tiny_models.dense(tmp_path / "made").save_pretrained(str(tmp_path / "model"))
    return tmp_path / "model"


@pytest.mark.skipif(not ONNX, reason=NO_ONNX)
def test_onnx_makes_the_same_vectors(folder, tmp_path):
    place = export(folder, tmp_path / "onnx", "onnx", int8="avx2")
    model = SentenceTransformer(str(place), backend="onnx", device="cpu")
    compare(folder, model, TEXTS).check(1e-4)
    small = SentenceTransformer(
        str(place), backend="onnx", device="cpu", model_kwargs={"file_name": "onnx/model_qint8_avx2.onnx"}
    )
    assert compare(folder, small, TEXTS).smallest_cosine > 0.95


@pytest.mark.skipif(not OPENVINO, reason="optimum-intel and openvino are not installed")
def test_openvino_makes_the_same_vectors(folder, tmp_path):
    place = export(folder, tmp_path / "openvino", "openvino")
    compare(folder, SentenceTransformer(str(place), backend="openvino", device="cpu"), TEXTS).check(1e-4)


@pytest.mark.skipif(ONNX, reason="the runtime is installed")
def test_a_missing_runtime_is_named(folder, tmp_path):
    with pytest.raises(InputError, match=r"onnx backend.*not installed.*sentence-transformers\[onnx\]"):
        export(folder, tmp_path / "onnx", "onnx")
    assert not (tmp_path / "onnx").exists()


def test_refusals(tmp_path):
    with pytest.raises(InputError, match="backend"):
        require_backend("tensorrt")
    with pytest.raises(HFOpticalError, match=r"differs by 0\.01"):
        Parity(3, 0.01, 0.99).check()
    with pytest.raises(HFOpticalError):
        Parity(3, float("nan"), 0.99).check()
    with pytest.raises(InputError, match="holds no adapter"):
        merge_adapter(tmp_path, tmp_path, tmp_path / "out")


def test_a_merged_adapter_is_part_of_an_ordinary_model(folder, tmp_path):
    from peft import LoraConfig, get_peft_model

    inner = SentenceTransformer(str(folder), device="cpu").transformers_model
    torch.manual_seed(3)
    wrapped = get_peft_model(inner, LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False))
    wrapped.save_pretrained(tmp_path / "swh_Latn")
    place = merge_adapter(folder, tmp_path / "swh_Latn", tmp_path / "merged")
    base = SentenceTransformer(str(folder), device="cpu")
    before = base.encode(TEXTS)
    base.load_adapter(str(tmp_path / "swh_Latn"), adapter_name="swh_Latn")
    merged = SentenceTransformer(str(place), device="cpu")
    np.testing.assert_allclose(merged.encode(TEXTS), base.encode(TEXTS), atol=1e-5)
    assert np.abs(before - base.encode(TEXTS)).max() > 1e-3
    assert not getattr(merged.transformers_model, "peft_config", None)
