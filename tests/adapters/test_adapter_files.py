from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
import tiny_models
import torch
from adapter_models import TEXTS, largest_difference, randomized, with_adapters
from safetensors.torch import load_file

from hf_optical.adapters import LanguageAdapters, load_all, load_language
from hf_optical.adapters.base_weights import fingerprint, without_adapters
from hf_optical.data.languages import UnknownLanguageError
from hf_optical.errors import InputError

MIXED = ["swh_Latn", "som_Latn", None, "tgl_Latn", "som_Latn"]

METHODS = {  # trap 21: what is exact on reload
    "lora": {},
    "rslora": {"use_rslora": True},
    "pissa": {"init_lora_weights": "pissa"},
    "pissa rslora": {"init_lora_weights": "pissa", "use_rslora": True},
    "olora": {"init_lora_weights": "olora"},
    "layers": {"layers_to_transform": [1]},
    "modules": {"modules_to_save": ["intermediate.dense"]},
    "tokens": {"trainable_token_indices": [5, 6, 7]},
    "embeddings": {"target_modules": ["word_embeddings", "query"]},
    "bias of the adapter": {"lora_bias": True},
}


def vectors(adapters, languages=MIXED):
    return [torch.as_tensor(vector) for vector in adapters.encode(TEXTS, languages=languages)]


def test_all_adapters_come_back_bit_for_bit_with_their_base(adapters, tmp_path):
    expected, states = vectors(adapters), {code: adapters.state(code) for code in adapters.languages}
    adapters.save(tmp_path / "repository")
    assert not (tmp_path / "repository.partial").exists()
    again = load_all(tmp_path / "repository", device="cpu")
    assert again.languages == adapters.languages and again.trainable == ()
    for code, state in states.items():
        loaded = again.state(code)
        assert state.keys() == loaded.keys() and all(torch.equal(state[key], loaded[key]) for key in state)
    assert largest_difference(vectors(again), expected) == 0
    assert fingerprint(again.model, again.inner) == fingerprint(adapters.model, adapters.inner)
    one = load_language(tmp_path / "repository", "so", device="cpu")
    assert one.languages == ("som_Latn",)
    assert largest_difference(vectors(one, ["so"] * 5), vectors(adapters, ["so"] * 5)) == 0


def test_the_base_is_saved_under_its_own_names(adapters, tmp_path):
    with without_adapters(adapters.inner):
        names = set(adapters.inner.state_dict())
    adapters.save(tmp_path / "repository")
    assert set(load_file(tmp_path / "repository" / "model.safetensors")) == names
    assert not any("lora" in name or "base_layer" in name for name in names)
    assert LanguageAdapters.of(adapters.model) is adapters and vectors(adapters)  # back in place


@pytest.mark.parametrize("method", METHODS)
def test_every_method_reloads_exactly(dense, tmp_path, method):
    adapters = randomized(with_adapters(dense, ["sw", "so"], **METHODS[method]))
    adapters.save(tmp_path / "repository")
    again = load_all(tmp_path / "repository", device="cpu")
    for code in adapters.languages:
        state, loaded = adapters.state(code), again.state(code)
        assert state.keys() == loaded.keys() and all(torch.equal(state[key], loaded[key]) for key in state)
    languages = ["sw", "so", None, "so", "sw"]
    assert largest_difference(vectors(again, languages), vectors(adapters, languages)) < 1e-6


def test_a_pointer_names_the_base_and_holds_no_weights_of_it(dense, tmp_path):
    adapters = randomized(with_adapters(dense))
    expected = vectors(adapters)
    adapters.save(tmp_path / "pointer", base="someone/some-base", revision="v1")
    manifest = json.loads((tmp_path / "pointer" / "adapters.json").read_text())
    assert manifest["base"] == {"id": "someone/some-base", "revision": "v1", "sha256": adapters.base_fingerprint()}
    assert not (tmp_path / "pointer" / "model.safetensors").exists()
    base = tiny_models.dense(tmp_path, tiny_models.SWAHILI, layers=2)
    assert largest_difference(vectors(load_all(tmp_path / "pointer", base)), expected) == 0
    with pytest.raises(InputError, match="someone/some-base: no model could be loaded"):
        load_all(tmp_path / "pointer")
    for path in ("/etc/model", "../model", "a/b/c", "."):
        with pytest.raises(InputError, match="not a Hub id"):
            adapters.save(tmp_path / "other", base=path)
    manifest["base"]["id"] = "../elsewhere"
    (tmp_path / "pointer" / "adapters.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="not a Hub id"):
        load_all(tmp_path / "pointer")


def test_another_base_is_refused(dense, tmp_path):
    with_adapters(dense, ["sw"]).save(tmp_path / "repository")
    other = tiny_models.dense(tmp_path, tiny_models.SWAHILI, layers=2, seed=5)
    with pytest.raises(InputError, match="base with other weights"):
        load_all(tmp_path / "repository", other)


def test_no_path_of_this_machine_is_written(dense, tmp_path):
    with_adapters(dense, ["sw"]).save(tmp_path / "repository")
    files = [tmp_path / "repository" / "adapters.json", *(tmp_path / "repository" / "adapters").rglob("*.json")]
    assert len(files) == 2 and not any(str(tmp_path) in file.read_text() for file in files)


def test_damage_is_named(dense, tmp_path):
    adapters = with_adapters(dense, ["sw", "so"])
    whole = tmp_path / "whole"
    adapters.save(whole)

    def broken(name, change):
        folder = tmp_path / name
        shutil.copytree(whole, folder)
        change(folder / "adapters" / "som_Latn")
        return folder

    def pickled(place):
        (place / "adapter_model.safetensors").rename(place / "adapter_model.bin")

    def linked(place):
        shutil.move(place / "adapter_model.safetensors", tmp_path / "outside.safetensors")
        (place / "adapter_model.safetensors").symlink_to(tmp_path / "outside.safetensors")

    def other_type(place):
        values = json.loads((place / "adapter_config.json").read_text())
        (place / "adapter_config.json").write_text(json.dumps({**values, "peft_type": "IA3"}))

    def dora(place):
        values = json.loads((place / "adapter_config.json").read_text())
        (place / "adapter_config.json").write_text(json.dumps({**values, "use_dora": True}))

    def rank(place):
        values = json.loads((place / "adapter_config.json").read_text())
        (place / "adapter_config.json").write_text(json.dumps({**values, "r": 2}))

    def cut(place):
        data = (place / "adapter_model.safetensors").read_bytes()
        (place / "adapter_model.safetensors").write_bytes(data[: len(data) // 2])

    for change, message in (
        (pickled, "pickled"),
        (linked, "link out of the folder"),
        (other_type, "'IA3'"),
        (dora, "DoRA"),
        (rank, r"som_Latn is \(4, 16\) in the file and \(2, 16\) in the model"),
        (cut, "damaged"),
    ):
        with pytest.raises(InputError, match=message):
            load_all(broken(change.__name__, change), device="cpu")
    with pytest.raises(UnknownLanguageError, match="no adapter for tgl_Latn; there are: swh_Latn, som_Latn"):
        load_language(whole, "tl")
    with pytest.raises(UnknownLanguageError, match="any language"):
        load_all(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        load_all("nobody/nothing")


def test_a_failed_load_leaves_the_model_as_it_was(dense, tmp_path):
    adapters = randomized(with_adapters(dense, ["sw"]))
    expected = vectors(adapters, ["sw"] * 5)
    other = with_adapters(tiny_models.dense(tmp_path, tiny_models.SWAHILI, layers=2), ["so"])
    other.save(tmp_path / "repository")
    values = json.loads((tmp_path / "repository/adapters/som_Latn/adapter_config.json").read_text())
    (tmp_path / "repository/adapters/som_Latn/adapter_config.json").write_text(json.dumps({**values, "r": 2}))
    with pytest.raises(InputError):
        adapters.load(tmp_path / "repository", "so")
    assert adapters.languages == ("swh_Latn",) and adapters.trainable == ("swh_Latn",)
    assert largest_difference(vectors(adapters, ["sw"] * 5), expected) == 0


PLAIN = """
import json, sys
sys.modules["hf_optical"] = None  # any import of it fails
import torch
from peft import PeftModel
from sentence_transformers import {host}
folder, texts = sys.argv[1], json.loads(sys.argv[2])
read = lambda model: [torch.as_tensor(vector).tolist() for vector in model.encode(texts)]
found = {{"base": read({host}(folder, device="cpu"))}}
for language in sys.argv[3:]:
    model = {host}(folder, device="cpu")
    model.load_adapter(folder, adapter_kwargs={{"subfolder": "adapters/" + language}})
    found["host " + language] = read(model)
    model = {host}(folder, device="cpu")
    model[0].auto_model = PeftModel.from_pretrained(model[0].auto_model, folder, subfolder="adapters/" + language)
    found["peft " + language] = read(model)
assert not any(name.startswith("hf_optical.") for name in sys.modules)
print("RESULT" + json.dumps(found))
"""


@pytest.mark.parametrize("kind", ["dense", "late"])
def test_trap_24_plain_sentence_transformers_and_peft_load_one_language(kind, tmp_path):
    model = getattr(tiny_models, kind)(tmp_path, tiny_models.SWAHILI)
    adapters = with_adapters(model, ["sw", "so"])
    adapters.add("tl", r=4, init_lora_weights="pissa", use_rslora=True)
    adapters.add("mr", r=4, trainable_token_indices=[5, 6, 7])
    randomized(adapters)
    adapters.save(tmp_path / "repository")
    host = type(model).__name__
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            PLAIN.format(host=host),
            str(tmp_path / "repository"),
            json.dumps(TEXTS),
            *adapters.languages,
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout.rpartition("RESULT")[2])
    base = [torch.as_tensor(vector) for vector in model.encode(TEXTS)]
    assert largest_difference([torch.tensor(vector) for vector in found["base"]], base) < 1e-6
    for language in adapters.languages:
        own = vectors(adapters, [language] * 5)
        assert largest_difference(own, base) > 1e-3
        for how in ("host", "peft"):
            plain = [torch.tensor(vector) for vector in found[f"{how} {language}"]]
            assert largest_difference(plain, own) < 1e-6, (how, language)
