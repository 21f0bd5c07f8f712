"""The results of runs and comparisons: what results.json says, reading and writing it."""

__all__ = [
    "files",
    "measures",
    "records",
    "table_rows",
]
