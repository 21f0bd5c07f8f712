"""A disk that is full, and one that cannot be written: a clear error, and the last good checkpoint intact.

The recipe runs in a mount namespace of its own, on a small tmpfs; skipped where namespaces are not allowed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import kill_resume
import pytest
from script_modules import RECIPES

from hf_optical.training.checkpoints import last_whole_checkpoint

RECIPE = RECIPES / "train.py"


def in_namespace(commands, cwd):
    return subprocess.run(
        ["unshare", "--mount", "sh", "-ec", commands], cwd=cwd, capture_output=True, text=True, timeout=200
    )


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disk")
    (folder / "mount").mkdir()
    try:
        probe = in_namespace("mount -t tmpfs -o size=64k tmpfs mount", folder)
    except OSError:
        pytest.skip("there is no unshare here")
    if probe.returncode:
        pytest.skip(f"no mount namespace may be made here: {probe.stderr.strip()}")
    return folder, " ".join(kill_resume.workplace(folder, held_out=0))


def test_a_disk_that_is_full_before_training(flags):
    folder, options = flags
    run = f"{sys.executable} {RECIPE} {options} --output_dir mount/out --measure_start false"
    done = in_namespace(f"mount -t tmpfs -o size=40k tmpfs mount\n{run} > log 2> err && exit 99\numount mount", folder)
    error = (folder / "err").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + error
    (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
    assert "mount/out/untrained" in line and "No space left on device" in line and "free some disk space" in line
    assert "Traceback" not in error


def test_a_disk_that_fills_up_in_training(flags):
    folder, options = flags
    run = f"{sys.executable} {RECIPE} {options} --output_dir mount/out --measure_start false"
    # Room for the untrained model and two checkpoints; before the oldest is removed there must be three.
    done = in_namespace(
        "mount -t tmpfs -o size=460k tmpfs mount; mkdir mount/out\n"
        f"{run} --keep_checkpoints > log 2> err && exit 99\n"
        "cp -r mount/out saved; umount mount",
        folder,
    )
    error = (folder / "err").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + error
    last = next((line[line.index("error: ") :] for line in error.splitlines() if "error: " in line), error)
    assert (
        last.startswith("error: ")
        and "could not be written" in last
        and "last complete checkpoint is mount/out/checkpoint-" in last
    )
    assert "Traceback" not in error
    # What it names is there and whole, and training goes on from it where there is room.
    whole = last_whole_checkpoint(folder / "saved")
    assert whole is not None and Path(whole).name in last
    assert not (folder / "saved" / "model").exists() and not (folder / "saved" / "results.json").exists()


def test_a_folder_that_cannot_be_written(flags):
    folder, options = flags
    done = in_namespace(
        "mount -t tmpfs -o size=1600k,ro tmpfs mount\n"
        f"{sys.executable} {RECIPE} {options} --output_dir mount/out > log 2> err && exit 99; umount mount",
        folder,
    )
    error = (folder / "err").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + error
    last = next((line[line.index("error: ") :] for line in error.splitlines() if "error: " in line), error)
    assert "--output_dir" in last and "Traceback" not in error
