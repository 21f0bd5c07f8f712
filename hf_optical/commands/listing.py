"""Commands of ``hf-optical``: summary, options and implementation of each."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Command:
    """A command. Its implementation is imported only when it is called, because the imports take seconds.

    Attributes:
        name: Name as typed.
        summary: One line that says what it does.
    """

    name: str
    summary: str

    def config(self) -> type[Any]:
        """Return the dataclass of its options, without heavy imports."""
        module = importlib.import_module(f"hf_optical.commands.options.{self.name}")
        return getattr(module, f"{self.name.title()}Config")

    def main(self, config: Any) -> object:
        """Run it."""
        return importlib.import_module(f"hf_optical.commands.{self.name}").main(config)


GROUPS: dict[str, tuple[Command, ...]] = {
    "Before a training": (
        Command("advise", "advise which road to take, measured on held-out pairs of your own"),
        Command("doctor", "find defects of sentence pairs, and write the sound pairs"),
        Command("plan", "estimate time, memory and disk of a training from three of its steps"),
        Command("probe", "find the layers at which words are near their translations"),
    ),
    "Train and measure": (
        Command("train", "teach a retriever a language from sentence pairs, and measure it"),
        Command("evaluate", "score a query encoder on retrieval sets"),
        Command("compare", "compare methods over languages and seeds, with tests and a report"),
    ),
    "Use": (
        Command("search", "index documents with the teacher, and search them in the language"),
        Command("publish", "build the repository of a finished run with its card, and upload it"),
        Command("export", "write a student for servers without PyTorch: ONNX, int8, OpenVINO"),
        Command("completion", "print the completion script of a shell"),
    ),
}

COMMANDS: dict[str, Command] = {command.name: command for group in GROUPS.values() for command in group}
