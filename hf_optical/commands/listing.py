"""The commands of ``hf-optical``: what each does in one line, its options, and what runs it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Command:
    """One command; what runs it is imported only when it is called, for the hosts take seconds.

    Attributes:
        name: As it is typed.
        summary: What it does, in one line.
    """

    name: str
    summary: str

    def config(self) -> type[Any]:
        """The dataclass of its options; imports no host."""
        module = importlib.import_module(f"hf_optical.commands.options.{self.name}")
        return getattr(module, f"{self.name.title()}Config")

    def main(self, config: Any) -> object:
        """Run it."""
        return importlib.import_module(f"hf_optical.commands.{self.name}").main(config)


GROUPS: dict[str, tuple[Command, ...]] = {
    "Before a training": (
        Command("advise", "say which road to take, measured on held-out pairs of your own"),
        Command("doctor", "say what is wrong with sentence pairs, and write the sound ones"),
        Command("plan", "estimate time, memory and disk of a training, after three steps of it"),
        Command("probe", "see at which layer words meet their translations"),
    ),
    "Train and measure": (
        Command("train", "teach a retriever a language from sentence pairs, and measure it"),
        Command("evaluate", "score a query encoder on retrieval sets"),
        Command("compare", "compare methods over languages and seeds, with tests and a report"),
    ),
    "Use": (
        Command("search", "index documents with the teacher, and search them in the language"),
        Command("publish", "build the repository of a finished run with its card, and send it"),
        Command("export", "write a student for servers without PyTorch: ONNX, int8, OpenVINO"),
        Command("completion", "print the completion script of a shell"),
    ),
}

COMMANDS: dict[str, Command] = {command.name: command for group in GROUPS.values() for command in group}
