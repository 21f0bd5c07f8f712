"""``hf-optical train`` as a script: ``accelerate launch recipes/train.py --config X.yaml``."""

from __future__ import annotations

from hf_optical.commands.train import TrainConfig, main
from hf_optical.configuration.parsing import run

if __name__ == "__main__":
    run(main, TrainConfig)
