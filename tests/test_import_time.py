"""The package, and the help of its recipe, without the seconds that the host libraries take to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hf_optical

HOSTS = ("torch", "transformers", "datasets", "sentence_transformers", "peft", "accelerate", "numpy", "pandas", "ot")
ROOT = Path(__file__).parents[1]


def modules_after(code):
    shown = f"{code}\nimport sys; print('LOADED', *sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split("LOADED")[1].split())


def test_importing_the_package_imports_no_host():
    assert not modules_after("import hf_optical; dir(hf_optical); hf_optical.__version__") & set(HOSTS)


def test_the_options_of_the_recipe_are_read_without_a_host():
    code = (
        "from hf_optical.runs.options import TrainConfig\n"
        "from hf_optical.configuration.parsing import parse, help_text\n"
        "assert '--max_steps' in help_text(TrainConfig)\n"
        "assert parse(TrainConfig, ['--max_steps', '3']).max_steps == 3"
    )
    assert not modules_after(code) & {"torch", "transformers", "datasets", "sentence_transformers", "peft"}


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (["recipes/train.py"], "--max_steps"),
        (["-m", "hf_optical.train"], "--max_steps"),
        (["-m", "hf_optical.commands.main"], "Train and measure"),
        (["-m", "hf_optical.commands.main", "train"], "Adapters:"),
        (["-m", "hf_optical.commands.main", "plan"], "--memory_gb"),
    ],
)
def test_help_is_answered_without_a_host(program, said):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *program, "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0 and said in done.stdout
    loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert loaded & {"hf_optical.runs.options", "hf_optical.commands.listing"} and not loaded & set(HOSTS)


def test_every_public_name_is_listed_and_there():
    assert set(hf_optical.__all__) <= set(dir(hf_optical))
    for name in hf_optical.__all__:
        assert getattr(hf_optical, name) is not None
