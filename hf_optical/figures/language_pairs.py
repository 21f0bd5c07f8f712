"""Heat map of scores by query language and document language."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def draw_language_pairs(
    rows: Sequence[str], columns: Sequence[str], matrix: np.ndarray, file: str | Path, *, title: str = ""
) -> Path:
    """Draw a matrix of scores as a PNG, each number in its cell.

    Needs matplotlib (the ``report`` extra).

    Args:
        rows: Query languages.
        columns: Document languages.
        matrix: Scores in ``[0, 1]``, shape ``(rows, columns)``; ``nan`` leaves a cell empty.
        file: Output file; its folder is created if missing.
        title: Title above the picture.

    Returns:
        The file.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(2.6 + 0.8 * len(columns), 1.8 + 0.5 * len(rows)), layout="constrained")
    picture = axes.imshow(matrix, cmap="viridis", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right", fontsize=9)
    axes.set_yticks(range(len(rows)), rows, fontsize=9)
    axes.set_xlabel("documents")
    axes.set_ylabel("queries")
    axes.set_title(title, fontsize=10)
    for (row, column), value in np.ndenumerate(matrix):
        if np.isfinite(value):
            # Viridis is light above about two thirds of its range, so the digits are dark there.
            colour = "black" if value > 0.65 else "white"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(picture, ax=axes)
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)
    pyplot.close(figure)
    return file
