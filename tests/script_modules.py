"""The scripts of ``recipes/`` and ``benchmarks/`` as modules, and what they do when called as from the shell."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ROOT / "recipes"


def load_script(file: Path) -> ModuleType:
    """A script as a module; not under its own name, for ``evaluate`` is that of a library."""
    name = f"{file.stem}_script"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def load_recipe(name: str) -> ModuleType:
    """The module of ``hf-optical NAME``."""
    return importlib.import_module(f"hf_optical.commands.{name}")


def options_of(folder: Path) -> dict[str, type]:
    """The configuration that each script of a folder parses its command line into, by the script's name."""
    found: dict[str, type] = {}
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # some import what lies beside them
    for file in sorted(folder.glob("*.py")):
        if named := re.search(r"^ +run\(\w+, (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE):
            found[file.stem] = getattr(load_script(file), named[1])
    return found


def results_of(recipe: ModuleType, config: type, output: Path, *words: object) -> dict[str, Any]:
    """What a recipe writes into ``output/results.json``, given these words of a command line."""
    from hf_optical.configuration.parsing import parse

    recipe.main(parse(config, [*map(str, words), "--output_dir", str(output)]))
    return json.loads((output / "results.json").read_text())


def argv(flags: Mapping[str, str | list[str]], *more: str) -> list[str]:
    """A command line of these flags and words."""
    words: list[str] = []
    for name, value in flags.items():
        words += [f"--{name}", *(value if isinstance(value, list) else [value])]
    return [*words, *more]


def call(recipe: ModuleType, flags: dict[str, str | list[str]], *more: str) -> int:
    """The exit code of the training recipe under these flags and words."""
    from hf_optical.configuration.parsing import run

    try:
        run(recipe.main, recipe.TrainConfig, argv(flags, *more))
    except SystemExit as stop:
        return stop.code  # type: ignore[return-value]
    raise AssertionError("the recipe came back without an exit code")
