"""``hf-optical plan`` as a script."""

from __future__ import annotations

from hf_optical.commands.plan import PlanConfig, main
from hf_optical.configuration.parsing import run

if __name__ == "__main__":
    run(main, PlanConfig)
