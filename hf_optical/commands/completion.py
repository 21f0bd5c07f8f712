"""Completion of commands and flags in bash, zsh and tcsh, by shtab.

Install it with ``hf-optical completion bash > ~/.local/share/bash-completion/completions/hf-optical``. The script
contains the options, so that a completion does not start Python.
"""

from __future__ import annotations

import argparse
import sys

import shtab

from hf_optical.commands.listing import COMMANDS
from hf_optical.commands.options.completion import CompletionConfig
from hf_optical.configuration.conversion import is_bool, is_list
from hf_optical.configuration.fields import YAML_FLAG, Field, listed_flags
from hf_optical.errors import check_choice


def main(config: CompletionConfig) -> None:
    """Print the script."""
    check_choice("shell", config.shell, shtab.SUPPORTED_SHELLS)
    sys.stdout.write(shtab.complete(parser(), config.shell) + "\n")


def parser() -> argparse.ArgumentParser:
    """Build an argparse parser of all commands and flags, from which shtab makes shell completion."""
    whole = argparse.ArgumentParser("hf-optical")
    whole.add_argument("--version", action="store_true", help="say which version this is")
    commands = whole.add_subparsers(dest="command")
    for command in COMMANDS.values():
        one = commands.add_parser(command.name, help=command.summary)
        fields = {field.key: field for field in listed_flags(command.config())}
        for field in ({YAML_FLAG: Field(YAML_FLAG, str, "None", "YAML file with options")} | fields).values():
            _add(one, field)
    return whole


def _add(one: argparse.ArgumentParser, field: Field) -> None:
    flag, shown = f"--{field.key}", field.help.replace("%", "%%")
    if is_bool(field.annotation):
        one.add_argument(flag, action="store_true", help=shown)
        return
    action = one.add_argument(flag, nargs="*" if is_list(field.annotation) else None, help=shown)
    if field.path or field.key == YAML_FLAG:
        action.complete = shtab.FILE  # type: ignore[attr-defined]
