"""Tables of a report: the same rows for HTML, Markdown and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hf_optical.comparison.summary import ALL
from hf_optical.comparison.verdicts import display, number, p_value
from hf_optical.evaluation.paired_statistics import ALPHA
from hf_optical.evaluation.tasks import row_name
from hf_optical.results.table_rows import LABELS, RAW, current_name

MARKS = (
    "* beats the teacher on the raw query; ° beats its own untrained student; † beats the baseline; "
    "‡ beats the baseline also with seeds treated as a random sample (each p < .05 after Holm)"
)
COSTS = {
    "train_seconds": "training, s",
    "seconds": "whole run, s",
    "peak_memory_mb": "memory, MB",
    "model_mb": "model, MB",
}
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {character: f"\\{character}" for character in "&%$#_{}"}
_LATEX |= {"*": r"$^{*}$", "°": r"$^{\circ}$", "†": r"$^{\dagger}$", "‡": r"$^{\ddagger}$", "±": r"$\pm$"}
_LATEX |= {"−": r"$-$", "×": r"$\times$", "–": "--", "<": "$<$", ">": "$>$"}


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        caption: Caption of the table.
        header: Names of the columns; the first one is that of the row names.
        rows: Cells.
        best: Rows and columns of the best arm's cells.
        rule: Number of rows before the arms, after which a line is drawn.
    """

    caption: str
    header: list[str]
    rows: list[list[str]]
    best: frozenset[tuple[int, int]] = frozenset()
    rule: int = 0


def score_tables(
    entries: Sequence[Mapping[str, Any]], baseline: str, metric: str, starts: Mapping[str, str]
) -> list[Table]:
    """Build one table per set: systems by languages, mean ± standard deviation over seeds, with marks of tests."""
    tables = []
    for name in dict.fromkeys(entry["set"] for entry in entries):
        columns = [entry for entry in entries if entry["set"] == name]
        references = list(dict.fromkeys(system for entry in columns for system in entry["references"]))
        references.sort(key=_reference_order)
        arms = list(dict.fromkeys(arm for entry in columns for arm in entry["arms"]))
        heads = ["mean" if e["language"] == ALL else f"{row_name(e['language'])} ({e['n']})" for e in columns]
        rows = [
            [display(system), *(number(entry["references"].get(system)) for entry in columns)] for system in references
        ]
        for arm in arms:
            rows.append([arm, *(_score(e["arms"].get(arm), baseline, starts.get(arm, "")) for e in columns)])
        best = frozenset(
            (len(references) + arms.index(max(entry["arms"], key=lambda arm: entry["arms"][arm]["mean"])), place + 1)
            for place, entry in enumerate(columns)
            if entry["arms"]
        )
        caption = f"{name}: {metric}, mean ± standard deviation over seeds (number of queries)"
        tables.append(Table(caption, ["", *heads], rows, best, len(references)))
    return tables


def difference_table(entry: Mapping[str, Any], other: str, caption: str) -> Table:
    """Make a table of every arm's difference from one other system, with intervals and tests."""
    rows = []
    for arm, found in entry["arms"].items():
        test = found["tests"].get(other)
        if test is None:
            continue
        low, high = test["interval"]
        effect = test["effect_size"]
        rows.append(
            [
                arm,
                number(test["difference"], sign=True),
                f"{number(low, sign=True)} to {number(high, sign=True)}",
                "–" if test["ratio"] is None else f"× {test['ratio']:.2f}",
                "–" if effect is None else f"{effect:+.2f}".replace("-", "−"),
                *(p_value(test[name]) for name in ("p", "p_holm", "p_holm_all", "p_seeds")),
                f"{test['seeds_ahead']}/{test['seeds']}",
            ]
        )
    header = ["", "difference", "95 % interval", "ratio", "effect size d", "p", "p (Holm)", "p (Holm, all)"]
    return Table(caption, [*header, "p (seeds)", "seeds ahead"], rows)


def pair_table(entry: Mapping[str, Any], caption: str) -> Table:
    """Make a table of every arm (row) minus every other (column), with an asterisk if the difference is significant."""
    arms = list(entry["arms"])
    rows = []
    for arm in arms:
        cells = [arm]
        for other in arms:
            test = entry["arms"][arm]["tests"].get(other)
            sure = "*" if test and test["p_holm"] < ALPHA else ""
            cells.append(f"{number(test['difference'], sign=True)}{sure}" if test else "")
        rows.append(cells)
    return Table(caption, ["", *arms], rows)


def cost_table(costs: Mapping[str, Mapping[str, Any]]) -> Table:
    """Make a table of seconds, memory and disk of a run of each arm, mean over runs."""
    rows = [
        [arm, *("–" if cost[name] is None else f"{cost[name]:,.0f}" for name in COSTS)] for arm, cost in costs.items()
    ]
    return Table("Cost of a run, mean over languages and seeds", ["", *COSTS.values()], rows)


def to_markdown(table: Table) -> str:
    """Format a table as Markdown; names are escaped."""
    lines = [table.header, ["---", *["---:"] * (len(table.header) - 1)], *table.rows]
    shown = [[cell if row == 1 else escape_markdown(cell) for cell in line] for row, line in enumerate(lines)]
    for row, column in table.best:
        shown[row + 2][column] = f"**{shown[row + 2][column]}**"
    return "\n".join("| " + " | ".join(cells) + " |" for cells in shown)


def escape_markdown(text: str) -> str:
    r"""Escape text so that Markdown shows it unchanged, on one line.

    Example:
        >>> print(escape_markdown("<b> a_b"))
        \<b\> a\_b
    """
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text).replace("\n", " ")


def to_latex(table: Table, label: str) -> str:
    r"""Format a table as LaTeX with ``booktabs``.

    Example:
        >>> print(to_latex(Table("nDCG & more", ["", "so"], [["ot_x", ".5 ± .1*"]]), "main"))
        \begin{table}
        \centering
        \begin{tabular}{lr}
        \toprule
         & so \\
        \midrule
        ot\_x & .5 $\pm$ .1$^{*}$ \\
        \bottomrule
        \end{tabular}
        \caption{nDCG \& more}
        \label{tab:main}
        \end{table}
    """
    rows = [[_latex(cell) for cell in cells] for cells in table.rows]
    for row, column in table.best:
        rows[row][column] = f"\\textbf{{{rows[row][column]}}}"
    lines = ["\\begin{table}", "\\centering", f"\\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}", "\\toprule"]
    lines += [" & ".join(map(_latex, table.header)) + r" \\", "\\midrule"]
    for place, cells in enumerate(rows):
        lines += ["\\midrule"] if place and place == table.rule else []
        lines.append(" & ".join(cells) + r" \\")
    lines += ["\\bottomrule", "\\end{tabular}", f"\\caption{{{_latex(table.caption)}}}", f"\\label{{tab:{label}}}"]
    return "\n".join([*lines, "\\end{table}"])


def _score(arm: Mapping[str, Any] | None, baseline: str, start: str) -> str:
    if arm is None:
        return "–"
    spread = f" ± {number(arm['sd'])}" if arm["sd"] is not None else ""
    tests = {name: test for name, test in arm["tests"].items() if test["difference"] > 0}
    beaten = {name for name, test in tests.items() if test["p_holm"] < ALPHA}
    marks = "*" * (RAW in beaten) + "°" * (start in beaten)
    if baseline in beaten:
        with_seeds = tests[baseline]["p_seeds_holm"]
        marks += "‡" if with_seeds is not None and with_seeds < ALPHA else "†"
    return f"{number(arm['mean'])}{spread}{marks}"


def _reference_order(system: str) -> int:
    order = list(LABELS)
    name = current_name(system).split(" ")[0]
    return order.index(name) if name in order else len(order)


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
