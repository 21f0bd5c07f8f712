"""Export: parity with PyTorch, files where the hosts look for them, adapters merged exactly, clear words otherwise."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from sentence_transformers import SentenceTransformer

from hf_optical.errors import HFOpticalError, InputError
from hf_optical.publishing.export import (
    ONNX_FILE,
    OPENVINO_FILE,
    export,
    int8_file,
    merge_adapter,
    require_backend,
)
from hf_optical.publishing.runtimes import Parity, compare, load_exported

# Of lengths that the exporter did not see, alone and together.
TEXTS = ["the goat sleeps", "a big red house near the river and a tree", "dog", "the child sees the big tree " * 3]


def _has(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) is not None for module in modules)


ONNX, OPENVINO = _has("onnx", "onnxscript", "onnxruntime"), _has("onnx", "onnxscript", "openvino")
needs_onnx = pytest.mark.skipif(not ONNX, reason="pip install 'hf-optical[onnx]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("model") / "model"
    tiny_models.dense(tmp_path_factory.mktemp("made")).save_pretrained(str(place))
    return place


@pytest.fixture(scope="module")
def exported(folder, tmp_path_factory):
    """One export for all: the exporter takes seconds."""
    backends = ["onnx", *(["openvino"] if OPENVINO else [])]
    return export(folder, tmp_path_factory.mktemp("exported") / "out", backends, int8=["avx2", "avx512_vnni"])


def _numpy_pooled(place: Path, texts: list[str], file: str = ONNX_FILE) -> np.ndarray:
    """What a server without PyTorch does: tokenizers, onnxruntime, a mean over the real tokens."""
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(place / "tokenizer.json"))
    session = onnxruntime.InferenceSession(str(place / file), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    rows = []
    for text in texts:
        made = tokenizer.encode(text)
        every = {"input_ids": made.ids, "attention_mask": made.attention_mask, "token_type_ids": made.type_ids}
        mask = np.array(made.attention_mask)
        given = {name: np.array([every[name]], dtype=np.int64) for name in names}
        tokens = session.run(["last_hidden_state"], given)[0][0]
        rows.append((tokens * mask[:, None]).sum(axis=0) / mask.sum())
    return np.array(rows)


@needs_onnx
def test_onnx_makes_the_same_vectors(folder, exported):
    for size in (1, 3):
        compare(folder, load_exported(exported), TEXTS, batch_size=size).check(1e-5)
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    found = _numpy_pooled(exported, TEXTS)  # without any host
    found = found / np.linalg.norm(found, axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


@needs_onnx
@pytest.mark.parametrize("processor", ["avx2", "avx512_vnni"])
def test_int8_is_smaller_and_near(folder, exported, processor):
    parity = compare(folder, load_exported(exported, int8_file(processor)), TEXTS)
    assert parity.smallest_cosine > 0.95
    assert parity.largest_difference > 1e-6  # it is not the whole model under another name
    kinds = {int(item.data_type) for item in _initializers(exported / int8_file(processor))}
    assert (2 if processor == "avx2" else 3) in kinds  # unsigned, signed bytes
    assert {2, 3}.isdisjoint(int(item.data_type) for item in _initializers(exported / ONNX_FILE))


def _initializers(file: Path) -> list:
    import onnx

    return list(onnx.load(str(file)).graph.initializer)


@pytest.mark.skipif(not OPENVINO, reason="pip install 'hf-optical[openvino]'")
def test_openvino_makes_the_same_vectors(folder, exported):
    compare(folder, load_exported(exported, OPENVINO_FILE, threads=1), TEXTS).check(1e-5)


@needs_onnx
def test_the_files_are_where_the_backends_look(folder, exported):
    import onnxruntime
    from sentence_transformers.backend.utils import backend_should_export

    for wanted, target, glob, name in [
        ({}, "model.onnx", "*.onnx", "ONNX"),
        ({"file_name": int8_file("avx2")}, "model.onnx", "*.onnx", "ONNX"),
        *([({}, "openvino_model.xml", "openvino*.xml", "OpenVINO")] if OPENVINO else []),
    ]:
        again, options = backend_should_export(exported, True, dict(wanted), target, glob, name)
        assert not again and (exported / options["subfolder"] / options["file_name"]).is_file()
    session = onnxruntime.InferenceSession(str(exported / ONNX_FILE), providers=["CPUExecutionProvider"])
    asked = SentenceTransformer(str(folder), device="cpu").tokenizer.model_input_names
    assert [each.name for each in session.get_inputs()] == list(asked)
    assert [each.name for each in session.get_outputs()] == ["last_hidden_state"]
    # The names of modules that release 5 of sentence-transformers knows too; the model is what it was.
    types = [module["type"] for module in json.loads((exported / "modules.json").read_text())]
    assert types[:2] == ["sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling"]
    whole = SentenceTransformer(str(exported), device="cpu")
    np.testing.assert_array_equal(whole.encode(TEXTS), SentenceTransformer(str(folder), device="cpu").encode(TEXTS))
    assert not [path for path in exported.rglob("*") if path.name.startswith(".")]


@needs_onnx
def test_the_hosts_own_backend_loads_it(folder, exported, tmp_path):
    """In an environment of its own, because optimum-onnx asks for an older transformers than this package."""

    python = os.environ.get("HF_OPTICAL_OPTIMUM_PYTHON")
    if not python:
        pytest.skip("set HF_OPTICAL_OPTIMUM_PYTHON to a Python with sentence-transformers[onnx] (5.7) in it")
    code = (
        "import sys, json, numpy as np\nfrom sentence_transformers import SentenceTransformer\n"
        "place, file, out = sys.argv[1:4]\n"
        "model = SentenceTransformer(place, backend='onnx', device='cpu', model_kwargs={'file_name': file})\n"
        "np.save(out, model.encode(json.loads(sys.argv[4])))\n"
    )
    out = tmp_path / "vectors.npy"
    subprocess.run([python, "-c", code, str(exported), ONNX_FILE, str(out), json.dumps(TEXTS)], check=True)
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    np.testing.assert_allclose(np.load(out), expected, atol=1e-4)


@needs_onnx
def test_a_language_is_exported_with_its_adapter(folder, tmp_path, capsys):
    base = tmp_path / "base"
    shutil.copytree(folder, base)
    _adapter(folder, base / "adapters" / "swh_Latn")
    recipe = importlib.import_module("hf_optical.commands.export")
    recipe.main(recipe.ExportConfig(model=str(base), output_dir=str(tmp_path / "out"), adapter="sw"))
    assert "onnx/model.onnx" in capsys.readouterr().out
    model = SentenceTransformer(str(folder), device="cpu")
    before = model.encode(TEXTS)
    model.load_adapter(str(base / "adapters" / "swh_Latn"), adapter_name="swh_Latn")
    found = load_exported(tmp_path / "out").encode(TEXTS)
    np.testing.assert_allclose(found, model.encode(TEXTS), atol=1e-5)
    assert np.abs(found - before).max() > 1e-3
    with pytest.raises(InputError, match="replace its base"):
        export(base, base, adapter="swh_Latn")


def test_a_missing_runtime_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "openvino", None)
    for backend in ("onnx", "openvino"):
        with pytest.raises(InputError, match=rf"is not installed.*pip install .*'{backend}"):
            export(folder, tmp_path / "out", backend)
    assert not (tmp_path / "out").exists()


def test_refusals(folder, tmp_path):
    with pytest.raises(InputError, match="backend"):
        require_backend("tensorrt")
    with pytest.raises(InputError, match="arm64, avx2"):
        int8_file("sse2")
    with pytest.raises(HFOpticalError, match=r"differs by 0\.01"):
        Parity(3, 0.01, 0.99).check()
    with pytest.raises(HFOpticalError):
        Parity(3, float("nan"), 0.99).check()
    with pytest.raises(InputError, match="no texts"):
        compare(folder, None, [])
    with pytest.raises(InputError, match="holds no adapter"):
        merge_adapter(tmp_path, tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="found no exported file"):
        load_exported(folder)
    tiny_models.late(tmp_path / "made").save_pretrained(str(tmp_path / "late"))
    if ONNX:
        with pytest.raises(InputError, match="late-interaction"):
            export(tmp_path / "late", tmp_path / "out")
        with pytest.raises(InputError, match="int8 is written for ONNX only"):
            export(folder, tmp_path / "out", [], int8="avx2")
        shutil.copytree(folder, tmp_path / "peft")
        (tmp_path / "peft" / "adapter_config.json").write_text("{}")
        with pytest.raises(InputError, match="merge them first"):
            export(tmp_path / "peft", tmp_path / "out")
        assert not (tmp_path / "out").exists()


def _adapter(folder: Path, place: Path) -> None:
    from peft import LoraConfig, get_peft_model

    inner = SentenceTransformer(str(folder), device="cpu").transformers_model
    torch.manual_seed(3)
    wrapped = get_peft_model(inner, LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False))
    wrapped.save_pretrained(place)


def test_a_merged_adapter_is_part_of_an_ordinary_model(folder, tmp_path):
    _adapter(folder, tmp_path / "swh_Latn")
    place = merge_adapter(folder, tmp_path / "swh_Latn", tmp_path / "merged")
    base = SentenceTransformer(str(folder), device="cpu")
    before = base.encode(TEXTS)
    base.load_adapter(str(tmp_path / "swh_Latn"), adapter_name="swh_Latn")
    merged = SentenceTransformer(str(place), device="cpu")
    np.testing.assert_allclose(merged.encode(TEXTS), base.encode(TEXTS), atol=1e-5)
    assert np.abs(before - base.encode(TEXTS)).max() > 1e-3
    assert not getattr(merged.transformers_model, "peft_config", None)
