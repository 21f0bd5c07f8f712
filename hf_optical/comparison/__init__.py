"""Comparing methods: a matrix of arms, languages and seeds on one budget, and what its results say."""

from __future__ import annotations

from hf_optical.comparison.matrix import Cell, cells_of, run_cells
from hf_optical.comparison.summary import markdown_table, summarise

__all__ = ["Cell", "cells_of", "markdown_table", "run_cells", "summarise"]
