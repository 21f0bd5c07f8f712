"""Every notebook runs from its first to its last cell, on tiny models and pairs."""

from __future__ import annotations

import os
from pathlib import Path

import pandas
import pytest
import tiny_models

nbclient = pytest.importorskip("nbclient", reason="notebooks need nbclient and ipykernel: the test extra")
nbformat = pytest.importorskip("nbformat", reason="notebooks need nbformat: the test extra")

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WORDS = [*tiny_models.ENGLISH, *tiny_models.SWAHILI]
SMALLER = {  # a vocabulary of words cannot be extended, and hundreds of steps are many
    '"sentence-transformers/all-MiniLM-L6-v2"': '"teacher"',
    '"intfloat/multilingual-e5-small"': '"encoder"',
    'STUDENT = "extend"': 'STUDENT = "copy"',
    "STEPS = 200": "STEPS = 4",
    "STEPS = 300": "STEPS = 4",
}


@pytest.fixture
def workplace(tmp_path):
    """A folder with what the notebooks suppose that their reader has."""
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH, positions=128)
    teacher.save_pretrained(str(tmp_path / "teacher"))
    tiny_models.dense(tmp_path, WORDS, width=32, seed=4).save_pretrained(str(tmp_path / "encoder"))
    for seed, tag in enumerate(("sw", "so", "tl")):
        lines = [f"{row['source']}\t{row['translation']}" for row in tiny_models.bitext(150, seed=seed)]
        for name in (tag, "pairs") if tag == "sw" else (tag,):
            (tmp_path / f"{name}.tsv").write_text("\n".join([f"en\t{tag}", *lines]) + "\n", encoding="utf-8")
    texts = list(dict.fromkeys(tiny_models.bitext(80, seed=7)["source"]))
    rows = {"text": texts, "vector": list(teacher.encode_document(texts))}
    pandas.DataFrame(rows).to_parquet(tmp_path / "index.parquet")
    return tmp_path


def test_there_are_three_without_outputs():
    assert [path.stem for path in NOTEBOOKS] == ["adapters_for_three_languages", "first_language", "index_of_an_api"]
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells), path.name


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, workplace, monkeypatch):
    notebook = nbformat.read(path, as_version=4)
    replaced = set()
    for cell in notebook.cells:
        for written, small in SMALLER.items():
            if cell.cell_type == "code" and written in cell.source:
                cell.source = cell.source.replace(written, small)
                replaced.add(small)
    assert "STEPS = 4" in replaced and replaced & {'"teacher"', '"encoder"'}
    places = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(places))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("IPYTHONDIR", str(workplace / "ipython"))  # nothing is written at home
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": workplace}}
    )
    client.execute()
    shown = "\n".join(_shown(output) for cell in notebook.cells for output in cell.get("outputs", ()))
    expected = {
        "first_language": ["pairs", "after", "The goat sleeps under the tree.", "<svg", "base_model"],
        "adapters_for_three_languages": ["swh_Latn", "som_Latn", "tgl_Latn", "(3, 16)", "kB", "tensor([["],
        "index_of_an_api": ["16 numbers each", "map: ", "held-out"],
    }[path.stem]
    assert not [text for text in expected if text not in shown], shown[-3000:]


def _shown(output) -> str:
    """What an output shows, as text."""
    if output.output_type == "stream":
        return output.text
    return "\n".join(str(value) for value in output.get("data", {}).values())
