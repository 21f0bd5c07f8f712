"""Publishing of trained students: vocabulary trimming, export to other runtimes, model card, repository on the Hub."""

from __future__ import annotations

__all__ = [
    "card",
    "card_tables",
    "card_text",
    "export",
    "fertility",
    "hub",
    "hub_errors",
    "layout",
    "provenance",
    "publish",
    "runtimes",
    "samples",
    "tokenizer_rows",
    "trim",
    "trim_proof",
]
