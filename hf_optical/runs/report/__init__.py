"""The page that a run leaves, ``report.html``: scores, what each row found, plans, curves, costs; opens offline."""

from __future__ import annotations

from hf_optical.runs.report.page import Drawn, write_run_report

__all__ = ["Drawn", "write_run_report"]
