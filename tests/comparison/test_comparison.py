from __future__ import annotations

import json

import numpy as np
import pytest

from hf_optical.comparison import cells_of, markdown_table, run_cells, summarise
from hf_optical.errors import HFOpticalError, InputError

RECIPE = """
import json, sys, pathlib, random
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
out = pathlib.Path(flags["--output_dir"])
out.mkdir(parents=True, exist_ok=True)
(out / "model").mkdir(exist_ok=True)
if flags["--objective"] == "broken":
    sys.exit("no such objective")
draw = random.Random(flags["--seed"])
noise = [draw.random() * 0.2 for _ in range(40)]
gain = float(flags["--gain"])
rows = {
    "raw": {str(i): {"ndcg@10": 0.3 + n} for i, n in enumerate(noise)},
    "after": {str(i): {"ndcg@10": 0.3 + n + gain + draw.random() * 0.05} for i, n in enumerate(noise)},
}
(out / "per_query.json").write_text(json.dumps({"toy/swh_Latn": rows}))
(out / "results.json").write_text(json.dumps({"flags": flags}))
with open(out.parents[3] / "calls.txt", "a") as calls:
    calls.write(out.as_posix() + chr(10))
"""


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "recipe.py"
    file.write_text(RECIPE)
    return file


def matrix(tmp_path, arms, seeds=(0, 1)):
    return cells_of(tmp_path / "out", {"max_steps": 3}, {"sw": {"bitext": "b"}}, arms, seeds)


def calls(tmp_path):
    file = tmp_path / "out" / "calls.txt"
    return file.read_text().splitlines() if file.exists() else []


def test_every_arm_language_and_seed_is_run_once_and_skipped_after(tmp_path, recipe):
    cells = matrix(tmp_path, {"a": {"objective": "ot", "gain": 0.2}, "b": {"objective": "nce", "gain": 0.0}})
    assert [(cell.seed, cell.arm, cell.language) for cell in cells[:2]] == [(0, "a", "swh_Latn"), (0, "b", "swh_Latn")]
    run_cells(cells, recipe, jobs=2)
    assert len(calls(tmp_path)) == 4 and all(cell.is_done() for cell in cells)
    assert not (cells[0].folder / "model").exists()
    run_cells(cells, recipe)
    assert len(calls(tmp_path)) == 4
    # A changed option is another run: the old result does not count for it.
    changed = matrix(tmp_path, {"a": {"objective": "ot", "gain": 0.3}, "b": {"objective": "nce", "gain": 0.0}})
    assert [cell.is_done() for cell in changed] == [False, True, False, True]


def test_a_failing_run_names_itself_and_keeps_the_others(tmp_path, recipe):
    cells = matrix(tmp_path, {"good": {"objective": "ot", "gain": 0.2}, "bad": {"objective": "broken", "gain": 0}}, [0])
    with pytest.raises(HFOpticalError, match=r"swh_Latn/bad/0 ended with code 1: no such objective"):
        run_cells(cells, recipe)
    assert [cell.is_done() for cell in cells] == [True, False]


def test_the_summary_has_means_spread_and_tests(tmp_path, recipe):
    cells = matrix(tmp_path, {"base": {"objective": "nce", "gain": 0.0}, "better": {"objective": "ot", "gain": 0.1}})
    run_cells(cells, recipe)
    (entry,) = summarise(cells, "ndcg@10", "base")
    values = entry["arms"]["better"]["values"]
    direct = [
        np.mean(
            [
                row["ndcg@10"]
                for row in json.loads((cell.folder / "per_query.json").read_text())["toy/swh_Latn"]["after"].values()
            ]
        )
        for cell in cells
        if cell.arm == "better"
    ]
    assert values == pytest.approx(direct)
    assert entry["arms"]["better"]["mean"] == pytest.approx(np.mean(direct))
    assert entry["arms"]["better"]["sd"] == pytest.approx(np.std(direct, ddof=1))
    assert entry["arms"]["better"]["tests"]["base"]["p_holm"] < 0.01
    assert entry["arms"]["better"]["tests"]["base"]["difference"] == pytest.approx(0.1, abs=0.02)
    table = markdown_table([entry], "base")
    assert table.count("\n") == 2 and "*†" in table


@pytest.mark.parametrize("field", ["arms", "languages", "seeds"])
def test_an_empty_matrix_is_refused(tmp_path, field):
    given = {
        "common": {},
        "languages": {"sw": {}},
        "arms": {"a": {}},
        "seeds": [0],
        field: {} if field != "seeds" else [],
    }
    with pytest.raises(InputError, match=field):
        cells_of(tmp_path, **given)
