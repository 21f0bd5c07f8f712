"""Puts the figures of a comparison into a page: between two marks in the page, nothing else of it is touched.

    python benchmarks/answer_page.py --run outputs/answer_cpu --page docs/ANSWER.md

Written are the contrasts named beforehand, the table of every set, English before and after, and the costs: all from
the comparison's `results.json`. Without the marks `<!-- figures -->` and `<!-- end of figures -->` in it the page is
left alone, with an error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hf_optical.comparison.panels import english_table
from hf_optical.comparison.tables import MARKS, cost_table, score_tables, to_markdown

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="output folder of the comparison")
    parser.add_argument("--page", type=Path, required=True)
    options = parser.parse_args()
    page = options.page.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        sys.exit(f"error: {options.page} does not have each of {BEGIN} and {END} once")
    found = json.loads((options.run / "results.json").read_text(encoding="utf-8"))
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    options.page.write_text(f"{before}{BEGIN}\n\n{figures(found)}\n\n{END}{after}", encoding="utf-8")


def figures(found: dict[str, Any]) -> str:
    """The Markdown of a comparison's figures."""
    return "\n\n".join(part for part in (*_contrasts(found), *_tables(found), *_english(found), _cost(found)) if part)


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
