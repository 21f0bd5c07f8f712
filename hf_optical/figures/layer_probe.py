"""Two small panels of the layer probe: true minus shuffled similarity, and P@1, by layer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hf_optical.evaluation.layer_probe import LayerProbe

_COLOURS = ("#444444", "#0072b2", "#d55e00", "#009e73", "#cc79a7")
_MARKS = ("o", "s", "^", "D", "v")


def draw_layer_probe(
    probes: Mapping[str, LayerProbe], file: str | Path, *, title: str = "", mark: int | None = None
) -> Path:
    """Draw one curve per probe, by layer, with the output at the right end, as a PNG.

    Needs matplotlib (the ``report`` extra).

    Args:
        probes: Name to probe, e.g. ``{"before": ..., "after": ...}``; all with the same number of layers; at most five.
        file: Output file; its folder is created if missing.
        title: Title above the picture.
        mark: A layer to mark (default: the one that the first probe recommends).

    Returns:
        The file.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    first = next(iter(probes.values()))
    mark = first.recommended_layer if mark is None else mark
    last = len(first.layers)
    figure, (upper, lower) = pyplot.subplots(2, 1, figsize=(4.6, 5.4), sharex=True, layout="constrained")
    for (name, probe), colour, symbol in zip(probes.items(), _COLOURS, _MARKS, strict=False):
        style = {"color": colour, "marker": symbol, "markersize": 5, "linewidth": 1.5}
        for axes, values in (
            (upper, [scores.difference for scores in (*probe.layers, probe.output)]),
            (lower, [scores.p1 for scores in (*probe.layers, probe.output)]),
        ):
            axes.plot(range(last), values[:-1], label=name, **style)
            # Not joined to the layers, because the output is pooled by the model, including special tokens.
            axes.plot([last + 0.3], values[-1:], **{**style, "linewidth": 0})
    for axes in (upper, lower):
        axes.axvline(mark, color="0.7", linestyle=":", zorder=0)
        axes.axvline(last - 0.35, color="0.9", zorder=0)
        axes.grid(axis="y", color="0.9")
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    upper.set_ylabel("true minus shuffled cosine")
    lower.set_ylabel("P@1, mean of both directions")
    lower.set_xlabel("layer (0: embeddings)")
    lower.set_xticks([*range(last), last + 0.3], [*map(str, range(last)), "output"])
    upper.legend(fontsize=9, frameon=False)
    figure.suptitle(title or "Layer probe", fontsize=11)
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=130)
    pyplot.close(figure)
    return file
