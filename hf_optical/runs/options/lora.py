"""The LoRA settings of a run, one mapping of its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hf_optical.configuration.parsing import option
from hf_optical.errors import InputError

INITS = ("default", "pissa", "olora")


@dataclass
class LoraOptions:
    """Settings of the LoRA adapters (adapter: lora): rank, alpha, init, targets, rslora."""

    rank: int = option(16, "Rank of the adapters.", former={"lora_r": None})
    alpha: int | None = option(
        None, "The update is scaled by alpha / rank; twice the rank if not given.", former={"lora_alpha": None}
    )
    init: str = option("default", "First weights of the adapters: default, pissa or olora.", former={"lora_init": None})
    targets: list[str] = option(
        [], "Modules that get an adapter; query and value if not given.", former={"lora_targets": None}
    )
    rslora: bool = option(
        False, "Scale the update by alpha / sqrt(rank), rank-stabilised LoRA.", former={"rslora": None}
    )

    def check(self) -> None:
        """Find a setting that is out of range.

        Raises:
            InputError: The first such setting.
        """
        for name in ("rank", "alpha"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"is {value}", "give a whole number of 1 or more", field=f"lora.{name}")
        if self.init not in INITS:
            raise InputError(f"is {self.init!r}", f"use one of {', '.join(INITS)}", field="lora.init")

    def adapter_options(self) -> dict[str, Any]:
        """Return the arguments of `LanguageAdapters.add`.

        Example:
            >>> LoraOptions(rank=8, targets=["key"]).adapter_options()
            {'r': 8, 'use_rslora': False, 'target_modules': ['key']}
        """
        options: dict[str, Any] = {"r": self.rank, "use_rslora": self.rslora}
        if self.alpha is not None:
            options["lora_alpha"] = self.alpha
        if self.targets:
            options["target_modules"] = list(self.targets)
        if self.init != "default":
            options["init_lora_weights"] = self.init
        return options
