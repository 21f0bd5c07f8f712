"""SVG pictures for light and dark pages, without a plotting library."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

INK, FAINT, PAPER = "var(--ink, #1b1b1b)", "var(--faint, #8a8a8a)", "var(--paper, #ffffff)"
ACCENT = "var(--accent, #0072b2)"  # filled areas, which are lighter on dark pages
# Okabe and Ito's colours for all kinds of colour vision; the last is darkened to be visible on white and black.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9", "#7a6ff0", "#8a8a8a")


class Svg:
    """SVG picture to which shapes and text are added; all text is escaped.

    Args:
        width: Width in units; with 360, text of 12 units is readable on a phone.
        height: Height in units.
        title: Description of the picture for screen readers.

    Example:
        >>> picture = Svg(100, 20, "a < b")
        >>> picture.text(5, 12, "<script>")
        >>> "&lt;script&gt;" in picture.render() and "<title>a &lt; b</title>" in picture.render()
        True
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self._parts: list[str] = []

    def line(
        self, x1: float, y1: float, x2: float, y2: float, colour: str = FAINT, width: float = 1, dash: str = ""
    ) -> None:
        """Draw a straight line."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'style="stroke:{colour};stroke-width:{width}"{dashed}/>'
        )

    def path(self, points: list[tuple[float, float]], colour: str, width: float = 1.6, dash: str = "") -> None:
        """Draw a line through points."""
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        style = f"fill:none;stroke:{colour};stroke-width:{width}"
        self._parts.append(f'<polyline points="{joined}" style="{style}"{dashed}/>')

    def circle(self, x: float, y: float, radius: float, colour: str, *, hollow: bool = False, tip: str = "") -> None:
        """Draw a dot; ``tip`` is shown on hover."""
        fill = PAPER if hollow else colour
        style = f"fill:{fill};stroke:{colour};stroke-width:1.6"
        said = f"<title>{escape(tip)}</title>" if tip else ""
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" style="{style}">{said}</circle>')

    def rectangle(
        self, x: float, y: float, width: float, height: float, colour: str, *, opacity: float = 1, tip: str = ""
    ) -> None:
        """Draw a filled rectangle."""
        said = f"<title>{escape(tip)}</title>" if tip else ""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'style="fill:{colour};fill-opacity:{opacity:.3f}">{said}</rect>'
        )

    def text(
        self,
        x: float,
        y: float,
        content: str,
        *,
        anchor: str = "start",
        size: float = 12,
        colour: str = INK,
        rotate: float = 0,
        most: int | None = None,
    ) -> None:
        """Draw text; more than ``most`` characters are truncated and shown in full on hover."""
        shown = content if most is None or len(content) <= most else content[: most - 1] + "…"
        said = f"<title>{escape(content)}</title>" if shown != content else ""
        turned = f' transform="rotate({rotate:g} {x:.1f} {y:.1f})"' if rotate else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
            f'style="font-size:{size:g}px;fill:{colour}"{turned}>{escape(shown)}{said}</text>'
        )

    def render(self) -> str:
        """Return the whole picture as SVG text."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'style="font-family:system-ui,sans-serif"><title>{escape(self.title)}</title>'
            + "".join(self._parts)
            + "</svg>"
        )

    def save(self, file: str | Path) -> Path:
        """Write the picture into a file; its folder is created if missing."""
        file = Path(file)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.render() + "\n", encoding="utf-8")
        return file


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Return round numbers between two bounds.

    Example:
        >>> ticks(-0.013, 0.052)
        [0.0, 0.02, 0.04]
    """
    span = max(high - low, 1e-9)
    step = 10 ** math.floor(math.log10(span / about))
    step *= min((1, 2, 5, 10), key=lambda factor: abs(span / (step * factor) - about))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 10) + 0.0 for number in range(first, last + 1)]
