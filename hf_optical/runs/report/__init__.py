"""Report of a run, ``report.html``: scores, documents found by each row, plans, curves and costs; works offline."""

from __future__ import annotations

from hf_optical.runs.report.page import Drawn, write_run_report

__all__ = ["Drawn", "write_run_report"]
