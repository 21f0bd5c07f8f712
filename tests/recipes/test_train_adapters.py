"""`recipes/train.py --adapter lora`: one base, a small adapter per language."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from safetensors.torch import load_file
from script_modules import call
from tiny_sets import write_retrieval_set, write_rows

from hf_optical.adapters.files import load_all
from hf_optical.publishing.publish import Publication, build

TEXTS = ["mbuzi analala", "mtoto anakula katika nyumba", "the goat"]


@pytest.fixture
def workplace(tmp_path):
    words = [*tiny_models.ENGLISH, *tiny_models.SWAHILI]
    tiny_models.dense(tmp_path, words, layers=2).save_pretrained(str(tmp_path / "teacher"))
    for seed, tag in enumerate(("sw", "so")):
        rows = tiny_models.bitext(40, seed=seed)
        write_rows(tmp_path / f"{tag}.jsonl", [{"en": row["source"], "xx": row["translation"]} for row in rows])
    texts = {"en": tiny_models.ENGLISH[:8], "sw": tiny_models.SWAHILI[:8], "so": tiny_models.SWAHILI[:-9:-1]}
    write_retrieval_set(tmp_path / "eval", {"en": texts["en"]}, texts)
    return {
        "teacher": str(tmp_path / "teacher"),
        "student": "copy",
        "bitext": [f"sw={tmp_path / 'sw.jsonl'}", f"so={tmp_path / 'so.jsonl'}"],
        "eval": str(tmp_path / "eval"),
        "output_dir": str(tmp_path / "out"),
        "adapter": "lora",
        "lora.rank": "2",
        "max_steps": "6",
        "batch_size": "4",
        "learning_rate": "1e-2",
        "save_steps": "2",
    }


def test_one_base_and_an_adapter_for_each_language(recipe, workplace, capsys):
    flags = {"max_steps": "60", "learning_rate": "5e-2", "lora.rank": "4", "english_eval": workplace["eval"]}
    assert call(recipe, {**workplace, **flags}) == 0
    out = Path(workplace["output_dir"])
    results = json.loads((out / "results.json").read_text())
    assert [size["language"] for size in results["adapters"]["sizes"]] == ["swh_Latn", "som_Latn"]
    assert results["seconds_per_step"] > 0
    # It is measured through the adapters: the base alone would score as before.
    *taught, english = results["evaluations"]
    assert all(entry["after"] != entry["before"] for entry in taught)
    assert english["language"] == "eng_Latn" and english["after"] == english["before"]  # the base has not moved
    printed = capsys.readouterr().out
    assert "Peak memory of this run" in printed and "Queries in swh_Latn, routed" in printed
    assert sum(row["texts"] for row in results["adapters"]["routing"]["som_Latn"]) == 8
    assert "swh_Latn" in printed and "'subfolder': 'adapters/swh_Latn'" in printed
    # The base is the student as it was before training, bit for bit.
    base, untrained = (load_file(out / name / "model.safetensors") for name in ("model", "untrained"))
    assert base.keys() == untrained.keys() and all(value.equal(untrained[name]) for name, value in base.items())
    ours = load_all(out / "model")
    vectors = [ours.encode_query(TEXTS, languages=code) for code in ("swh_Latn", "som_Latn", None)]
    assert all(np.abs(vectors[i] - vectors[j]).max() > 1e-4 for i, j in ((0, 1), (0, 2), (1, 2)))
    # What is published holds the base and both adapters once.
    site = build(Publication(run=out, repo_id="somebody/base"), out.with_name("site"))
    assert sorted(path.name for path in (site / "adapters").iterdir()) == ["som_Latn", "swh_Latn"]
    published = load_all(site).encode_query(TEXTS, languages="som_Latn")
    assert np.abs(published - vectors[1]).max() < 1e-6
    code = (
        "import sys; sys.modules['hf_optical'] = None\n"
        "import numpy; from sentence_transformers import SentenceTransformer\n"
        f"model = SentenceTransformer({str(out / 'model')!r}, device='cpu')\n"
        f"model.load_adapter({str(out / 'model')!r}, adapter_kwargs={{'subfolder': 'adapters/som_Latn'}})\n"
        f"numpy.save({str(out / 'vectors.npy')!r}, model.encode_query({TEXTS!r}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert np.abs(np.load(out / "vectors.npy") - vectors[1]).max() < 1e-6


def test_an_interrupted_run_goes_on_and_ends_like_a_whole_one(recipe, workplace, tmp_path, interrupted_after):
    assert call(recipe, {**workplace, "output_dir": str(tmp_path / "whole")}) == 0
    with interrupted_after(4):
        assert call(recipe, workplace) == 130
    assert call(recipe, workplace) == 0
    for code in ("swh_Latn", "som_Latn"):
        files = [
            folder / "model" / "adapters" / code / "adapter_model.safetensors"
            for folder in (tmp_path / "whole", Path(workplace["output_dir"]))
        ]
        states = [load_file(file) for file in files]
        assert all(states[0][name].equal(value) for name, value in states[1].items())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"adapter": "dora"}, "none, lora"),
        ({"lora.init": "random"}, "default, pissa, olora"),
        ({"lora.targets": "nothing"}, "nothing"),
        ({"index": "student"}, "adapter"),
        ({"bitext": ["swq=a.tsv"]}, "swh_Latn"),
    ],
)
def test_bad_options_end_in_one_clear_error(recipe, workplace, capsys, flags, message):
    assert call(recipe, {**workplace, **flags}) == 2
    printed = capsys.readouterr().err.strip().splitlines()
    assert printed[-1].startswith("error: ") and message in printed[-1]
