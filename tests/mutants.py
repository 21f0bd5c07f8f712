"""Plants faults in a copy of the package and lists those that no test notices.

    python tests/mutants.py                                  # the named faults, each once unnoticed
    python tests/mutants.py --rooms transport losses --sample 20 --seed 1   # faults drawn from these rooms

A named fault is a line of code and its faulty twin. A drawn one changes an operator, a comparison, a boundary or a
constant. Each mutant runs the tests that mirror its file's room until one fails.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# File, line, faulty twin, tests. Each was planted by hand once and noticed by no test of its package.
NAMED = [
    (
        "losses/alignment.py",
        "share = (_share(sides[0].special, sides[0].mask) + _share(sides[1].special, sides[1].mask)) / 2",
        "share = _share(sides[0].special, sides[0].mask)",
        "tests/losses/test_boundary_tokens.py",
    ),
    (
        "training/teacher_bank.py",
        'read(teacher, distinct, "query", show_progress=show_progress)',
        'read(teacher, distinct, "document", show_progress=show_progress)',
        "tests/losses/test_ranking.py",
    ),
    (
        "publishing/card_text.py",
        'return row.get("rows") is None and row.get("path") in {',
        'return row.get("rows") is None or row.get("path") in {',
        "tests/publishing/test_card_text.py",
    ),
    (
        "comparison/collect.py",
        "teachers = OF_THE_TEACHER if _space(cell) == _space(self.cells[0]) else ()",
        "teachers = OF_THE_TEACHER",
        "tests/comparison/test_comparison.py",
    ),
    (
        "search/index.py",
        'f"{fingerprint(self.documents)}|{self.interaction}|"',
        'f"{fingerprint(self.documents)}|"',
        "tests/search/test_index_digest.py",
    ),
    (
        "training/monitor.py",
        "recent = self.readings[-2:]",
        "recent = self.readings[-1:]",
        "tests/training/test_monitor.py",
    ),
    (
        "runs/teacher_cache.py",
        "share = config.bitext_share if data.retrieval else 1.0",
        "share = 1.0",
        "tests/runs/test_teacher_cache_worth.py",
    ),
]

_TWINS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def sites(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Nodes that can be changed, and the field that changes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _TWINS:
            yield node, "ops"
        elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in _TWINS:
            yield node, "op"
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield node, "value"
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield node, "switch"


def mutate(node: ast.AST, field: str) -> str:
    """Change a node in place, and say how."""
    before = ast.unparse(node)
    if field == "ops":
        node.ops = [_TWINS[type(node.ops[0])]()]  # type: ignore[attr-defined]
    elif field == "op":
        node.op = _TWINS[type(node.op)]()  # type: ignore[attr-defined]
    elif field == "value":
        node.value = node.value + 1  # type: ignore[attr-defined]
    else:
        node.value = not node.value  # type: ignore[attr-defined]
    return f"{before}  ->  {ast.unparse(node)}"


def noticed(copy: Path, tests: list[str], seconds: int) -> bool:
    """Whether a test of the copy fails, or does not end."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        ended = subprocess.run(
            command, cwd=copy, env=environment, timeout=seconds, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return True
    return ended.returncode != 0


def drawn(rooms: list[str], sample: int, seed: int) -> Iterator[tuple[str, str, str, list[str]]]:
    """Mutants of rooms: file, new source, what was changed, tests."""
    files = [path for room in rooms for path in sorted((ROOT / "hf_optical" / room).rglob("*.py"))]
    files = [path for path in files if path.name not in ("triton_kernel.py", "__init__.py")]
    places = [(path, number) for path in files for number, _ in enumerate(sites(ast.parse(path.read_text("utf-8"))))]
    for path, number in random.Random(seed).sample(places, min(sample, len(places))):
        tree = ast.parse(path.read_text("utf-8"))
        node, field = list(sites(tree))[number]
        line = getattr(node, "lineno", 0)
        name = path.relative_to(ROOT / "hf_optical").as_posix()
        said = f"{name}:{line}: {mutate(node, field)}"
        yield name, ast.unparse(tree), said, [f"tests/{name.split('/')[0]}"]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the mutants; the exit code is the number of survivors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", nargs="*", default=[], help="rooms of hf_optical/ to draw faults from")
    parser.add_argument("--sample", type=int, default=20, help="faults drawn from all of them together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=600, help="limit of one run of tests; later counts as noticed")
    options = parser.parse_args()
    named = []
    for file, line, twin, tests in NAMED:
        source = (ROOT / "hf_optical" / file).read_text("utf-8")
        if line not in source:
            _say(f"gone    {file}: {line}")
            continue
        named.append((file, source.replace(line, twin), f"{file}: {twin}", [tests]))
    mutants = drawn(options.rooms, options.sample, options.seed) if options.rooms else iter(named)
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        ignored = shutil.ignore_patterns(".git", ".venv", "outputs", "site", "__pycache__", ".*_cache", ".hypothesis")
        shutil.copytree(ROOT, copy, ignore=ignored)
        for name, source, said, tests in mutants:
            target = copy / "hf_optical" / name
            whole = target.read_text("utf-8")
            target.write_text(source, "utf-8")
            found = noticed(copy, tests, options.seconds)
            target.write_text(whole, "utf-8")
            survivors += not found
            _say(f"{'noticed' if found else 'MISSED '} {said}")
    _say(f"{survivors} missed")
    return survivors


if __name__ == "__main__":
    sys.exit(main())
