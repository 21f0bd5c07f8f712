"""Remedies work: every option, command, file, extra and argument that a message names is there, and is parsed.

Messages are found in the source: all text of ``raise`` statements, of messages that are logged or printed, and of
functions that return messages. An option is parsed by the programs in which its message is said.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from script_modules import RECIPES, ROOT, options_of

import hf_optical
from hf_optical.commands.listing import COMMANDS
from hf_optical.configuration.fields import fields_of
from hf_optical.configuration.parsing import parse
from hf_optical.errors import HFOpticalError, pip_install

PACKAGE = Path(hf_optical.__file__).parent
HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"  # what a message fills in
FLAG = re.compile(r"(?<![\w/-])--([a-z][\w-]*)(?:[ =]([^\s,;:)`'\"]+|'[^']*'))?")
COMMAND = re.compile(
    r"(?:recipes/(\w+)\.py|hf-optical (\w+))((?: (?:--?\w|[A-Z]+\b)[^\s,;:)`]*(?: (?!--)[A-Za-z0-9_./=]+)?)*)"
)
OTHERS = re.compile(r"hf upload [^\n]*")  # commands of other programs
ARGUMENT = re.compile(r"(?<![\w.-])([a-z_]+)=(?:'[^']*'|\w+|,|\))")
NAMED_FILE = re.compile(r"\b(?:recipes|benchmarks|docs)/[\w/.-]+\.\w+")
EXTRA = re.compile(r"pip_install\(['\"](\w+)['\"]\)")
# In which programs the messages of a part of the package are said; of the parts that are not here, in some program.
SAID_IN = {
    "runs/": ("train", "plan"),
    "comparison/": ("compare",),
    "search/": ("search",),
    "doctor/": ("doctor",),
    "publishing/publish.py": ("publish",),
    "evaluation/": ("evaluate",),
    "data/retrieval.py": ("evaluate", "train", "plan"),
    "data/bitext.py": ("train", "plan"),
    "data/pairs.py": ("train", "plan", "probe", "search", "evaluate"),
    "data/lexicon.py": ("train", "plan", "probe"),
    "training/": ("train", "plan"),
}
OF_FUNCTIONS = {"similarity", "method"}  # arguments of functions that no program calls with a choice of the user
WORDS = {
    "and",
    "or",
    "on",
    "to",
    "with",
    "of",
    "is",
    "in",
    "out",
    "only",
    "takes",
    "reads",
    "puts",
    "lists",
    "as",
    "from",
}
WORDS |= {"has", "fills", "resumes", "names", "again", "keeps", "says", "makes", "may", "for", "at", "beyond", "FILE…"}
FOREIGN = {"flag", "option", "version", "ink", "faint", "paper", "accent"}  # any option, the command itself, CSS


def _text(node: ast.AST) -> str:
    """The text of an expression, with a sign where something is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    return HOLE if isinstance(node, ast.FormattedValue) else ""


def _documentation(tree: ast.AST) -> set[int]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
    return found


@cache
def messages() -> list[tuple[str, int, str]]:
    """File, line and text of every string of the package that is no documentation."""
    found = []
    for path in [*PACKAGE.rglob("*.py"), *RECIPES.rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        skipped = _documentation(tree) | parts
        name = path.relative_to(PACKAGE.parent).as_posix().removeprefix("hf_optical/")
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in skipped and (text := _text(node)):
                found.append((name, node.lineno, text))
    return found


@cache
def programs() -> dict[str, type]:
    return {**options_of(RECIPES), **{name: command.config() for name, command in COMMANDS.items()}}


def programs_of(file: str) -> tuple[tuple[str, ...], bool]:
    """The programs in which a file's messages are said, and whether all of them must know an option."""
    if file.startswith(("commands/", "recipes/")):
        name = Path(file).stem
        return ((name,), True) if name in programs() else (tuple(programs()), False)
    for part, names in SAID_IN.items():
        if file.startswith(part):
            return names, True
    return tuple(programs()), False


def takes(program: str, flag: str, value: str | None) -> bool:
    """Whether a program's command line takes the option, with this value where one is said."""
    kind = programs()[program]
    known = {field.key: field for field in fields_of(kind)}
    key = flag.replace("-", "_")
    if key in ("config", "help"):
        return True
    if key not in known:
        return False
    if value is None or value in WORDS or HOLE in value:
        return True
    needed = [
        word for name, field in known.items() if field.default is None and name != key for word in (f"--{name}", "x")
    ]
    try:
        parse(kind, [*needed, f"--{flag}", value.strip("'\".")])
    except HFOpticalError:
        return False
    return True


def faults_of_flags() -> list[str]:
    faults = []
    for file, line, text in messages():
        if text.startswith("--") and " " not in text.strip():
            continue  # a word of a command line that is built
        for match in FLAG.finditer(COMMAND.sub(" ", OTHERS.sub(" ", text))):
            flag, value = match[1], match[2]
            if flag in FOREIGN or HOLE in flag:
                continue
            names, every = programs_of(file)
            taken = [takes(name, flag, value) for name in names]
            if not (all(taken) if every else any(taken)):
                faults.append(f"{file}:{line}: {match[0]!r} is not taken by {' and '.join(names)}: {text[:100]!r}")
    return faults


def test_every_option_that_a_message_names_is_taken_by_its_program():
    assert len(messages()) > 2_000
    faults = faults_of_flags()
    assert not faults, "\n".join(faults)


def test_every_command_that_a_message_names_is_taken():
    faults, seen = [], 0
    for file, line, text in messages():
        for match in COMMAND.finditer(text):
            name = match[1] or match[2]
            if match[1] is None and name not in COMMANDS:
                continue  # "the hf-optical package"
            seen += 1
            if name not in programs():
                faults.append(f"{file}:{line}: there is no program {name}")
                continue
            for flag in FLAG.finditer(match[3]):
                if not takes(name, flag[1], flag[2]):
                    faults.append(f"{file}:{line}: {flag[0]!r} is not taken by {name}")
    assert seen >= 5
    assert not faults, "\n".join(faults)


@cache
def argument_names() -> set[str]:
    """All names of arguments and of fields in the package."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return found


def remedies() -> list[tuple[str, int, str]]:
    """The remedies alone: the second argument of an error of input."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error") and len(node.args) > 1:
                text = " ".join(_text(part) for part in ast.walk(node.args[1]) if isinstance(part, ast.JoinedStr))
                text += _text(node.args[1])
                found.append((str(path.relative_to(PACKAGE)), node.lineno, text))
    return found


def test_every_argument_that_a_remedy_names_is_one():
    foreign = {"lora_bias", "attn_implementation"}  # of PEFT and transformers
    faults = [
        f"{file}:{line}: {match[0]!r}"
        for file, line, text in remedies()
        for match in ARGUMENT.finditer(text)
        if match[1] not in argument_names() | foreign
    ]
    assert not faults, "\n".join(faults)


def test_a_remedy_of_a_reader_is_also_said_as_an_option():
    """Who reads ``on_problem='warn'`` at the terminal needs ``--on_problem warn``."""
    faults = []
    for file, line, text in remedies():
        _, every = programs_of(file)
        for match in re.finditer(r"(?<![\w.-])([a-z_]+)='(\w+)'", text) if every else ():
            if match[1] not in OF_FUNCTIONS and f"--{match[1]} {match[2]}" not in text:
                faults.append(f"{file}:{line}: {match[0]} is said, --{match[1]} {match[2]} is not")
    assert not faults, "\n".join(faults)


def test_files_and_extras_that_messages_name_are_there():
    extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    faults = []
    for file, line, text in messages():
        faults += [f"{file}:{line}: {name}" for name in NAMED_FILE.findall(text) if not (ROOT / name).exists()]
        if "hf-optical[" in text and file != "errors.py":
            faults.append(f"{file}:{line}: no index need have hf-optical[...]; use errors.pip_install")
    for file in PACKAGE.rglob("*.py"):
        for name in EXTRA.findall(file.read_text(encoding="utf-8")):
            faults += [] if re.search(rf"^{name} = \[", extras, re.M) else [f"{file}: {name}"]
            faults += [f"{file}: {name}"] if "hf-optical" in pip_install(name) else []
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("program", "flag", "value", "taken"),
    [
        ("train", "on_bad_rowz", "skip", False),
        ("train", "max_length", "many", False),
        ("train", "max_length", "64", True),
        ("search", "objective", None, False),
    ],
)
def test_the_check_finds_what_it_is_for(program, flag, value, taken):
    assert takes(program, flag, value) == taken
