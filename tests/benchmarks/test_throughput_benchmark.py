"""The throughput benchmark runs, and compares like with like; never how fast."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_models

from hf_optical.adapters import LanguageAdapters
from hf_optical.adapters.rows import BASE

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    tiny_models.dense(tmp_path / "parts", tiny_models.ENGLISH).save_pretrained(str(tmp_path / "teacher"))
    tiny_models.dense(tmp_path / "parts", tiny_models.SWAHILI, seed=1).save_pretrained(str(tmp_path / "student"))
    rows = tiny_models.bitext(60)
    lines = [f"{row['source']}\t{row['translation']}" for row in rows]
    (tmp_path / "pairs.tsv").write_text("en\tsw\n" + "\n".join(lines) + "\n", encoding="utf-8")
    folder = tmp_path / "eval"
    folder.mkdir()
    pairs = dict(list(zip(rows["source"], rows["translation"], strict=True))[:8])
    for name, values in (("corpus.en", list(pairs)), ("queries.sw", list(pairs.values()))):
        found = [json.dumps({"id": f"{name[0]}{i}", "text": text}) for i, text in enumerate(values)]
        (folder / f"{name}.jsonl").write_text("\n".join(found) + "\n", encoding="utf-8")
    (folder / "qrels.sw.trec").write_text("".join(f"q{i} 0 c{i} 1\n" for i in range(len(pairs))))
    return tmp_path


RECIPES = {"ours", "ours, adapter", "stock online", "stock literal"}


def test_the_recipes_are_compared_on_the_same_pairs_with_tests_over_queries_and_seeds(place):
    benchmark = importlib.import_module("throughput")
    benchmark.main(
        benchmark.ThroughputBenchmark(
            teacher=str(place / "teacher"),
            student=str(place / "student"),
            bitext=str(place / "pairs.tsv"),
            eval=[str(place / "eval")],
            repeats=2,
            steps=2,
            batch_size=4,
            max_length=16,
            seeds=[0, 1],
            output=str(place / "out.json"),
        )
    )
    found = json.loads((place / "out.json").read_text())
    assert found["pairs"] == 2 * 2 * 4 and found["versions"]["torch"]
    assert set(found["recipes"]) == RECIPES
    assert all(of["cpu_seconds_once_before"] > 0 for of in found["recipes"].values())
    assert all(1 <= of["positions_per_real_token"] < 16 for of in found["recipes"].values())
    for against in found["speed_ratio"].values():
        for ratio in against.values():
            assert ratio["by_segment"]["min"] <= ratio["by_segment"]["median"] <= ratio["by_segment"]["max"]
    (retrieval,) = found["retrieval"]
    assert set(retrieval["recipes"]) == RECIPES
    assert all(len(of["seeds"]) == 2 for of in retrieval["recipes"].values())
    test = retrieval["tests"]["ours against stock literal"]
    means = {name: of["mean"] for name, of in retrieval["recipes"].items()}
    assert test["difference"] == pytest.approx(means["ours"] - means["stock literal"], abs=2e-4)
    assert 0 < test["p"] <= test["p_holm"] <= 1 and test["n"] == 8


def test_ratios_and_tests_are_what_they_say(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    results = importlib.import_module("throughput_results")
    notes = results.SpeedNotes()
    for _ in range(2):  # seeds
        ours, theirs = Times([1.0, 1.0], before=0.5), Times([3.0, 5.0], before=0.0)
        notes.add(
            {"ours": ours, "theirs": theirs}, {"ours": 1.5, "theirs": 1.0}, {"ours": [(8, 4)], "theirs": [(9, 3)]}
        )
    ratio = notes.ratio("ours", "theirs")
    assert ratio["whole"] == 4.0 and ratio["first_epoch"] == pytest.approx(18 / 8)
    assert ratio["by_segment"] == {"median": 4.0, "min": 3.0, "max": 5.0}
    assert notes.recipe("theirs", 30)["positions_per_real_token"] == 3.0
    assert notes.recipe("theirs", 30)["pairs_per_cpu_second"]["max"] == 10.0
    queries = [f"q{i}" for i in range(40)]
    scores = {
        seed: {
            "set": {
                "ours": {query: 0.9 - 0.01 * (place % 3) for place, query in enumerate(queries)},
                "theirs": {query: 0.5 + 0.1 * seed + 0.01 * (place % 5) for place, query in enumerate(queries)},
            }
        }
        for seed in (0, 1)
    }
    entry = results._retrieval("set", scores, ("ours",), ("theirs",))
    test = entry["tests"]["ours against theirs"]
    assert entry["recipes"]["theirs"]["seeds"] == [0.52, 0.62]  # not one seed twice
    assert test["difference"] == pytest.approx(0.89 - 0.57, abs=2e-3) and test["p"] < 1e-3
    assert 0.05 < test["p_with_seeds"] < 1  # two seeds that differ by .1 say little


def test_an_adapter_is_measured_with_its_adapter(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    results = importlib.import_module("throughput_results")
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI)
    adapters = LanguageAdapters(student)
    adapters.add("swh_Latn")
    seen = []

    def measure(model, *_, **__):
        seen.append(adapters.rows.resting)
        return SimpleNamespace(per_query={})

    monkeypatch.setattr(results, "evaluate_retrieval", measure)
    results.retrieval_scores({"a": student}, [SimpleNamespace(name="set", query_language="swh_Latn")], None, None)
    assert seen == ["swh_Latn"] and adapters.rows.resting == BASE


class Times:
    def __init__(self, cpu, before):
        self.cpu, self.wall, self.before = cpu, cpu, before


def test_trainings_take_turns(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    turns = importlib.import_module("throughput_turns")
    seen: list[str] = []

    class Trainer:
        def __init__(self, name, fails_at=None):
            self.name, self.fails_at, self.callback = name, fails_at, None

        def add_callback(self, callback):
            self.callback = callback

        def train(self):
            for step in range(4):
                self.callback.on_step_begin(None, type("State", (), {"global_step": step}), None)
                if step == self.fails_at:
                    raise ZeroDivisionError
                seen.append(f"{self.name}{step}")
            self.callback.on_train_end(None, None, None)

    segments = turns.train_in_turns({"a": Trainer("a"), "b": Trainer("b")}, 2)
    assert seen == ["a0", "a1", "b0", "b1", "a2", "a3", "b2", "b3"]
    assert [len(one.cpu) for one in segments.values()] == [2, 2]
    with pytest.raises(ZeroDivisionError):
        turns.train_in_turns({"a": Trainer("a", fails_at=2), "b": Trainer("b")}, 2)


def test_the_mildest_stock_recipe_is_the_mean_squared_error_of_the_sentences(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    stock = importlib.import_module("throughput_stock")
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    rows = tiny_models.bitext(4)
    loss = stock.OnlineTeacherMSE(student, teacher)(
        [teacher.preprocess(list(rows["source"])), student.preprocess(list(rows["translation"]))]
    )
    wanted = ((teacher.encode(list(rows["source"])) - student.encode(list(rows["translation"]))) ** 2).mean()
    assert loss.item() == pytest.approx(float(wanted), rel=1e-5)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
