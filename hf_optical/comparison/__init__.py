"""Comparison of methods: a matrix of arms, languages and seeds on one budget, and a report on its results."""

from __future__ import annotations

from hf_optical.comparison.collect import collect
from hf_optical.comparison.matrix import RunSpec, cells_of
from hf_optical.comparison.runs import run_cells
from hf_optical.comparison.summary import summarise

__all__ = ["RunSpec", "cells_of", "collect", "run_cells", "summarise"]
