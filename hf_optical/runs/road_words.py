"""Advice on the road to take, from measurements; knows no model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hf_optical.evaluation.significance import Comparison, compare_all
from hf_optical.runs.roads import BM25, GRAFTED, MAPPED, RAW, REINDEXED, Roads

COPY, GRAFT, MAP, NEW = "distil the index's model into itself", "graft", "map", "new index"
_ROAD = {RAW: COPY, GRAFTED: GRAFT, MAPPED: MAP}
_STUDENT = {COPY: "copy", GRAFT: "extend", NEW: "copy"}


@dataclass(frozen=True)
class Advice:
    """Advice: the road, reasons and a command.

    Attributes:
        road: One of the four roads.
        sentences: Reasons and further advice.
        command: The command for this road.
    """

    road: str
    sentences: list[str]
    command: str

    def text(self) -> str:
        """Format the advice as text."""
        return "\n".join([*self.sentences, f"  {self.command}"])

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of ``results.json``."""
        return vars(self)


def advise(roads: Roads, *, teacher: str | None, encoder: str, bitext: str) -> Advice:
    """Choose a road from measurements.

    If there is an index, choose the best start that leaves it untouched, and tell whether a new index by the
    multilingual encoder scores significantly higher. A start counts as better only if the difference is significant;
    otherwise the one that changes least is preferred (the index's own model, then a student grown from it, then another
    encoder).

    Args:
        roads: The measurements.
        teacher: The index's model.
        encoder: The multilingual encoder.
        bitext: Path of the pairs, for the command.

    Returns:
        The advice.
    """
    if teacher is None:
        said = [
            f"There is no index yet: make one with {encoder}, and distil that encoder into itself on your pairs.",
            _against_words(roads, REINDEXED),
        ]
        return Advice(NEW, said, _command(encoder, "copy", roads.language, bitext))
    fixed = [row for row in (RAW, GRAFTED, MAPPED) if row in roads.scores]
    chosen = _first_not_beaten(roads, fixed)
    road = _ROAD[chosen]
    said = [_keep(road, encoder, roads, chosen)]
    said += [_beside(roads, chosen, row) for row in fixed if row != chosen]
    said.append(_against_words(roads, chosen))
    if REINDEXED in roads.scores:
        said.append(_reindex(roads, chosen, encoder, bitext))
    return Advice(road, said, _command(teacher, _STUDENT.get(road, encoder), roads.language, bitext))


def _first_not_beaten(roads: Roads, rows: list[str]) -> str:
    """Return the first row that no other row beats significantly."""
    best = max(rows, key=roads.mean)
    pairs = [(roads.joined(best), roads.joined(row)) for row in rows if row != best]
    outcomes = dict(zip([row for row in rows if row != best], compare_all(pairs), strict=True)) if pairs else {}
    return next(row for row in rows if row == best or outcomes[row].outcome != "win")


def _keep(road: str, encoder: str, roads: Roads, row: str) -> str:
    what = {
        COPY: "Keep your index and distil its model into itself: no other start scores significantly higher.",
        GRAFT: "Keep your index and grow the student from the index's own model.",
        MAP: f"Keep your index and map {encoder} onto it, then train the mapped encoder.",
    }[road]
    return f"{what} Before training its nDCG@10 is {roads.mean(row):.3f}, the mean of held-out sentences and passages."


def _beside(roads: Roads, chosen: str, row: str) -> str:
    found = _test(roads, chosen, row)
    names = {RAW: "the index's model on the raw query", GRAFTED: "a grown student", MAPPED: "the mapped encoder"}
    return f"For comparison, {names[row]}: {roads.mean(row):.3f} ({_said(found)})."


def _against_words(roads: Roads, chosen: str) -> str:
    found = _test(roads, chosen, BM25)
    if found.outcome == "loss":
        return f"BM25 finds more: {found.mean_b:.3f} ({_said(found)}). Train, and search with both (search --hybrid)."
    return f"BM25: {found.mean_b:.3f} ({_said(found)})."


def _reindex(roads: Roads, chosen: str, encoder: str, bitext: str) -> str:
    found = _test(roads, REINDEXED, chosen)
    if found.outcome != "win":
        return f"A new index by {encoder} is not significantly better: {found.mean_a:.3f} ({_said(found)})."
    return (
        f"If you can make a new index, {encoder} scores higher before training: {found.mean_a:.3f} ({_said(found)}). "
        f"Then distil it into itself: {_command(encoder, 'copy', roads.language, bitext)}"
    )


def _test(roads: Roads, row: str, other: str) -> Comparison:
    return compare_all([(roads.joined(row), roads.joined(other))])[0]


def _said(found: Comparison) -> str:
    word = {"win": "", "loss": "", "tie": "level, ", "inconclusive": "may be chance, "}[found.outcome]
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.3f}"
    return f"{word}difference {found.difference:+.3f}, n = {found.n}, {p}"


def _command(teacher: str, student: str, language: str, bitext: str) -> str:
    return f"hf-optical train --teacher {teacher} --student {student} --language {language} --bitext {bitext}"
