"""Several runs at a time give what one at a time gives, and none outlives a comparison that is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stub_comparison import write_recipe
from tiny_runs import write_run

from hf_optical.comparison import cells_of
from hf_optical.comparison.growing_queue import GrowingQueue
from hf_optical.comparison.workers import threads_for, workers_for
from hf_optical.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
MEASURED = {"seconds", "train_seconds", "peak_memory_mb", "model_mb"}  # by a clock, or of the machine


def cells(folder, students=("copy", "copy"), seeds=(0, 1), **common):
    arms = {f"arm{place}": {"student": student} for place, student in enumerate(students)}
    return cells_of(folder, {"teacher": "t", **common}, {"sw": {"bitext": "b"}}, arms, list(seeds))


def test_no_two_runs_grow_one_student_at_a_time(tmp_path):
    queue = GrowingQueue(cells(tmp_path))
    first, second = queue.take(), queue.take()
    assert [(cell.arm, cell.seed) for cell in (first, second)] == [("arm0", 0), ("arm0", 1)]
    (first.folder / "untrained").mkdir(parents=True)  # it has been grown: others may start from it
    assert (third := queue.take()).seed == 0 and third.arm == "arm1"
    queue.ended(second)
    assert queue.take().seed == 1 and queue.take() is None


def test_students_that_are_not_grown_wait_for_nobody(tmp_path):
    queue = GrowingQueue(cells(tmp_path, students=("folder", "folder")))
    assert [(cell.arm, cell.seed) for cell in iter(queue.take, None)] == [
        ("arm0", 0), ("arm1", 0), ("arm0", 1), ("arm1", 1),
    ]  # fmt: skip


def test_auto_is_what_cores_memory_and_runs_allow(tmp_path):
    some = cells(tmp_path, seeds=(0, 1, 2))
    each = 2.5e9  # libraries and activations: models that are not there weigh nothing

    def auto(cores, memory):
        return workers_for("auto", some, cores=cores, memory=lambda: memory)

    assert (auto(4, 1e12), auto(16, 1e12), auto(16, 3.5 * each), auto(16, 0.5 * each)) == (4, 6, 3, 1)
    some[0].folder.mkdir(parents=True)
    (some[0].folder / "results.json").write_text(json.dumps({"peak_memory_mb": 10_000, "peak_gpu_memory_mb": 10_000}))
    assert auto(16, 36.5e9) == 3  # what a finished run took, and a fifth more


def test_a_number_is_taken_at_its_word():
    assert workers_for("3", []) == workers_for(3, []) == 3
    for wrong in ("0", "many", -1, "1.5"):
        with pytest.raises(InputError, match="field 'workers'"):
            workers_for(wrong, [])


def test_threads_do_not_depend_on_the_workers(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert (threads_for(None), threads_for(2)) == (3, 2)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads_for(None) == 1
    with pytest.raises(InputError, match="field 'threads'"):
        threads_for(0)


def _takes_interrupts():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a background job of a shell ignores them, and so would its child


def compare(folder, program, **options):
    import yaml

    (folder / "compare.py").write_text(program)
    (folder / "compare.yaml").write_text(yaml.safe_dump(options))
    return subprocess.Popen(
        [sys.executable, "compare.py", "--config", "compare.yaml"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), "STUB_CALLS": str(folder / "calls.txt")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=_takes_interrupts,
    )  # fmt: skip


PROGRAM = """
from hf_optical.commands import compare
from hf_optical.configuration.parsing import run
{more}
run(compare.main, compare.CompareConfig)
"""


def wait_until(happened, seconds=120):
    for _ in range(seconds * 10):
        if happened():
            return
        time.sleep(0.1)
    raise AssertionError("it never happened")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_comparison_that_is_told_to_stop_takes_its_runs_along(tmp_path, how):
    arms = {name: {"objective": name, "learning_rate": 0.0, "logging_steps": 40.0} for name in ("a", "b")}
    program = PROGRAM.format(more=f"compare.TRAINING = {write_recipe(tmp_path)!r}")
    options = {"output_dir": "out", "references": [], "seeds": [0], "arms": arms, "plans": 0, "workers": "2"}
    options |= {"languages": {"sw": {"bitext": "b"}}, "common": {"student": "folder", "teacher": "t"}}
    process = compare(tmp_path, program, **options)
    wait_until(lambda: (tmp_path / "calls.txt").exists() and (tmp_path / "calls.txt").read_text().count("begun") == 2)
    began = time.monotonic()
    os.kill(process.pid, how)  # the comparison alone, not its group
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 30 and process.returncode == 128 + how, output
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nobody of the group is left
    if how == signal.SIGINT:
        return
    options["arms"] = {name: {**arm, "logging_steps": 0.0} for name, arm in arms.items()}
    again = compare(tmp_path, program, **options)
    output, _ = again.communicate(timeout=200)
    assert again.returncode == 0, output
    assert json.loads((tmp_path / "out" / "results.json").read_text())["done"] == 2


def without_measured(value):
    if isinstance(value, dict):
        return {key: without_measured(item) for key, item in value.items() if key not in MEASURED}
    return [without_measured(item) for item in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_workers_give_what_one_gives_and_grow_each_student_once(tmp_path):
    flags = write_run(tmp_path, student="copy")
    common = {name: flags[name] for name in ("teacher", "student")} | {"monitor": "off", "check_data": False}
    common |= {"max_steps": 20, "batch_size": 8, "save_steps": 5, "learning_rate": 1e-2}
    options = {"common": common, "languages": {"sw": {"bitext": flags["bitext"], "eval": [flags["eval"]]}}}
    options |= {"arms": {name: {"objective": name} for name in ("ot", "nce")}, "plans": 0, "output_dir": "out"}
    # The growth of a student is noted, in the run's own process.
    training = "from hf_optical.students import start\nfrom hf_optical.runs import student\n"
    training += "was = student.starting_student\n"
    training += "def noted(*a, **k):\n    print('GROWN')\n    return was(*a, **k)\n"
    training += (
        "student.starting_student = noted\nimport runpy\nrunpy.run_module('hf_optical.train', run_name='__main__')\n"
    )
    results = {}
    for count in (1, 2):
        folder = tmp_path / str(count)
        folder.mkdir()
        (folder / "training.py").write_text(training)
        process = compare(
            folder, PROGRAM.format(more="compare.TRAINING = ('training.py',)"),
            **options, seeds=[0], workers=str(count),
        )  # fmt: skip
        output, _ = process.communicate(timeout=800)
        assert process.returncode == 0, output
        found = json.loads((folder / "out" / "results.json").read_text())
        results[count] = without_measured(found), found
        logs = sorted((folder / "out" / "runs").rglob("log.txt"))
        assert [log.read_text().count("GROWN") for log in logs] == [1, 0]  # the first arm's is the second's too
    assert results[1][0] == results[2][0]
    assert results[1][1]["done"] == 2 and len(results[1][1]["evaluations"][0]["arms"]) == 2
