"""Bytes and seconds as text."""

from __future__ import annotations

from pathlib import Path


def shown_bytes(count: float) -> str:
    """Format bytes in powers of 1000.

    Example:
        >>> shown_bytes(1_230_000_000), shown_bytes(45e6), shown_bytes(900)
        ('1.2 GB', '45 MB', '0.9 kB')
    """
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if abs(count) >= size:
            value = count / size
            return f"{value:.1f} {unit}" if abs(value) < 10 else f"{value:.0f} {unit}"
    return f"{count / 1e3:.1f} kB"


def shown_seconds(seconds: float) -> str:
    """Format a duration in a suitable unit.

    Example:
        >>> shown_seconds(0.41), shown_seconds(59), shown_seconds(800), shown_seconds(9000)
        ('0.4 s', '59 s', '13 min', '2.5 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def folder_bytes(folder: Path) -> int:
    """Sum the bytes of all files in a folder and below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
