"""The students of a comparison, read token by token: MaxSim against the teacher's token vectors.

    python recipes/compare.py --config benchmarks/compare.yaml --keep_models
    python benchmarks/late_interaction.py --comparison outputs/compare --teacher T --output FILE

The same models as in the comparison's tables, trained as dense students; the same queries, documents and tests. What
differs is how a query and a document are compared: not by one vector each, but by the sum over the query's tokens of
the largest cosine with a document's token (ColBERT, arXiv 2004.12832). It shows which objective aligns *tokens*.
``untrained`` is the student with its vocabulary aligned in the bitext. A star: ahead of the baseline beyond chance over
queries (paired randomisation, Holm over arms); a double star: with the luck of the seeds counted, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hf_optical.comparison.statistics import ALPHA, clustered, paired_tests, seed_aware_p
from hf_optical.configuration import run
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.retrieval import evaluate_retrieval
from hf_optical.evaluation.significance import holm
from hf_optical.models import load_encoder
from hf_optical.results import portable, versions, write_json

METRIC = "ndcg@10"
UNTRAINED = "untrained"
Scores = dict[str, dict[str, dict[str, np.ndarray]]]
"""By arm, language and query: one value per seed."""


@dataclass
class LateInteraction:
    """Options."""

    comparison: str = field(metadata={"help": "Folder of a comparison that kept its models."})
    teacher: str = field(metadata={"help": "Reads the documents: Hub id or folder."})
    eval: list[str] = field(metadata={"help": "Folder(s) of retrieval sets that all languages have."})
    baseline: str = field(default="nce", metadata={"help": "Arm that the others are tested against."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file."})


def main(config: LateInteraction) -> None:
    """Read, score, test, print, write."""
    runs = sorted(path.parent for path in Path(config.comparison).glob("runs/*/*/*/results.json"))
    runs = [path for path in runs if (path / "model").is_dir()]
    if not runs:
        raise SystemExit(f"{config.comparison} holds no models: run the comparison with --keep_models")
    teacher: Any = load_encoder(config.teacher)
    tables = {}
    for folder in config.eval:
        tables[Path(folder).name] = table = tested(_scores(runs, folder, teacher), config.baseline)
        print(f"\n{Path(folder).name}: {METRIC} by MaxSim\n\n{shown(table)}")
    if config.output:
        command = " ".join(portable(part) for part in ["benchmarks/late_interaction.py", *_arguments(config)])
        write_json(Path(config.output), {"command": command, "versions": versions(), "tables": tables})


def _arguments(config: LateInteraction) -> list[str]:
    return ["--comparison", config.comparison, "--teacher", config.teacher, "--eval", *config.eval]


def _scores(runs: list[Path], folder: str, teacher: Any) -> Scores:
    found: Scores = {}
    cache, sets = DocumentCache(), {}
    for path in tqdm(runs, desc=Path(folder).name):
        language, arm = path.parts[-3:-1]
        if language not in sets:
            sets[language] = read_retrieval_set(folder, language)
            # One untrained student for each language: that of the first run.
            _add(found, UNTRAINED, language, load_encoder(str(path / "untrained")), sets[language], teacher, cache)
        _add(found, arm, language, load_encoder(str(path / "model")), sets[language], teacher, cache)
    return found


def _add(found: Scores, arm: str, language: str, student: Any, item: Any, teacher: Any, cache: DocumentCache) -> None:
    scores = evaluate_retrieval(student, item, teacher, interaction="maxsim", document_cache=cache)
    values = found.setdefault(arm, {}).setdefault(language, {})
    for query, measures in scores.per_query.items():
        values[query] = np.append(values.get(query, np.array([])), measures[METRIC])


def tested(found: Scores, baseline: str) -> dict[str, dict[str, Any]]:
    """By arm: mean and spread over seeds of each language, of their mean, and tests against the baseline."""
    languages = sorted(found[baseline])
    rows: dict[str, dict[str, Any]] = {}
    for arm, by_language in found.items():
        means = {language: np.mean(list(by_language[language].values()), axis=0) for language in languages}
        overall = np.mean(list(means.values()), axis=0)
        rows[arm] = {language: _spread(values) for language, values in means.items()} | {"mean": _spread(overall)}
    arms = [arm for arm in found if arm not in (baseline, UNTRAINED)]
    joint = {arm: clustered([found[arm][language] for language in languages])[1] for arm in (*arms, baseline)}
    differences = np.stack([joint[arm].mean(1) - joint[baseline].mean(1) for arm in arms], axis=1)
    tests = paired_tests(differences)
    p = holm(tests.p.tolist())
    for row, arm in enumerate(arms):
        rows[arm]["against_baseline"] = {
            "difference": round(float(tests.difference[row]), 4),
            "interval": [round(float(end), 4) for end in tests.interval[row]],
            "p": p[row],
            "p_with_seeds": seed_aware_p(joint[arm].T, joint[baseline].T),
        }
    return rows


def _spread(values: np.ndarray) -> dict[str, Any]:
    deviation = round(float(values.std(ddof=1)), 4) if len(values) > 1 else None
    return {"mean": round(float(values.mean()), 4), "sd": deviation, "seeds": len(values)}


def shown(table: dict[str, dict[str, Any]]) -> str:
    """As Markdown."""
    columns = [name for name in next(iter(table.values())) if name != "against_baseline"]
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for arm, row in sorted(table.items(), key=lambda item: item[1]["mean"]["mean"]):
        cells = [_cell(row[name]) for name in columns]
        if (test := row.get("against_baseline")) and test["difference"] > 0 and test["p"] < ALPHA:
            cells[-1] += r"\*\*" if (test["p_with_seeds"] or 1.0) < ALPHA else r"\*"
        lines.append(f"| {arm} | " + " | ".join(cell.replace("0.", ".") for cell in cells) + " |")
    return "\n".join(lines)


def _cell(value: dict[str, Any]) -> str:
    return f"{value['mean']:.3f}" + (f" ± {value['sd']:.3f}" if value["sd"] else "")


if __name__ == "__main__":
    run(main, LateInteraction)
