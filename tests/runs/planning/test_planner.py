from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_models
import tiny_runs
import torch
from script_modules import RECIPES, argv, load_recipe

from hf_optical.adapters import LanguageAdapters
from hf_optical.configuration.parsing import parse, run
from hf_optical.errors import InputError
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.planning.advice import disk_advice, memory_advice
from hf_optical.runs.planning.batches import choose
from hf_optical.runs.planning.dry_run import DryRun
from hf_optical.runs.planning.growing import expected_rows
from hf_optical.runs.planning.machine import CUDA_CONTEXT, Machine, machine_for
from hf_optical.runs.planning.memory import Training
from hf_optical.runs.planning.planner import estimate, plan_run
from hf_optical.runs.planning.profiling import SavedTensors, watched
from hf_optical.runs.planning.steps import Steps


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("train")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    return tiny_runs.write_run(tmp_path_factory.mktemp("plan"), max_steps="6")


def test_the_recipe_plans_and_leaves_nothing(recipe, workplace, capsys):
    with pytest.raises(SystemExit) as stop:
        run(recipe.main, TrainConfig, argv(workplace, "--plan"))
    printed = capsys.readouterr().out
    assert stop.value.code == 0 and not Path(workplace["output_dir"]).exists()
    for part in ("time", "training", "memory", "disk", "checkpoints", "It fits.", "s a step"):
        assert part in printed
    assert "40 pairs, 6 steps" in printed


def test_the_parts_that_take_time_are_told(workplace):
    plan = plan_run(parse(TrainConfig, argv(workplace, "--plan")))
    assert plan.seconds["evaluation at the end"] > 0 and plan.seconds["evaluation at the start"] > 0
    assert plan.seconds["bank of English sentences"] > 0
    told = replace(plan, seconds={"training": 0.01, "evaluation at the start": 0.01, "evaluation at the end": 2.0})
    assert "evaluation at the end" in told.text() and "s a step" in told.text()
    assert "evaluation at the start" not in told.text()  # too short to be told


def test_a_plan_for_a_machine_that_is_elsewhere(workplace):
    config = parse(TrainConfig, argv(workplace, "--plan", "--gpu", "t4", "--fp16", "--teacher_cache", "none"))
    plan = plan_run(config)
    assert plan.machine.name == "T4" and plan.fits
    assert plan.memory["libraries and data"] == CUDA_CONTEXT
    assert "factor of three" in plan.text() and "disk space is unknown" in plan.text()
    cramped = plan_run(replace(config, memory_gb=0.0001))
    assert not cramped.fits and "It does not fit" in cramped.text()
    assert any(line.startswith("--batch_size 1 --gradient_accumulation_steps 4:") for line in cramped.advice)


def test_what_a_run_leaves_on_disk_is_what_was_planned(recipe, workplace, tmp_path, monkeypatch):
    options = {**workplace, "output_dir": str(tmp_path / "out"), "measure_start": "false"}
    plan = plan_run(parse(TrainConfig, argv(options)))
    with pytest.raises(SystemExit) as stop:
        run(recipe.main, TrainConfig, argv(options, "--keep_checkpoints"))
    assert stop.value.code == 0
    found = {path.name: size(path) for path in (tmp_path / "out").iterdir() if path.is_dir()}
    checkpoints = [count for name, count in found.items() if name.startswith("checkpoint-")]
    assert len(checkpoints) == 2  # and a third for a moment
    # Models of 20 kB: the trainer's own files and the model card, of so many kB too, are below what a plan prints.
    assert plan.disk["models"] == pytest.approx(found["model"] + found["untrained"], abs=20_000)
    assert plan.disk["checkpoints"] == pytest.approx(1.5 * sum(checkpoints), abs=100_000)
    assert plan.disk["checkpoints"] > 1.5 * 3 * sum(size(path) for path in (tmp_path / "out/model").glob("*.saf*"))


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("options", [{"on": "abacus"}, {"memory_gb": "0"}])
def test_a_machine_that_does_not_exist_is_refused(options, tmp_path):
    with pytest.raises(InputError, match=next(iter(options))):
        machine_for(options.get("on"), float(options["memory_gb"]) if "memory_gb" in options else None, tmp_path)


def test_gradients_and_optimizer_take_twelve_bytes_a_weight(tmp_path):
    student = tiny_models.dense(tmp_path)
    optimizer = torch.optim.AdamW(student.parameters())
    sum(weight.sum() for weight in student.parameters()).backward()
    optimizer.step()
    held = sum(weight.grad.nbytes for weight in student.parameters())
    held += sum(value.nbytes for state in optimizer.state.values() for value in state.values() if value.dim())
    weights = sum(weight.numel() for weight in student.parameters())
    training = Training(4, 1, 32, weights, 0, weights, 0, 0.0)
    assert training.parts()["gradients and optimizer"] == held


def test_an_adapter_has_the_weights_that_are_counted(tmp_path, workplace):
    student = tiny_models.dense(tmp_path, layers=3)
    LanguageAdapters(student).add("swh_Latn", r=4)
    own = sum(weight.numel() for weight in student.parameters() if weight.requires_grad)
    config = parse(TrainConfig, argv(workplace, "--lora.rank", "4"))
    measured = made_up()
    measured.layers, measured.width = 3, 16
    plan = estimate(config, measured, replace(small_gpu(), memory=1.0))
    line = next(line for line in plan.advice if line.startswith("--adapter lora"))
    assert "still too much" in line
    from hf_optical.runs.planning.planner import _training

    assert _training(config, measured, small_gpu()).adapter == own


def test_what_autograd_keeps_grows_with_the_batch_and_is_let_go(tmp_path):
    student = tiny_models.dense(tmp_path).train()
    peaks = []
    for batch in (2, 4, 8):
        tally = SavedTensors(student.parameters())
        with tally.counted():
            features = student.preprocess(["the goat sleeps under the tree"] * batch)
            student(features)["sentence_embedding"].sum().backward()
        assert tally.now == 0
        peaks.append(tally.peak)
    assert (peaks[2] - peaks[1]) == pytest.approx(2 * (peaks[1] - peaks[0]), rel=0.05)
    with watched() as found:
        time.sleep(0.05)
    assert found.seconds >= 0.05 and found.peak > 1e7


def test_the_longest_batch_is_the_longest():
    rows = tiny_models.bitext(50)
    chosen = choose(rows, 4, grouped=True, seed=0)
    lengths = [len(row["translation"]) for row in rows]
    assert sorted((lengths[row] for row in chosen.rows[:4]), reverse=True) == sorted(lengths, reverse=True)[:4]
    assert all(len(batch) == 4 for batch in chosen.batches(7)) and chosen.batches(7)[0] == [7, 8, 9, 10]


def test_a_vocabulary_grows_by_a_power_up_to_its_size():
    assert expected_rows(1000, (100, 2000), (400, 3000), 1600, 90_000) == 5000
    assert expected_rows(1000, (100, 2000), (400, 3000), 1600, 4000) == 4000
    assert expected_rows(1000, (100, 4000), (400, 4000), 1600, 4000) == 4000


def made_up():
    steps = Steps(2.0, 5.0, 0.5, 1000.0, 64, 3e9, 2e9, 1e9, 0.0, 0.0, 50_000_000, 0.0, 0.0)
    seconds = dict.fromkeys(("reading", "checking", "loading", "growing", "injecting", "saving"), 1.0)
    weights = {"student": 50_000_000, "table": 20_000_000, "teacher": 20_000_000, "teacher's table": 10_000_000}
    return DryRun(1000, seconds, steps, 1e9, weights, used_rows=1000, layers=6, width=384, saved=2e8)


def small_gpu():
    return Machine("a small GPU", True, 1.2e9, 1e9, teraflops=(8.0, 60.0))


def test_the_preset_for_a_t4_fits_a_t4(tmp_path):
    preset = str(RECIPES / "configs" / "t4.yaml")
    config = parse(TrainConfig, ["--config", preset, "--bitext", "x", "--eval", "y", "--language", "sw"])
    assert config.fp16 and not config.bf16
    if not torch.accelerator.is_available():
        with pytest.raises(InputError, match="'fp16': needs a GPU"):
            config.arguments()
    # XLM-R base: 250,002 rows of 768; 12 layers keep 34 numbers of 2 bytes, here 4, per token and unit of width
    # (Korthikanti et al. 2022, arXiv:2205.05198, equation 2, without the attention that is never written out).
    measured = made_up()
    measured.weights |= {"student": 278_000_000, "table": 192_000_000, "teacher": 22_700_000}
    measured.layers, measured.width, measured.used_rows = 12, 768, 60_000
    measured.steps = replace(measured.steps, activations=2 * 34 * 768 * 12 * config.batch_size * config.max_length)
    t4 = machine_for("t4", None, tmp_path)
    plan = estimate(config, measured, t4)
    assert 4e9 < sum(plan.memory.values()) < 12e9 and plan.fits and plan.advice == []
    assert not estimate(config, measured, replace(t4, memory=4e9)).fits


def test_accumulation_pays_for_the_optimizer_once(workplace):
    here = Machine("here", False, 9e9, 9e9, here=True)
    one = estimate(parse(TrainConfig, argv(workplace)), made_up(), here)
    four = estimate(parse(TrainConfig, argv(workplace, "--gradient_accumulation_steps", "4")), made_up(), here)
    assert one.step == (2.0, 5.0) and four.step == (4 * 2.0 - 3 * 0.5, 4 * 5.0 - 3 * 0.5)
    # The saved student is measured beside the trained one: 2 GB and 200 MB; the steps had 3 GB.
    assert sum(one.memory.values()) == pytest.approx(3e9)


def test_elsewhere_an_untrained_copy_reads_the_translations_too(workplace):
    gpu = replace(small_gpu(), memory=9e9)
    measured = made_up()
    plain = estimate(parse(TrainConfig, argv(workplace)), measured, gpu)
    measured.steps = replace(measured.steps, anchor=0.5)
    anchored = estimate(parse(TrainConfig, argv(workplace)), measured, gpu)
    # two operations for each of 500 tokens and of 30 M weights beside the table, at a quarter of 8 TFLOPS
    assert anchored.step[0] - plain.step[0] == pytest.approx(500 * 2 * 30e6 / 2e12)


def test_advice_has_numbers_that_add_up(workplace):
    training = Training(32, 1, 128, 50_000_000, 20_000_000, 50_000_000, 0, 2e9, adapter=300_000, layers=6, used=5e6)
    advice = memory_advice(training, 1.5e9, half="fp16", contrastive=True, grown=True)
    assert any(line.startswith("--batch_size 8 --gradient_accumulation_steps 4: 1.4 GB") for line in advice)
    assert any("fewer negatives" in line for line in advice)
    names = [line.split(":")[0].split()[0] for line in advice]
    assert {"--fp16", "--max_length", "--adapter", "--train_embeddings", "--num_layers"} <= set(names)
    together = memory_advice(replace(training, rest=1.2e9), 1.5e9, half="fp16", contrastive=False, grown=True)
    assert together[-1].startswith(("together", "all of these"))
    assert memory_advice(training, 9e9, half=None, contrastive=True, grown=True) == []


@pytest.mark.parametrize(("objective", "said"), [("ot+nce", True), ("ot+rank", False)])
def test_fewer_negatives_are_told_of_by_the_objective_that_the_teacher_settles(workplace, objective, said):
    measured = replace(made_up(), objective=objective)
    plan = estimate(parse(TrainConfig, argv(workplace)), measured, small_gpu())
    assert any("--batch_size" in line for line in plan.advice)
    assert any("fewer negatives" in line for line in plan.advice) is said


def test_half_precision_is_advised_where_it_is_not_used_yet(workplace):
    here = replace(small_gpu(), here=True, memory=1e6)
    for more, advised in (((), True), (("--bf16",), False)):
        plan = estimate(parse(TrainConfig, argv(workplace, *more)), made_up(), here)
        assert any(line.startswith("--bf16") for line in plan.advice) is advised


def test_a_full_disk_is_foreseen(workplace):
    lines = disk_advice(
        {"checkpoints": 3e9, "models": 1e9, "teacher cache": 4e9}, 5e9, one_checkpoint=1e9, cached="float16"
    )
    assert all(line.startswith("3.0 GB are missing") for line in lines) and len(lines) == 3
    plan = estimate(parse(TrainConfig, argv(workplace)), made_up(), Machine("here", False, 9e9, 1e6, here=True))
    assert not plan.fits and any("--save_steps" in line for line in plan.advice)


def test_validations_on_held_out_pairs_are_planned(workplace, tmp_path):
    without = plan_run(parse(TrainConfig, argv(workplace, "--plan")))  # too few pairs to hold some out
    config = parse(TrainConfig, argv(tiny_runs.write_run(tmp_path, pairs=200, max_steps="6"), "--plan"))
    few, many = plan_run(config), plan_run(replace(config, eval_steps=1))
    assert without.seconds["held-out pairs"] == 0.0 < few.seconds["held-out pairs"]
    assert many.seconds["held-out pairs"] > few.seconds["held-out pairs"]
