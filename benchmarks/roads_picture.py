"""Draws the picture of the three roads at the head of README from measured scores.

    python benchmarks/roads_picture.py

The scores are those of `benchmarks/results/roads.json`; the commands that print them stand in docs/roads.md and
docs/RESULTS.md ("First rows by transport", "With a real multilingual encoder"), of the reranked ones in
docs/dense_or_multi_vector.md.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from hf_optical.figures.bars import score_bars

ROOT = Path(__file__).resolve().parents[1]
_GAP = 12


def main() -> None:
    found = json.loads((ROOT / "benchmarks/results/roads.json").read_text(encoding="utf-8"))
    panels = [score_bars(one["bars"], title=one["title"], strong=one["strong"]) for one in found["panels"]]
    width, height = sum(panel.width for panel in panels) + _GAP * (len(panels) - 1), max(p.height for p in panels)
    parts, x = [], 0.0
    for panel in panels:
        opening = f'<svg x="{x:.0f}" y="0" width="{panel.width:.0f}" height="{panel.height:.0f}"'
        parts.append(panel.render().replace("<svg", opening, 1))
        x += panel.width + _GAP
    drawing = "".join(parts)
    # Alone in a browser or on GitHub the picture has no page whose colours it could take: it brings a white ground.
    drawing = re.sub(r"var\(--\w+, (#\w+)\)", r"\1", drawing)
    (ROOT / "docs/assets/roads.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -4 {width + 16:.0f} {height + 8:.0f}" role="img">'
        f'<title>{found["set"]}</title><rect x="-8" y="-4" width="100%" height="100%" fill="#fff"/>{drawing}</svg>\n',
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
