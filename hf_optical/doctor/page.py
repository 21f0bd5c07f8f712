"""Report of verdicts as one HTML file without external resources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_optical.data.languages import language_name
from hf_optical.doctor.kinds import KINDS
from hf_optical.doctor.verdict import Histogram, Verdict
from hf_optical.results.pages import render_page

__all__ = ["write_page"]

_WIDTH, _HEIGHT = 320, 110


def write_page(verdicts: Sequence[Verdict], path: str | Path) -> Path:
    """Write a page with the verdict, the table, histograms and examples of each file.

    The template engine escapes all texts of the data, and control characters are replaced by visible signs.

    Args:
        verdicts: One verdict for each file.
        path: Path of the HTML file, whose folder is created if missing.

    Returns:
        The path.
    """
    html = render_page(
        "hf_optical.doctor",
        "page.html",
        verdicts=verdicts,
        kinds=KINDS,
        present={id(v): {name for name, count in v.counts.items() if count} for v in verdicts},
        languages={v.language: language_name(v.language) for v in verdicts if v.language},
        bars={id(h): _bars(h) for v in verdicts for h in v.histograms},
        identity=id,
        visible=_visible,
        width=_WIDTH,
        height=_HEIGHT,
    )
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(html, encoding="utf-8", errors="backslashreplace")
    return target


def _visible(text: str) -> str:
    """Replace control characters by signs, and characters that change the direction of text by their codes."""
    shown = []
    for character in text:
        code = ord(character)
        if code < 0x20:
            shown.append(chr(0x2400 + code))
        elif 0x7F <= code < 0xA0 or 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069 or 0xD800 <= code < 0xE000:
            shown.append(f"[U+{code:04X}]")
        else:
            shown.append(character)
    return "".join(shown)


def _bars(histogram: Histogram) -> dict[str, Any]:
    """Compute the bars of a histogram in units of the drawing, with square roots of counts so that low ones show."""
    top = max([*histogram.counts, *histogram.other, 1])
    step = _WIDTH / max(len(histogram.counts), 1)

    def drawn(counts: list[int]) -> list[tuple[float, float, float, int]]:
        sizes = [_HEIGHT * (count / top) ** 0.5 for count in counts]
        return [
            (round(index * step, 1), round(_HEIGHT - size, 1), round(size, 1), count)
            for index, (size, count) in enumerate(zip(sizes, counts, strict=True))
        ]

    return {
        "own": drawn(histogram.counts),
        "other": drawn(histogram.other),
        "bar": round(step * 0.85, 1),
        "low": f"{histogram.edges[0]:.3g}",
        "high": f"{histogram.edges[-1]:.3g}",
    }
