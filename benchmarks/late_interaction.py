"""The students of a comparison, read token by token: MaxSim against the teacher's token vectors.

    hf-optical compare --config benchmarks/compare.yaml --keep_models
    python benchmarks/late_interaction.py --comparison outputs/compare --teacher T --output FILE

The same models as in the comparison's tables, trained as dense students; the same queries, documents and tests. What
differs is how a query and a document are compared: not by one vector each, but by the sum over the query's tokens of
the largest cosine with a document's token (ColBERT, arXiv 2004.12832). It shows which objective aligns *tokens*.
With ``--rerank 100`` the dense students find the documents, and only the first hundred are compared token by token.
``--scoring soft`` or ``balanced``: by entropic transport on centred tokens in place of MaxSim; the mean tokens come
from the bitext that each run names.
``untrained`` is the student with its vocabulary aligned in the bitext. A star: ahead of the baseline beyond chance over
queries (paired randomisation, Holm over arms); a double star: with seeds treated as a random sample.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hf_optical.configuration.parsing import run
from hf_optical.data.bitext import read_bitext
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.models import load_encoder
from hf_optical.encoders.token_means import TokenMeans, token_mean
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.paired_statistics import ALPHA, clustered, holm, paired_tests, seed_aware_p
from hf_optical.evaluation.retrieval import evaluate_retrieval, queries_to_score
from hf_optical.evaluation.scoring import score_run
from hf_optical.evaluation.token_scoring import Scoring, TokenScoring
from hf_optical.results.files import portable, versions, write_json
from hf_optical.search import MemoryIndex
from hf_optical.search.reranking import order_by_tokens

METRIC = "ndcg@10"
UNTRAINED = "untrained"
Scores = dict[str, dict[str, dict[str, np.ndarray]]]
"""By arm, language and query: one value per seed."""


@dataclass
class LateInteraction:
    """Options."""

    comparison: str = field(metadata={"help": "Folder of a comparison that kept its models.", "path": True})
    teacher: str = field(metadata={"help": "Reads the documents: Hub id or folder.", "path": True})
    eval: list[str] = field(metadata={"help": "Folder(s) of retrieval sets that all languages have.", "path": True})
    baseline: str = field(default="nce", metadata={"help": "Arm that the others are tested against."})
    arms: list[str] = field(default_factory=list, metadata={"help": "Of the comparison; all by default."})
    rerank: int = field(default=0, metadata={"help": "Order so many that the dense student finds; 0: all documents."})
    scoring: str = field(default="maxsim", metadata={"help": "maxsim, soft or balanced."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})


def main(config: LateInteraction) -> None:
    """Read, score, test, print, write."""
    runs = sorted(path.parent for path in Path(config.comparison).glob("runs/*/*/*/results.json"))
    runs = [path for path in runs if (path / "model").is_dir()]
    runs = [path for path in runs if not config.arms or path.parts[-2] in config.arms]
    if not runs:
        raise SystemExit(f"{config.comparison} holds no models: run the comparison with --keep_models")
    teacher: Any = load_encoder(config.teacher)
    tables = {}
    for folder in config.eval:
        tables[Path(folder).name] = table = tested(_scores(runs, folder, teacher, config), config.baseline)
        said = "MaxSim" if config.scoring == "maxsim" else f"{config.scoring} transport"
        print(f"\n{Path(folder).name}: {METRIC} by {said}\n\n{shown(table)}")
    if config.output:
        command = " ".join(portable(part) for part in ["benchmarks/late_interaction.py", *_arguments(config)])
        write_json(Path(config.output), {"command": command, "versions": versions(), "tables": tables})


def _arguments(config: LateInteraction) -> list[str]:
    given = ["--comparison", config.comparison, "--teacher", config.teacher, "--eval", *config.eval]
    given += ["--arms", *config.arms] if config.arms else []
    given += ["--scoring", config.scoring] if config.scoring != "maxsim" else []
    return given + (["--rerank", str(config.rerank)] if config.rerank else [])


def _scores(runs: list[Path], folder: str, teacher: Any, config: LateInteraction) -> Scores:
    found: Scores = {}
    cache, sets = DocumentCache(), {}
    how: Any = {"teacher": teacher, "cache": cache, "rerank": config.rerank}
    for path in tqdm(runs, desc=Path(folder).name):
        language, arm = path.parts[-3:-1]
        if language not in sets:
            sets[language] = read_retrieval_set(folder, language)
            # One untrained student for each language: that of the first run.
            untrained: Any = load_encoder(str(path / "untrained"))
            _add(
                found,
                UNTRAINED,
                language,
                _measured(untrained, sets[language], **how, **_scoring(path, config, untrained, teacher)),
            )
        student: Any = load_encoder(str(path / "model"))
        _add(
            found, arm, language, _measured(student, sets[language], **how, **_scoring(path, config, student, teacher))
        )
    return found


def _scoring(run: Path, config: LateInteraction, student: Any, teacher: Any) -> dict[str, Any]:
    """The score and its mean tokens, from the bitext that the run was trained on."""
    if config.scoring == "maxsim":
        return {"scoring": "maxsim", "means": None}
    language = run.parts[-3]
    named = json.loads((run / "results.json").read_text(encoding="utf-8"))["config"]["bitext"]
    rows = read_bitext(named[0] if isinstance(named, list) else named, language=language)
    queries = {language: token_mean(student, rows["translation"], "query")}
    return {"scoring": config.scoring, "means": TokenMeans(queries, token_mean(teacher, rows["source"], "document"))}


def _measured(
    student: Any,
    item: Any,
    teacher: Any,
    cache: DocumentCache,
    rerank: int,
    scoring: Scoring = "maxsim",
    means: TokenMeans | None = None,
) -> dict[str, dict[str, float]]:
    tokens: Any = {"interaction": "maxsim"}
    if not rerank:
        options = {**tokens, "document_cache": cache, "scoring": scoring, "means": means}
        return evaluate_retrieval(student, item, teacher, **options).per_query
    how = TokenScoring.centred(scoring, means, item.query_language)
    tokens["content_only"] = how.content_only
    ids, texts = list(item.corpus), list(item.corpus.values())
    queries = queries_to_score(item)
    index = MemoryIndex(teacher, student)
    index.add(ids, vectors=np.asarray(cache.vectors(teacher, texts)))
    found = index.query(list(queries.values()), top_k=rerank)
    read = dict(zip(ids, cache.vectors(teacher, texts, **tokens), strict=True))
    asked = encode_texts(student, list(queries.values()), "query", **tokens)
    best = order_by_tokens(asked, found, read, rerank, how)
    run = {query: {hit.id: hit.score for hit in hits} for query, hits in zip(queries, best, strict=True)}
    return score_run(run, {query: item.qrels[query] for query in queries})


def _add(found: Scores, arm: str, language: str, measured: dict[str, dict[str, float]]) -> None:
    values = found.setdefault(arm, {}).setdefault(language, {})
    for query, measures in measured.items():
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
