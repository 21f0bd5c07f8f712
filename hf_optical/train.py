"""The training command for launchers: ``accelerate launch -m hf_optical.train``, ``torchrun -m hf_optical.train``.

The same as ``hf-optical train`` and as ``recipes/train.py`` of the repository.
"""

from __future__ import annotations

from hf_optical.commands.train import TrainConfig, main
from hf_optical.configuration.parsing import run

if __name__ == "__main__":
    run(main, TrainConfig)
