"""The README's Python runs as it stands, with tiny models in place of the ids it names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tiny_models

from hf_optical.adapters import LanguageAdapters

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny_models.dense(tmp_path, tiny_models.ENGLISH).save_pretrained(str(tmp_path / "dense"))
    tiny_models.late(tmp_path, tiny_models.ENGLISH).save_pretrained(str(tmp_path / "late"))
    adapters = LanguageAdapters(tiny_models.dense(tmp_path, tiny_models.ENGLISH))
    for language in ("swh_Latn", "som_Latn"):
        adapters.add(language, r=2)
    adapters.save(tmp_path / "outputs" / "horn" / "model")
    rows = tiny_models.bitext(40)
    lines = [f"{row['source']}\t{row['translation']}" for row in rows]
    (tmp_path / "pairs.tsv").write_text("\n".join(["en\tsw", *lines]) + "\n", encoding="utf-8")
    return tmp_path


def test_there_are_snippets_for_both_stock_trainers():
    assert sum("SentenceTransformerTrainer(" in block for block in BLOCKS) == 1
    assert sum("MultiVectorEncoderTrainer(" in block for block in BLOCKS) == 1


@pytest.mark.parametrize("index", range(len(BLOCKS)))
def test_a_snippet_of_the_readme_runs(workplace, index):
    code = BLOCKS[index]
    assert len(code.strip().splitlines()) <= 22
    code = code.replace("sentence-transformers/all-MiniLM-L6-v2", "dense").replace(
        "colbert-ir/your-english-model", "late"
    )
    code = code.replace("outputs/swahili/model", "dense")
    code = code.replace("max_steps=500", "max_steps=2")
    names: dict = {}
    exec(compile(code, f"README block {index}", "exec"), names)
    if "trainer" in names:
        assert names["trainer"].state.global_step == 2
