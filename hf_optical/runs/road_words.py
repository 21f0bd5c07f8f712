"""Which road to take, in plain words, from what was measured; knows no model."""

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
    """What to do.

    Attributes:
        road: One of the four.
        sentences: Why, and what else.
        command: That takes the road.
    """

    road: str
    sentences: list[str]
    command: str

    def text(self) -> str:
        """For people."""
        return "\n".join([*self.sentences, f"  {self.command}"])

    def as_dict(self) -> dict[str, Any]:
        """For ``results.json``."""
        return vars(self)


def advise(roads: Roads, *, teacher: str | None, encoder: str, bitext: str) -> Advice:
    """Choose the road.

    With an index, the best start that leaves it untouched, and whether a new index by the multilingual encoder would be
    ahead of it beyond chance. A start further along is not taken for better where the difference may be chance: then
    the one that changes least goes first (the index's own model, then a student grown from it, then another encoder).

    Args:
        roads: What was measured.
        teacher: The index's model.
        encoder: The multilingual encoder.
        bitext: The pairs, for the command.

    Returns:
        The advice.
    """
    if teacher is None:
        said = [
            f"There is no index yet: make it with {encoder}, and distil that into itself on your pairs.",
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
    """The first of the rows that no other is ahead of beyond chance."""
    best = max(rows, key=roads.mean)
    pairs = [(roads.joined(best), roads.joined(row)) for row in rows if row != best]
    outcomes = dict(zip([row for row in rows if row != best], compare_all(pairs), strict=True)) if pairs else {}
    return next(row for row in rows if row == best or outcomes[row].outcome != "win")


def _keep(road: str, encoder: str, roads: Roads, row: str) -> str:
    what = {
        COPY: "Keep your index and distil its model into itself: no other start is ahead of it beyond chance.",
        GRAFT: "Keep your index and graft: grow the student from the index's own model.",
        MAP: f"Keep your index and map {encoder} onto it, then train that.",
    }[road]
    return f"{what} Before any training nDCG@10 is {roads.mean(row):.3f}, mean of held-out sentences and passages."


def _beside(roads: Roads, chosen: str, row: str) -> str:
    found = _test(roads, chosen, row)
    names = {RAW: "the index's model on the raw query", GRAFTED: "a grown student", MAPPED: "the mapped encoder"}
    return f"Beside it {names[row]}: {roads.mean(row):.3f} ({_said(found)})."


def _against_words(roads: Roads, chosen: str) -> str:
    found = _test(roads, chosen, BM25)
    if found.outcome == "loss":
        return (
            f"Words alone (BM25) find more: {found.mean_b:.3f} ({_said(found)}). Search both ways (search --hybrid), "
            "and train."
        )
    return f"Words alone (BM25): {found.mean_b:.3f} ({_said(found)})."


def _reindex(roads: Roads, chosen: str, encoder: str, bitext: str) -> str:
    found = _test(roads, REINDEXED, chosen)
    if found.outcome != "win":
        return f"A new index by {encoder} brings nothing beyond chance: {found.mean_a:.3f} ({_said(found)})."
    return (
        f"If you may make a new index, {encoder} is ahead before any training: {found.mean_a:.3f} ({_said(found)}). "
        f"Then distil it into itself: {_command(encoder, 'copy', roads.language, bitext)}"
    )


def _test(roads: Roads, row: str, other: str) -> Comparison:
    return compare_all([(roads.joined(row), roads.joined(other))])[0]


def _said(found: Comparison) -> str:
    word = {"win": "", "loss": "", "tie": "level, ", "inconclusive": "may be chance, "}[found.outcome]
    return f"{word}difference {found.difference:+.3f}, n = {found.n}, p = {found.p:.3f}"


def _command(teacher: str, student: str, language: str, bitext: str) -> str:
    return f"hf-optical train --teacher {teacher} --student {student} --language {language} --bitext {bitext}"
