r"""Puts the figures of a comparison into a page: between two marks in the page, nothing else of it is touched.

    python benchmarks/answer_page.py --run outputs/answer_cpu --curve outputs/answer_curve_cpu \
        --picture docs/assets/answer.svg --page docs/ANSWER.md

Written are the contrasts named beforehand, the table of every set, English before and after, and the costs: all from
the comparison's `results.json`; and from that of `--curve` the scores by number of questions and of sentence pairs.
`--picture` draws the means over the languages of both. Without the marks `<!-- figures -->` and
`<!-- end of figures -->` in it the page is left alone, with an error.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hf_optical.comparison.panels import english_table
from hf_optical.comparison.tables import MARKS, cost_table, score_tables, to_markdown
from hf_optical.comparison.verdicts import number
from hf_optical.data.languages import language_name
from hf_optical.figures.bars import score_bars

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="output folder of the comparison")
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--curve", type=Path, help="output folder of the learning curve")
    parser.add_argument("--picture", type=Path, help="SVG file to draw")
    options = parser.parse_args()
    page = options.page.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        sys.exit(f"error: {options.page} does not have each of {BEGIN} and {END} once")
    found = json.loads((options.run / "results.json").read_text(encoding="utf-8"))
    curve = json.loads((options.curve / "results.json").read_text(encoding="utf-8")) if options.curve else None
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    if options.picture:
        options.picture.write_text(picture(found, curve) + "\n", encoding="utf-8")
    options.page.write_text(f"{before}{BEGIN}\n\n{figures(found, curve)}\n\n{END}{after}", encoding="utf-8")


def figures(found: dict[str, Any], curve: dict[str, Any] | None) -> str:
    """The Markdown of a comparison's figures."""
    parts = [*_contrasts(found), *_tables(found), *(_curve(curve) if curve else []), *_english(found), _cost(found)]
    return "\n\n".join(part for part in parts if part)


def _curve(curve: dict[str, Any]) -> Iterator[str]:
    """Tables of a learning curve: arms `NAME_50` by their number of questions, arms by their number of pairs."""
    for name in dict.fromkeys(entry["set"] for entry in curve["evaluations"]):
        single = [e for e in curve["evaluations"] if e["set"] == name and len(e["languages"]) == 1]
        rows = {"no training": [e["references"]["raw"] for e in single]}
        rows |= {_said(arm): [e["arms"][arm]["mean"] for e in single] for arm in _by_questions(single[0]["arms"])}
        found = [c for c in curve["curves"] if c["set"] == name]
        for method in dict.fromkeys(c["method"] for c in found):
            mine = [c for e in single for c in found if (c["language"], c["method"]) == (e["language"], method)]
            for place, size in enumerate(mine[0]["sizes"]):
                said = f"{size:,}" if all(c["sizes"][place] == size for c in mine) else "all"
                rows[f"{said} sentence pairs"] = [c["means"][place] for c in mine]
        rows["English question"] = [e["references"]["ceiling"] for e in single]
        heads = [f"{language_name(e['language'])} ({e['n']})" for e in single]
        lines = [f"| | {' | '.join([*heads, 'mean'])} |", "| --- |" + " ---: |" * (len(heads) + 1)]
        lines += [
            f"| {row} | {' | '.join(map(number, [*values, sum(values) / len(values)]))} |"
            for row, values in rows.items()
        ]
        yield f"**How many questions, how many pairs ({name}, {curve['config']['metric']})**\n\n" + "\n".join(lines)


def _by_questions(arms: dict[str, Any]) -> list[str]:
    """The arms of a curve over questions, the fewest first and all questions last."""
    limited = [arm for arm in arms if arm.rpartition("_")[2].isdigit()]
    whole = dict.fromkeys(arm.rpartition("_")[0] for arm in limited)
    return [*sorted(limited, key=lambda arm: int(arm.rpartition("_")[2])), *whole]


def _said(arm: str) -> str:
    count = arm.rpartition("_")[2]
    return f"{count if count.isdigit() else 'all'} questions"


def picture(found: dict[str, Any], curve: dict[str, Any] | None) -> str:
    """Bars of the means over the languages: no training, the arms, and the ends of the learning curves."""
    entry = max(found["evaluations"], key=lambda e: len(e["languages"]))
    bars = {"no training": entry["references"]["raw"], "BM25": entry["references"]["bm25"]}
    if curve:
        joint = max(curve["evaluations"], key=lambda e: len(e["languages"]))
        bars |= {_said(arm): joint["arms"][arm]["mean"] for arm in _by_questions(joint["arms"])[:-1]}
        first = [c["means"][0] for c in curve["curves"]]
        bars[f"{curve['curves'][0]['sizes'][0]:,} sentence pairs"] = sum(first) / len(first)
    bars |= {arm: values["mean"] for arm, values in entry["arms"].items()}
    bars["English question"] = entry["references"]["ceiling"]
    drawn = score_bars(bars, title=f"{entry['set']}, mean of {len(entry['languages'])} languages", strong="hybrid+ot")
    ground = f'<rect width="{drawn.width}" height="{drawn.height}" fill="#fff"/>'
    text = re.sub(r"var\(--\w+, (#\w+)\)", r"\1", drawn.render())
    return re.sub(r"(<svg[^>]*>)", rf"\1{ground}", text, count=1)


def _contrasts(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['done']} of {found['planned']} planned runs are in these figures."
    for name in dict.fromkeys(entry["set"] for entry in found["contrasts"]):
        lines = [f"- {entry['sentence']}" for entry in found["contrasts"] if entry["set"] == name]
        yield f"**The contrasts, {name}:**\n\n" + "\n".join(lines)


def _tables(found: dict[str, Any]) -> Iterator[str]:
    config = found["config"]
    baseline = config.get("baseline") or next(iter(config["arms"]))
    for table in score_tables(found["evaluations"], baseline, config["metric"], {}):
        yield f"**{table.caption}**\n\n{to_markdown(table)}"
    yield f"{MARKS}. The baseline is {baseline}."


def _english(found: dict[str, Any]) -> Iterator[str]:
    table = english_table(found.get("english") or [], found["config"]["metric"])
    if table is not None:
        yield f"**{table.caption}**\n\n{to_markdown(table)}"


def _cost(found: dict[str, Any]) -> str:
    table = cost_table(found.get("cost") or {})
    return f"**{table.caption}**\n\n{to_markdown(table)}" if table is not None else ""


if __name__ == "__main__":
    main()
