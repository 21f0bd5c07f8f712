from __future__ import annotations

import json

import numpy as np
import pytest
from stub_comparison import run_stub, write_recipe

from hf_optical.comparison import cells_of, collect, run_cells, summarise
from hf_optical.comparison.bitexts import count_pairs, example_pairs
from hf_optical.comparison.option_checks import check_options
from hf_optical.errors import HFOpticalError, InputError
from hf_optical.evaluation.paired_statistics import bootstrap_interval, holm, randomisation_test

ARMS = {"base": {"objective": "nce", "learning_rate": 0.0}, "better": {"objective": "ot", "learning_rate": 0.06}}
ARMS["same"] = {"objective": "mse", "learning_rate": 0.0}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run_stub(tmp_path_factory.mktemp("finished"), ARMS)


@pytest.fixture(scope="module")
def entries(finished):
    return summarise(collect(finished, "ndcg@10"))


def scores_of(cells, arm, language):
    rows = []
    for cell in cells:
        if (cell.arm, cell.language) == (arm, language):
            found = json.loads((cell.folder / "per_query.json").read_text())[f"toy/{language}"]["after"]
            rows.append([row["ndcg@10"] for row in found.values()])
    return np.array(rows)


def calls(cells):
    return sum((cell.folder / "calls.txt").read_text().count("begun") for cell in cells)


def test_every_arm_language_and_seed_is_run_once_and_skipped_after(tmp_path):
    arms = {name: ARMS[name] for name in ("base", "better")}
    cells = run_stub(tmp_path, arms, seeds=[0, 1])
    assert [(c.seed, c.arm, c.language) for c in cells[:3]] == [
        (0, "base", "swh_Latn"), (0, "better", "swh_Latn"), (0, "base", "som_Latn"),
    ]  # fmt: skip
    # Where a student starts from is measured once, with the first seed; the arms share the student.
    assert [cell.options["measure_start"] for cell in cells] == [True, False, True, False, *[False] * 4]
    assert calls(cells) == 8 and all(cell.is_done() for cell in cells)
    assert not (cells[0].folder / "model").exists()
    run_cells(cells, (str(tmp_path / "train.py"),))
    assert calls(cells) == 8
    # A changed option is another run: the old result does not count for it. Who measures the start is no option.
    changed = run_cells_of(tmp_path, {"better": {**ARMS["better"], "learning_rate": 0.3}, "base": ARMS["base"]})
    assert [cell.is_done() for cell in changed] == [False, True]


def run_cells_of(tmp_path, arms):
    common = {"max_steps": 3, "batch_size": 2, "teacher": "t", "student": "extend"}
    return cells_of(tmp_path / "out", common, {"sw": {"bitext": "b"}}, arms, [0])


def test_other_students_measure_their_own_start(tmp_path):
    arms = {"a": {"objective": "ot"}, "b": {"objective": "ot", "student": "copy"}, "c": {"objective": "ot+source"}}
    assert [cell.options["measure_start"] for cell in run_cells_of(tmp_path, {**arms, "d": arms["a"]})] == [
        True, True, True, False,
    ]  # fmt: skip


def test_a_failing_run_names_itself_and_keeps_the_others(tmp_path):
    arms = {"good": ARMS["base"], "bad": {"objective": "broken", "learning_rate": 0}}
    cells = run_cells_of(tmp_path, arms)
    with pytest.raises(HFOpticalError, match=r"swh_Latn/bad/0 ended with code 1: no such objective"):
        run_cells(cells, write_recipe(tmp_path))
    assert [cell.is_done() for cell in cells] == [True, False]


def test_means_spread_intervals_and_tests_of_a_language(finished, entries):
    entry = next(e for e in entries if e["language"] == "swh_Latn")
    mine, base = scores_of(finished, "better", "swh_Latn"), scores_of(finished, "base", "swh_Latn")
    arm = entry["arms"]["better"]
    assert arm["values"] == pytest.approx(mine.mean(1))
    assert (arm["mean"], arm["sd"]) == pytest.approx((mine.mean(), mine.mean(1).std(ddof=1)))
    assert arm["interval"] == pytest.approx(bootstrap_interval(mine.mean(0)), abs=0.01)
    test = arm["tests"]["base"]
    differences = (mine - base).mean(0)
    assert test["difference"] == pytest.approx(differences.mean())
    assert test["ratio"] == pytest.approx(mine.mean() / base.mean())
    assert test["effect_size"] == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert test["interval"] == pytest.approx(bootstrap_interval(differences), abs=0.003)
    assert test["p"] == pytest.approx(randomisation_test(differences), abs=0.01) and test["seeds_ahead"] == 3
    assert set(arm["tests"]) == {"raw", "before extend", "initialized extend", "ceiling", "base", "same"}
    assert entry["references"]["raw"] < entry["references"]["ceiling"] and entry["n"] == 60


def test_holm_is_over_the_languages_and_over_everything(entries):
    by_language = [entry for entry in entries if len(entry["languages"]) == 1]
    raw = [entry["arms"]["same"]["tests"]["base"] for entry in by_language]
    assert [test["p_holm"] for test in raw] == pytest.approx(holm([test["p"] for test in raw]))
    family = [entry["arms"][arm]["tests"]["base"] for entry in by_language for arm in ("better", "same")]
    assert [test["p_holm_all"] for test in family] == pytest.approx(holm([test["p"] for test in family]))


def test_over_languages_each_has_the_same_weight(finished, entries):
    entry = entries[-1]
    assert entry["language"] == "all languages" and entry["languages"] == ["swh_Latn", "som_Latn"]
    mine = [scores_of(finished, "better", language).mean() for language in entry["languages"]]
    assert entry["arms"]["better"]["mean"] == pytest.approx(np.mean(mine))
    test = entry["arms"]["better"]["tests"]["base"]
    assert test["ahead_in"] == test["significant_in"] == entry["languages"] and test["behind_in"] == []
    assert test["p_holm"] < 0.01 < 0.05 < entry["arms"]["same"]["tests"]["base"]["p_holm"]


def test_costs_english_and_bias_are_collected(finished):
    found = collect(finished, "ndcg@10")
    assert found.starts == dict.fromkeys(ARMS, "initialized extend") and (found.done, found.planned) == (18, 18)
    assert len(found.costs["better"]["swh_Latn"]) == 3
    cost = found.costs["better"]["swh_Latn"][0]
    assert cost["model_mb"] == 2.0 and 8 <= cost["train_seconds"] < 9 and 900 <= cost["peak_memory_mb"] < 901
    assert found.items[0].english["base"].shape == (3, 60)
    assert len(found.bias["pool"]["base"]) == 6


def test_runs_scored_on_other_queries_are_refused(tmp_path):
    cells = run_stub(tmp_path, {"a": ARMS["base"]}, languages=["sw"], seeds=[0, 1])
    file = cells[1].folder / "per_query.json"
    content = json.loads(file.read_text())
    del content["toy/swh_Latn"]["after"]["q3"]
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"1 queries of toy/swh_Latn were scored for only some systems.*'q3'"):
        collect(cells, "ndcg@10")
    with pytest.raises(InputError, match=r"'mrr@9' is not among \['ndcg@10'\]"):
        collect(cells, "mrr@9")


@pytest.mark.parametrize("field", ["arms", "languages", "seeds"])
def test_an_empty_matrix_is_refused(tmp_path, field):
    given = {"common": {}, "languages": {"sw": {}}, "arms": {"a": {}}, "seeds": [0]}
    with pytest.raises(InputError, match=field):
        cells_of(tmp_path, **{**given, field: {} if field != "seeds" else []})


def test_sizes_are_runs_of_their_own_where_the_bitext_is_larger(tmp_path):
    languages = {"sw": {"bitext": "b"}, "so": {"bitext": "c"}}
    cells = cells_of(
        tmp_path, {}, languages, {"a": {}, "b": {}}, [0],
        sizes=["1000", 250, "all"], pairs={"sw": 5000, "so": 900}, curve_arms=["a"],
    )  # fmt: skip
    found = [(cell.language, cell.arm, cell.size, cell.options.get("max_pairs")) for cell in cells if cell.size]
    assert found == [("swh_Latn", "a", 250, 250), ("som_Latn", "a", 250, 250), ("swh_Latn", "a", 1000, 1000)]
    assert len(cells) == 7 and len({cell.folder for cell in cells}) == 7
    for wrong in (["many"], [1], [True]):
        with pytest.raises(InputError, match="sizes"):
            cells_of(tmp_path, {}, languages, {"a": {}}, [0], sizes=wrong)
    with pytest.raises(InputError, match="curve_arms"):
        cells_of(tmp_path, {}, languages, {"a": {}}, [0], curve_arms=["z"])


def test_an_option_that_the_training_does_not_have_is_found_before_anything_runs():
    check_options({"max_steps": 3}, {"sw": {"bitext": "f"}}, {"a": {"objective": "ot"}})
    with pytest.raises(InputError, match=r"arms\.a\.objectiv'.*did you mean 'objective'"):
        check_options({}, arms={"a": {"objectiv": "ot"}})
    with pytest.raises(InputError, match=r"common\.max_stesp"):
        check_options({"max_stesp": 3})


def test_pairs_are_counted_and_shown_whatever_the_languages_of_a_run(tmp_path):
    files = {code: tmp_path / f"{code}=pairs.tsv" for code in ("sw", "so")}
    for code, file in files.items():
        rows = "".join(f"w{i} b c d\tw x y z\ng{i} h i j k\t{code}{i} l m n o\n" for i in range(9))
        file.write_text(f"en\t{code}\n{rows}")
    languages = {
        "sw": {"bitext": str(files["sw"])},
        "so": {"bitext": [str(files["so"])], "max_pairs": 5},
        "sw+so": {"bitext": [f"{code}={file}" for code, file in files.items()]},
    }
    assert count_pairs({}, languages) == {"sw": 18, "so": 5, "sw+so": 36}
    cells = cells_of(tmp_path, {}, languages, {"a": {}}, [0])
    assert [example_pairs(cell)[0][1] for cell in cells] == ["sw0 l m n o", "so0 l m n o", "sw0 l m n o"]
    assert len(example_pairs(cells[0], 3)) == 3 and len(example_pairs(cells[2], 99)) == 18


def test_no_run_at_a_time_is_refused(tmp_path):
    with pytest.raises(InputError, match="field 'workers'"):
        run_cells(run_cells_of(tmp_path, {"base": ARMS["base"]}), write_recipe(tmp_path), workers=0)


def test_languages_that_have_nothing_in_common_yet_have_no_mean(finished):
    done = [cell for cell in finished if (cell.arm, cell.language) in {("base", "swh_Latn"), ("same", "som_Latn")}]
    found = collect(done, "ndcg@10")
    for item in found.items:
        item.systems = {name: rows for name, rows in item.systems.items() if name in ARMS}
    assert [entry["language"] for entry in summarise(found, resamples=10)] == ["swh_Latn", "som_Latn"]


def test_the_teacher_s_rows_of_an_arm_with_another_teacher_are_not_the_first_teacher_s(tmp_path):
    common = {"max_steps": 3, "batch_size": 2, "teacher": "t", "student": "extend"}
    arms = {"a": {**ARMS["base"], "teacher": "other"}, "b": ARMS["base"]}
    cells = cells_of(tmp_path / "out", common, {"sw": {"bitext": "b"}}, arms, [0])
    run_cells(cells, write_recipe(tmp_path))
    per_query = cells[1].folder / "per_query.json"
    rows = json.loads(per_query.read_text())
    assert "raw" in rows["toy/swh_Latn"]
    of_second = {query: {"ndcg@10": 0.99} for query in rows["toy/swh_Latn"]["raw"]}
    rows["toy/swh_Latn"]["raw"] = of_second
    per_query.write_text(json.dumps(rows))
    first = json.loads((cells[0].folder / "per_query.json").read_text())
    del first["toy/swh_Latn"]["raw"]
    (cells[0].folder / "per_query.json").write_text(json.dumps(first))
    (item,) = collect(cells, "ndcg@10").items
    assert "raw" not in item.systems  # the only one left is of the second arm's teacher
