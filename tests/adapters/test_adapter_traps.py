"""Traps 19 to 23 of the hosts, one test each, with the host's own behaviour beside ours where it is cheap.

Trap 18 is in ``test_adapter_training.py``, trap 24 in ``test_adapter_files.py``.
"""

from __future__ import annotations

import json

import pytest
import tiny_models
import torch
from adapter_models import TEXTS, largest_difference, one_by_one, randomized, with_adapters
from peft import LoraConfig

from hf_optical.adapters import LanguageAdapters
from hf_optical.adapters.rows import ROW_KEY, row_numbers
from hf_optical.errors import InputError


def test_trap_19_all_chosen_adapters_are_trained_and_all_are_saved_under_their_names(dense, tmp_path):
    adapters = with_adapters(dense, modules_to_save=["intermediate.dense"])
    trained = {id(p) for p in dense.parameters() if p.requires_grad}
    assert trained == {id(p) for code in adapters.languages for p in adapters.parameters(code).values()}
    # The host can have but one adapter with modules_to_save active, and trains what is active.
    with pytest.raises(ValueError, match="multiple"):
        dense.set_adapter(list(adapters.languages))
    adapters.set_trainable()
    adapters.save(tmp_path / "all")
    folders = sorted(path.name for path in (tmp_path / "all" / "adapters").iterdir())
    assert folders == sorted(adapters.languages)
    adapters.set_trainable(["so"])
    assert {id(p) for p in dense.parameters() if p.requires_grad} == {id(p) for p in adapters.parameters("so").values()}


def test_trap_20_mixed_rows_reach_the_layers_in_training_mode_too(dense):
    adapters = randomized(with_adapters(dense))
    languages = ["swh_Latn", "som_Latn", None, "tgl_Latn", "som_Latn"]
    with pytest.raises(ValueError, match="adapter_names"):  # what the host says to the same wish
        dense.encode(TEXTS, adapter_names=languages)
    dense.train()
    features = {**dense.preprocess(TEXTS), ROW_KEY: row_numbers(languages)}
    mixed = dense(features)["sentence_embedding"]
    dense.eval()
    assert largest_difference(mixed.detach(), one_by_one(adapters, TEXTS, languages)) < 1e-6
    # The gradient of a row is that of its adapter alone.
    mixed[1].sum().backward()
    moved = {code: any(p.grad is not None and bool(p.grad.any()) for p in adapters.parameters(code).values())
             for code in adapters.languages}  # fmt: skip
    assert moved == {"swh_Latn": False, "som_Latn": True, "tgl_Latn": False}


def test_trap_21_dora_is_refused_with_the_reason(dense):
    adapters = LanguageAdapters(dense)
    for given in ({"use_dora": True}, {"config": LoraConfig(use_dora=True)}):
        with pytest.raises(InputError, match="magnitudes are lost when sentence-transformers loads"):
            adapters.add("sw", **given)
    assert adapters.languages == ()


def test_trap_22_a_replaced_adapter_leaves_no_layer_behind(dense, tmp_path):
    small = with_adapters(tiny_models.dense(tmp_path, tiny_models.SWAHILI, layers=2), ["sw"], layers_to_transform=[0])
    randomized(small, seed=3).save(tmp_path / "small")
    adapters = randomized(with_adapters(dense, ["sw", "so"], target_modules=["query", "key", "value"]))
    others = torch.as_tensor(adapters.encode(TEXTS, languages="so"))
    with pytest.raises(InputError, match="replace=True"):
        adapters.load(tmp_path / "small", "sw")
    adapters.load(tmp_path / "small", "sw", replace=True)
    expected = torch.as_tensor(small.encode(TEXTS, languages="sw"))
    assert largest_difference(torch.as_tensor(adapters.encode(TEXTS, languages="sw")), expected) < 1e-6
    assert torch.equal(torch.as_tensor(adapters.encode(TEXTS, languages="so")), others)
    assert all("layer.0." in path for path in adapters.parameters("sw"))


@pytest.mark.parametrize("start", [True, "pissa"])
@pytest.mark.parametrize("damage", ["no such layer", "other shapes"])
def test_a_replacement_that_fails_leaves_the_adapter_that_was_there(dense, tmp_path, start, damage):
    other = tiny_models.dense(tmp_path, tiny_models.SWAHILI, layers=2)
    randomized(with_adapters(other, ["sw"])).save(tmp_path / "other")
    file = tmp_path / "other" / "adapters" / "swh_Latn" / "adapter_config.json"
    config = json.loads(file.read_text())
    changed = {"target_modules": ["nowhere"]} if damage == "no such layer" else {"r": 2}
    file.write_text(json.dumps({**config, **changed}))
    adapters = randomized(with_adapters(dense, ["sw", "so"], init_lora_weights=start))
    before = [torch.as_tensor(adapters.encode(TEXTS, languages=code)) for code in ("sw", "so")]
    with pytest.raises(InputError):
        adapters.load(tmp_path / "other", "sw", replace=True)
    after = [torch.as_tensor(adapters.encode(TEXTS, languages=code)) for code in ("sw", "so")]
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    assert adapters.trainable == ("swh_Latn", "som_Latn")
    assert adapters.config("sw").r == 4 and all(p.requires_grad for p in adapters.parameters("sw").values())


@pytest.mark.parametrize(
    ("code", "name"), [("en", "eng_Latn"), ("de", "deu_Latn"), ("lo", "lao_Laoo"), ("or", "ory_Orya")]
)
def test_trap_23_names_are_no_parts_of_parameter_names(dense, code, name):
    own = [path for path, _ in dense.transformers_model.named_parameters()]
    adapters = LanguageAdapters(dense)
    assert adapters.add(code) == name and adapters.languages == (name,)
    assert not any(name in path for path in own)
    assert any(code in path for path in own) or code == "lo"  # "lo" is part of "lora"
    assert set(adapters.parameters(code)) == {path for path, _ in adapters.inner.named_parameters() if "lora_" in path}


def test_an_adapter_without_extra_modules_joins_one_with_them(dense):
    """Through the host's add_adapter this raises, and a row's extra modules are skipped without a word."""
    adapters = with_adapters(dense, ["sw"], modules_to_save=["intermediate.dense"])
    adapters.add("so", r=2)  # the last one added has none
    randomized(adapters)
    mixed = torch.as_tensor(adapters.encode(TEXTS[:2], languages=["sw", "so"]))
    state = adapters.state("sw")
    key = next(key for key in state if "intermediate" in key and key.endswith("weight"))
    with torch.no_grad():
        state[key].zero_()  # shares memory with the parameter: the extra module is used only if this shows
    again = torch.as_tensor(adapters.encode(TEXTS[:2], languages=["sw", "so"]))
    assert float((mixed[0] - again[0]).abs().max()) > 1e-3
    assert torch.equal(mixed[1], again[1])


def test_gradient_checkpointing_recomputes_every_row_under_its_own_adapter(dense):
    adapters = randomized(with_adapters(dense))
    languages = ["swh_Latn", "som_Latn", "tgl_Latn", "tgl_Latn", "som_Latn"]

    def gradients():
        dense.train()
        dense.zero_grad()
        loss = 0
        for order in (languages, languages[::-1]):  # two forward passes before one backward
            features = {**dense.preprocess(TEXTS), ROW_KEY: row_numbers(order)}
            loss = loss + dense(features)["sentence_embedding"].pow(3).sum()
        loss.backward()
        return {name: p.grad.clone() for name, p in dense.named_parameters() if p.requires_grad}

    plain = gradients()
    adapters.inner.gradient_checkpointing_enable({"use_reentrant": False})
    again = gradients()
    assert plain.keys() == again.keys() and all(torch.allclose(plain[name], again[name], atol=1e-7) for name in plain)
    assert all(bool(gradient.any()) for gradient in plain.values())


def test_autocast_keeps_rows_apart(dense):
    adapters = randomized(with_adapters(dense))
    languages = ["swh_Latn", "som_Latn", None, "tgl_Latn", "som_Latn"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = torch.as_tensor(adapters.encode(TEXTS, languages=languages, convert_to_tensor=True)).float()
        alone = one_by_one(adapters, TEXTS, languages)
    assert largest_difference(mixed, alone) < 2**-5
    assert float((mixed - torch.as_tensor(dense.encode(TEXTS))).abs().max(dim=1).values[0]) > 2**-5
