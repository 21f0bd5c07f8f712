"""``hf-optical advise`` as a script."""

from __future__ import annotations

from hf_optical.commands.advise import AdviseConfig, main
from hf_optical.configuration.parsing import run

if __name__ == "__main__":
    run(main, AdviseConfig)
