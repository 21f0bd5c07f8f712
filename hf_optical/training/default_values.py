"""Default values that options of a run and trainers share; importing them needs no other library."""

from __future__ import annotations

BANK_SIZE = 16_384
"""Number of sentences in a bank: 25 MB at width 384, and a few seconds of encoding."""
PATIENCE = 6
"""Number of validations without improvement after which training stops."""
