"""``hf-optical``: its overview, its version, its commands, their help, and completion."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
from script_modules import RECIPES

import hf_optical
from hf_optical.commands import main as program
from hf_optical.commands.listing import COMMANDS, GROUPS
from hf_optical.configuration.fields import fields_of, help_text
from hf_optical.configuration.parsing import parse
from hf_optical.runs.options.headings import HEADINGS


def call(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        program.main(list(words))
    return stop.value.code, capsys.readouterr()


def test_the_overview_lists_every_command_and_the_version_is_the_package_s(capsys):
    code, said = call(capsys)
    assert code == 0 and all(re.search(rf"^  {name} +\w", said.out, flags=re.M) for name in COMMANDS)
    assert call(capsys, "--version")[1].out == f"hf-optical {hf_optical.__version__}\n"
    assert {"train", "evaluate", "compare", "doctor", "publish", "search", "plan"} <= set(COMMANDS)
    assert len(COMMANDS) == sum(map(len, GROUPS.values()))


def test_an_unknown_command_names_the_nearest(capsys):
    code, said = call(capsys, "evalute", "--model", "x")
    assert code == 2 and "did you mean evaluate?" in said.err


def test_a_command_like_no_other_gets_the_list(capsys):
    code, said = call(capsys, "frobnicate")
    assert code == 2 and "did you mean" not in said.err and all(name in said.err for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_options_with_help_and_something_that_runs_it(name, capsys):
    code, said = call(capsys, name, "--help")
    assert code == 0 and not said.out.startswith("Options of")
    assert all(field.help for field in fields_of(COMMANDS[name].config()))
    module = __import__(f"hf_optical.commands.{name}", fromlist=["main"])
    assert callable(module.main)


def test_the_help_of_the_training_stands_in_groups():
    config = COMMANDS["train"].config()
    fields = [field.key for field in fields_of(config)]
    assert set(HEADINGS) <= set(fields)
    headings = re.findall(r"^(\S.*):$", help_text(config), flags=re.M)
    grouped = sorted(HEADINGS.values(), key=lambda heading: _place(heading, fields))
    assert headings == [*grouped, "Rarely set, as keys of the YAML file"]


def _place(heading, fields):
    return min(fields.index(name) for name, shown in HEADINGS.items() if shown == heading)


def test_words_before_the_first_flag_belong_to_the_field_that_takes_them(capsys):
    config = parse(COMMANDS["doctor"].config(), ["a.tsv", "b.tsv", "--language", "sw"])
    assert (config.files, config.language) == (["a.tsv", "b.tsv"], "sw")
    code, said = call(capsys, "evaluate", "a.tsv")
    assert code == 2 and "where a flag is expected" in said.err


def test_the_scripts_of_recipes_and_the_module_for_launchers_run_the_same_commands():
    for path in RECIPES.glob("*.py"):
        assert path.stem in COMMANDS and f"hf_optical.commands.{path.stem}" in path.read_text()
    for script in ([str(RECIPES / "train.py")], ["-m", "hf_optical.train"]):
        done = subprocess.run([sys.executable, *script, "--max_step", "3"], capture_output=True, text=True)
        assert done.returncode == 2 and "did you mean --max_steps?" in done.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_commands_and_flags(tmp_path, capsys):
    code, said = call(capsys, "completion", "bash")
    assert code == 0
    (tmp_path / "hf-optical.bash").write_text(said.out)
    ask = (
        f"source {tmp_path}/hf-optical.bash\n"
        'COMP_WORDS=(hf-optical train --max_p); COMP_CWORD=2; _shtab_hf_optical; echo "${COMPREPLY[@]}"\n'
        'COMP_WORDS=(hf-optical eva); COMP_CWORD=1; _shtab_hf_optical; echo "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True)
    assert done.stdout.split() == ["--max_pairs", "evaluate"], done.stderr
    code, said = call(capsys, "completion", "klingon")
    assert code == 2 and "bash" in said.err
