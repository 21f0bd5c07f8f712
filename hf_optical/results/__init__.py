"""Results of runs and comparisons: content of results.json, reading and writing it."""

__all__ = [
    "files",
    "measures",
    "records",
    "table_rows",
]
