"""Readers of bitext, lexicons and retrieval sets, whose error messages name the file, the row and the field."""

from __future__ import annotations

__all__ = [
    "benchmarks",
    "bitext",
    "columns",
    "contexts",
    "fingerprint",
    "held_out",
    "identify",
    "iso639",
    "json_objects",
    "kinds",
    "languages",
    "lexicon",
    "pairs",
    "qrels",
    "query_passages",
    "retrieval",
    "retrieval_files",
    "swapped",
    "tables",
    "text_rows",
    "texts",
    "tokenizer_report",
    "vector_rows",
]
