"""Collect the results of a comparison's runs and references: scores by query, costs, other panels."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hf_optical.comparison.matrix import RunSpec
from hf_optical.comparison.runs import DISK_FILE
from hf_optical.errors import InputError
from hf_optical.places import distinct_names
from hf_optical.results.records import Results, read_per_query, read_results
from hf_optical.results.table_rows import AFTER, ENGLISH_AFTER, INITIALIZED, OF_THE_START, OF_THE_TEACHER


@dataclass
class Item:
    """Scores of every system on one retrieval set in one language.

    Attributes:
        set: Name of the set.
        language: FLORES code of the queries.
        queries: Ids of the queries.
        systems: Scores by arm or reference, (seeds, queries); one row for systems without seeds.
        curve: Scores in the same form, by arm or untrained start and by number of sentence pairs.
        english: Scores of the trained student on the English queries in the same form, by arm.
    """

    set: str
    language: str
    queries: list[str]
    systems: dict[str, np.ndarray] = field(default_factory=dict)
    curve: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    english: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass
class Collected:
    """Results of a comparison so far.

    Attributes:
        items: One item for each set and language.
        arms: The arms, in the order of the configuration, that have results.
        starts: For each arm the reference from which it started: its untrained student, with aligned rows if it has
            any.
        costs: By arm, then language: one mapping for each run.
        bias: Language bias on sets with documents in several languages, by set, then arm: one mapping for each run.
        data: Rows and hash of the files that were read, by path.
        done: Number of finished runs.
        planned: Number of all runs.
    """

    items: list[Item] = field(default_factory=list)
    arms: list[str] = field(default_factory=list)
    starts: dict[str, str] = field(default_factory=dict)
    costs: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    bias: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    data: list[dict[str, Any]] = field(default_factory=list)
    done: int = 0
    planned: int = 0


def collect(cells: Sequence[RunSpec], metric: str, references: Mapping[str, Sequence[Path]] | None = None) -> Collected:
    """Read the finished runs and the references.

    Args:
        cells: All runs; unfinished ones are left out and counted.
        metric: The measure.
        references: Folders of :func:`hf_optical.comparison.references.compute_references`, by language.

    Raises:
        InputError: Two systems were scored on different queries, or without this measure.
    """
    done = [cell for cell in cells if cell.is_done()]
    reader = _Reader(metric, cells, _student_names(done))
    for language, folders in (references or {}).items():
        for folder in folders:
            reader.read_reference(folder, language)
    for cell in done:
        reader.read_run(cell)
    return reader.finish(len(done))


class _Reader:
    """Collects the results in the folders."""

    def __init__(self, metric: str, cells: Sequence[RunSpec], names: Mapping[tuple[str, ...], str]) -> None:
        self.metric, self.cells, self.names = metric, cells, names
        self.items: dict[tuple[str, str], Item] = {}
        self.runs: dict[Any, list[np.ndarray]] = defaultdict(list)
        self.data: dict[str, dict[str, Any]] = {}
        self.found = Collected(planned=len(cells))

    def read_reference(self, folder: Path, language: str) -> None:
        for name, rows in read_per_query(folder).items():
            for system, per_query in rows.items():
                item = _item(self.items, name, language, per_query, self.metric)
                item.systems[system] = _row(item, per_query, self.metric)

    def read_run(self, cell: RunSpec) -> None:
        results = read_results(cell.folder)
        size = cell.size or results.content.get("pairs")
        for name, rows in read_per_query(cell.folder).items():
            item = _item(self.items, name, cell.language, rows[AFTER], self.metric)
            after = self._seeds(item, cell, rows, AFTER)
            if cell.size is None:
                item.systems[cell.arm] = after
                if ENGLISH_AFTER in rows:
                    item.english[cell.arm] = self._seeds(item, cell, rows, ENGLISH_AFTER)
            if size:
                item.curve.setdefault(cell.arm, {})[int(size)] = after
            self._read_start(item, cell, rows, size)
        if cell.size is None:
            self._read_panels(cell, results)

    def _seeds(self, item: Item, cell: RunSpec, rows: Mapping[str, Any], key: str) -> np.ndarray:
        """Return the scores of all seeds read so far, ending with this run's."""
        runs = self.runs[item.set, item.language, cell.arm, cell.size, key]
        runs.append(_row(item, rows[key], self.metric))
        return np.concatenate(runs)

    def _read_start(self, item: Item, cell: RunSpec, rows: Mapping[str, Any], size: int | None) -> None:
        """Read the rows that a run measured besides its own result, unless a reference has them already."""
        if cell.size is None:
            # If arms differ in teacher or interaction, only the references tell to which arm such rows belong.
            teachers = OF_THE_TEACHER if _space(cell) == _space(self.cells[0]) else ()
            for name in (*teachers, *OF_THE_START):
                label = name if name in OF_THE_TEACHER else f"{name} {self.names[cell.student()]}".strip()
                if name in rows and label not in item.systems:
                    item.systems[label] = _row(item, rows[name], self.metric)
        if INITIALIZED in rows and size:
            curve = item.curve.setdefault(f"{INITIALIZED} {cell.options.get('student', '')}".strip(), {})
            curve.setdefault(int(size), _row(item, rows[INITIALIZED], self.metric))

    def _read_panels(self, cell: RunSpec, results: Results) -> None:
        self.found.costs.setdefault(cell.arm, {}).setdefault(cell.language, []).append(_cost(cell, results.content))
        for entry in results.evaluations:
            bias = entry.bias or {}
            if AFTER in bias:
                self.found.bias.setdefault(entry.set, {}).setdefault(cell.arm, []).append(bias[AFTER])
        self.data.update({str(entry.get("path")): dict(entry) for entry in results.content.get("data", [])})

    def finish(self, done: int) -> Collected:
        found = self.found
        for cell in self.cells:
            for kind in OF_THE_START:  # the last row that exists
                name = f"{kind} {self.names.get(cell.student(), '')}".strip()
                if cell.size is None and any(name in item.systems for item in self.items.values()):
                    found.starts[cell.arm] = name
        order = list(dict.fromkeys(cell.language for cell in self.cells))
        sets = list(dict.fromkeys(item.set for item in self.items.values()))
        found.items += sorted(self.items.values(), key=lambda item: (sets.index(item.set), order.index(item.language)))
        for item in found.items:  # a curve needs more than one size
            item.curve = {name: sizes for name, sizes in item.curve.items() if len(sizes) > 1}
        arms = dict.fromkeys(cell.arm for cell in self.cells)
        found.arms += [arm for arm in arms if any(arm in item.systems for item in found.items)]
        found.data += [self.data[path] for path in sorted(self.data)]
        found.done = done
        return found


def _space(cell: RunSpec) -> tuple[Any, Any]:
    return cell.options.get("teacher"), cell.options.get("interaction")


def _item(
    items: dict[tuple[str, str], Item], name: str, language: str, per_query: Mapping[str, Any], metric: str
) -> Item:
    set_name, _, last = name.rpartition("/")
    # Sets with documents in several languages have a task (mono, cross, multi) in place of the language.
    set_name = set_name if last == language else f"{set_name}, {last}"
    known: Mapping[str, float] = next(iter(per_query.values()), {})
    if metric not in known:
        raise InputError(
            f"the measure {metric!r} is not among {sorted(known)}", "choose one of these measures", field="metric"
        )
    return items.setdefault((set_name, language), Item(set_name, language, list(per_query)))


def _row(item: Item, per_query: Mapping[str, Mapping[str, float]], metric: str) -> np.ndarray:
    if set(per_query) != set(item.queries):
        alone = sorted(set(per_query) ^ set(item.queries))
        raise InputError(
            f"{len(alone)} queries of {item.set}/{item.language} were scored for only some systems, the first is "
            f"{alone[0]!r}",
            "the retrieval set has changed between runs: remove the older runs, or compare in another folder",
        )
    return np.array([[per_query[query][metric] for query in item.queries]])


def _student_names(cells: Sequence[RunSpec]) -> dict[tuple[str, ...], str]:
    """Give each different student a short name: its kind, and the options that distinguish it."""
    groups: dict[tuple[str, str], list[tuple[str, ...]]] = defaultdict(list)
    for cell in cells:
        group = groups[cell.language, str(cell.options.get("student", ""))]
        if cell.size is None and cell.student() not in group:
            group.append(cell.student())
    kinds = list(dict.fromkeys(kind for _, kind in groups))
    short = dict(zip(kinds, distinct_names([kind or "." for kind in kinds]), strict=True)) | {"": ""}
    names: dict[tuple[str, ...], str] = {}
    for (language, kind), group in groups.items():
        taken = {name for student, name in names.items() if student[0] == language}
        for number, student in enumerate(group):
            told = [Path(new).name for new, old in zip(student, group[0], strict=True) if new not in (old, "None")]
            name = short[kind] if number == 0 else f"{short[kind]} ({', '.join(told) or number + 1})".strip()
            if name in taken:  # the distinguishing options may have the same last part
                name = f"{name} ({number + 1})"
            taken.add(name)
            names[student] = name
    return names


def _cost(cell: RunSpec, results: Mapping[str, Any]) -> dict[str, Any]:
    disk = cell.folder / DISK_FILE
    trained = [row["train_runtime"] for row in results.get("history") or [] if "train_runtime" in row]
    return {
        "seconds": results.get("seconds"),
        "train_seconds": trained[-1] if trained else None,
        "peak_memory_mb": results.get("peak_memory_mb"),
        "model_mb": _read(disk)["model_mb"] if disk.is_file() else None,
    }


def _read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
