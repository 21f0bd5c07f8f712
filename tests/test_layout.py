"""The layout of ARCHITECTURE.md: which rooms there are, which may import which, and that no circle forms."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import hf_optical

ROOT = Path(hf_optical.__file__).parent
MOST_ROOMS = 22
DOORS = {"train"}  # a module that launchers start, and no room

# From the ground up: a room imports from rooms of floors above it in this list, never from its own floor or below.
FLOORS = [
    {"errors", "units"},
    {"places"},
    {"transport", "results", "data"},
    {"configuration", "doctor", "encoders"},
    {"adapters"},
    {"batching"},
    {"losses"},
    {"students"},
    {"evaluation"},
    {"figures", "search", "publishing"},
    {"teacher_cache"},
    {"training"},
    {"runs"},
    {"comparison"},
    {"commands"},
    {"train"},  # the training command as a module that launchers start
]

# What DESIGN forbids by name, whatever the floors would allow.
FORBIDDEN = {
    "transport": {"encoders", "data", "losses"},
    "results": {"encoders", "training"},
    "data": {"training", "encoders", "losses"},
    "evaluation": {"training"},
    "publishing": {"training"},
    "figures": {"training", "comparison"},
    "search": {"training", "runs"},
}


def _modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def _imports(path: Path) -> Iterator[str]:
    """Modules of this package that a file imports, at any depth: in functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hf_optical":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "hf_optical")


def _edges() -> dict[tuple[str, str], str]:
    edges = {}
    for name, path in _modules().items():
        room = name.split(".")[0]
        for target in _imports(path) if room else ():
            other = target.split(".")[1] if "." in target else ""
            if other and other != room and ((ROOT / other).is_dir() or (ROOT / f"{other}.py").exists()):
                edges[room, other] = f"{path.relative_to(ROOT)} imports {target}"
    return edges


def test_rooms_are_those_of_the_layout():
    rooms = {name.split(".")[0] for name in _modules()} - {""}
    assert rooms == set().union(*FLOORS)
    assert len(rooms - DOORS) <= MOST_ROOMS


def test_imports_go_one_way():
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    wrong = [said for (room, other), said in _edges().items() if floor[other] >= floor[room]]
    assert not wrong, "\n".join(wrong)


def test_forbidden_imports():
    wrong = [said for (room, other), said in _edges().items() if other in FORBIDDEN.get(room, ())]
    assert not wrong, "\n".join(wrong)


def test_only_two_commands_know_the_embedded_default():
    """``train`` and ``probe`` fall back on it; the package below the commands runs the same on anyone's data."""
    sample = "commands.sample"
    found = {
        name
        for name, path in _modules().items()
        if not name.startswith(sample) and sample in path.read_text(encoding="utf-8")
    }
    assert found == {"commands.train", "commands.probe"}


def test_the_journeys_of_the_architecture_pass_files_that_exist_each_once():
    path = ROOT.parent / "ARCHITECTURE.md"
    if not path.is_file():
        pytest.skip("an installed package has no ARCHITECTURE.md")
    text = path.read_text(encoding="utf-8")
    journeys = text[text.index("## Four journeys") : text.index("## Decisions")].split("\n\n**")[1:]
    assert len(journeys) == 4
    for journey in journeys:
        files = re.findall(r"`([a-z_/0-9]+\.py)`", journey)
        assert len(files) == len(set(files)) >= 7
        assert not [file for file in files if not (ROOT / file).is_file()]
