"""Entry point of ``hf-optical COMMAND``; answers ``--help`` and ``--version`` without heavy imports."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from typing import NoReturn

import hf_optical
from hf_optical.commands.listing import COMMANDS, GROUPS
from hf_optical.configuration.parsing import run


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command named by the first word.

    Args:
        argv: The words after ``hf-optical``; by default those of the process.

    Raises:
        SystemExit: The exit code of the command (:func:`hf_optical.configuration.parsing.run`); 2 for an unknown
            command.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        raise SystemExit(0)
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"hf-optical {hf_optical.__version__}\n")
        raise SystemExit(0)
    if words[0] not in COMMANDS:
        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        remedy = f"did you mean {near[0]}? --help lists all" if near else f"use one of {', '.join(COMMANDS)}"
        sys.stderr.write(f"error: there is no command {words[0]!r}. Remedy: {remedy}.\n")
        raise SystemExit(2)
    command = COMMANDS[words[0]]
    run(command.main, command.config(), words[1:])


def overview() -> str:
    """Return the text of ``hf-optical --help``.

    Example:
        >>> print(overview().splitlines()[0])
        hf-optical: teach an English retriever a new query language, from bitext alone, without touching its index.
    """
    first, *_ = (hf_optical.__doc__ or "").splitlines()
    lines = [f"hf-optical: {first[0].lower()}{first[1:]}", "", "  hf-optical COMMAND [--option value ...]"]
    for heading, commands in GROUPS.items():
        lines += ["", f"{heading}:", *(f"  {command.name:11} {command.summary}" for command in commands)]
    lines += ["", "hf-optical COMMAND --help lists the options of a command; hf-optical --version says which this is."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
