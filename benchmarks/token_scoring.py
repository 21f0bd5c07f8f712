"""What reading a hundred found documents token by token is worth: MaxSim against transport on centred tokens.

    python benchmarks/token_scoring.py --teacher T --data FOLDER --cache SCRATCH --output FILE
    python benchmarks/token_scoring.py --teacher T --data FOLDER --cache SCRATCH --tune

Each language has a student grown from the teacher, its rows aligned in the training bitext and *nothing trained*; the
index is the teacher's. With ``--encoder E`` a multilingual encoder over an index of its own is read in the same ways.
The dense vectors find the documents, and the first hundred are ordered anew:

- ``maxsim``: MaxSim over all tokens as they are (what late-interaction indexes compute);
- ``centred maxsim``: MaxSim over content tokens without their language's mean (the control of the transport);
- ``soft, not centred``: one-sided entropic transport over content tokens as they are (the control of the mean);
- ``soft``: one-sided, centred; ``balanced``: both marginals, centred.

The claims are named here, before any figure: on passages and questions soft against MaxSim and against centred MaxSim;
on sentences balanced against the same two and against soft. p is of paired randomisation over queries, all languages of
a kind together (a sentence asked in several languages is one), Holm over the claims of a system. Beside them stands
what each set gains over the dense vectors by soft (balanced for sentences), Holm over the sets of a system. ``--tune``
prints the held-out sets by epsilon: bitext that no student was grown from, and the training questions of AfriQA.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from token_scoring_readings import Readings  # beside this file, as the next
from token_scoring_sets import Questions, evaluation_sets, held_out_sets
from token_scoring_systems import System
from token_store import Encoded

from hf_optical.configuration.parsing import run
from hf_optical.evaluation.paired_statistics import clustered, holm, paired_tests
from hf_optical.evaluation.scoring import score_run
from hf_optical.evaluation.search import search_dense
from hf_optical.evaluation.token_scoring import EPSILON, TokenScoring
from hf_optical.results.files import versions, write_json
from hf_optical.search.index import Hit
from hf_optical.search.reranking import order_by_tokens

METRIC, DEPTH = "ndcg@10", 100
EPSILONS = (0.03, 0.05, 0.1, 0.2, 0.3)
TIMED = 15
CLAIMS = {
    "passages": (("soft", "maxsim"), ("soft", "centred maxsim")),
    "questions": (("soft", "maxsim"), ("soft", "centred maxsim")),
    "sentences": (("balanced", "maxsim"), ("balanced", "centred maxsim"), ("balanced", "soft")),
}
GAINS = {"passages": "soft", "questions": "soft", "sentences": "balanced"}
PerQuery = dict[str, np.ndarray]


@dataclass
class TokenScoringConfig:
    """Options."""

    data: str = field(metadata={"help": "Folder with bitext/, eval/ and clir_train/.", "path": True})
    cache: str = field(metadata={"help": "Scratch folder: students, vectors as float16.", "path": True})
    teacher: str | None = field(default=None, metadata={"help": "Teacher whose index is searched.", "path": True})
    encoder: str | None = field(default=None, metadata={"help": "A multilingual encoder to read too.", "path": True})
    students: str | None = field(default=None, metadata={"help": "Its trained students, <code>/model.", "path": True})
    titles: bool = field(default=False, metadata={"help": "Read documents with their titles."})
    languages: list[str] = field(default_factory=lambda: ["so", "tl", "mr", "sw", "ig", "rw", "am"])
    kinds: list[str] = field(default_factory=lambda: list(CLAIMS), metadata={"help": "passages sentences questions"})
    sentences: int = field(default=300, metadata={"help": "Sentences asked of ntrex_bitext; 0 for all."})
    documents: int = field(default=800, metadata={"help": "Documents of the questions' sets; 0 for all."})
    epsilon: float = field(default=EPSILON, metadata={"help": "Of the entropic scores."})
    mean_rows: int = field(default=500, metadata={"help": "Training pairs of which the mean tokens are taken."})
    bfloat16: bool = field(default=True, metadata={"help": "Encode in bfloat16: half the time on most processors."})
    tune: bool = field(default=False, metadata={"help": "Print the held-out sets by epsilon in place of the claims."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})


def main(config: TokenScoringConfig) -> None:
    """Encode, read, test, print, write."""
    torch.set_num_threads(1)
    data, cache = Path(config.data), Path(config.cache)
    how: dict[str, Any] = {"bfloat16": config.bfloat16, "mean_rows": config.mean_rows, "titles": config.titles}
    systems = [System("grown", config.teacher, data, cache, **how)] if config.teacher else []
    systems += [System(Path(config.encoder).name, config.encoder, data, cache, **how)] if config.encoder else []
    if config.encoder and config.students:
        students = Path(config.students)
        systems.append(
            System(f"{Path(config.encoder).name} trained", config.encoder, data, cache, students=students, **how)
        )
    results: dict[str, Any] = {}
    for system in systems:
        if config.tune:
            sets = [item for item in held_out_sets(data, config.languages, 400) if item.kind in config.kinds]
            results[system.name] = tuned(system, sets)
        else:
            sets = list(
                evaluation_sets(data, config.languages, config.sentences, config.documents, titles=config.titles)
            )
            results[system.name] = measured(
                system, [item for item in sets if item.kind in config.kinds], config.epsilon
            )
    if config.output:
        named = ("languages", "kinds", "sentences", "documents", "titles", "bfloat16", "mean_rows")
        said = {name: getattr(config, name) for name in named}
        command = "benchmarks/token_scoring.py" + (" --tune" if config.tune else "")
        settings = {**said, "epsilon": config.epsilon, "rerank": DEPTH, "metric": METRIC}
        write_json(
            Path(config.output), {"command": command, "settings": settings, "versions": versions(), "systems": results}
        )


def read(
    system: System, item: Questions, epsilons: tuple[float, ...] = (EPSILON,), only: Sequence[str] = ()
) -> tuple[dict[str, PerQuery], dict[str, float]]:
    """The measure of every query by every reading, ``dense`` first, and milliseconds per query of the reranker."""
    queries, documents = system.queries(item), system.documents(item)
    means = [side.content_mean() for side in system.mean_texts(item.language)]
    scores, found = search_dense(queries.dense, documents.dense, DEPTH)
    results = {"dense": measure(item, scores, found)}
    by_name: dict[str, list[np.ndarray]] = {}
    for row in Readings(queries, documents, *means, epsilons, only).all(found):
        for name, values in row.items():
            by_name.setdefault(name, []).append(values.numpy())
    results |= {name: measure(item, np.stack(rows), found) for name, rows in by_name.items()}
    return results, _times(queries, documents, means, found) if len(epsilons) == 1 and not only else {}


def _times(queries: Encoded, documents: Encoded, means: list[np.ndarray], found: np.ndarray) -> dict[str, float]:
    """Median milliseconds of one thread for the package's reranker on one query and its documents."""
    ways = {name: TokenScoring(name, *means) for name in ("soft", "balanced")} | {"maxsim": TokenScoring()}
    times = {}
    for name, how in ways.items():
        asked = queries.token_lists(content_only=how.content_only, most=TIMED)
        places = sorted({int(place) for row in found[:TIMED] for place in row})
        read = documents.token_lists(content_only=how.content_only, places=places)
        vectors = {str(place): rows for place, rows in zip(places, read, strict=True)}
        spent = []
        for query, row in zip(asked, found, strict=False):
            hits = [Hit(str(place), 0.0) for place in row]
            started = time.thread_time()
            order_by_tokens([query], [hits], vectors, DEPTH, how)
            spent.append(time.thread_time() - started)
        times[name] = round(1000 * float(np.median(spent)), 1)
    return times


def measure(item: Questions, scores: np.ndarray, found: np.ndarray) -> PerQuery:
    ids = list(item.documents)
    run = {
        query: {ids[place]: float(score) for place, score in zip(row, line, strict=True)}
        for query, row, line in zip(item.queries, found, scores, strict=True)
    }
    return {query: np.array(measures[METRIC]) for query, measures in score_run(run, item.qrels).items()}


def measured(system: System, sets: list[Questions], epsilon: float = EPSILON) -> dict[str, Any]:
    """Tables by kind and language, and the claims."""
    found: dict[str, dict[str, dict[str, PerQuery]]] = {}
    milliseconds: dict[str, dict[str, Any]] = {}
    for item in sets:
        results, times = _kept(system, item, epsilon)
        found.setdefault(item.kind, {})[item.language] = results
        milliseconds.setdefault(item.kind, {})[item.language] = times
        print(system.name, item.name, item.language, {name: _mean(values) for name, values in results.items()}, times)
    tables = {
        kind: {
            code: {"n": len(results["dense"]), **{name: _mean(values) for name, values in results.items()}}
            for code, results in by_language.items()
        }
        for kind, by_language in found.items()
    }
    claims = [_claim(kind, by_language, *pair) for kind, by_language in found.items() for pair in CLAIMS[kind]]
    for claim, p in zip(claims, holm([claim["p"] for claim in claims]), strict=True):
        claim["p_holm"] = p
        print(system.name, claim)
    gains = [
        {"kind": kind, "language": code} | _gain(results, GAINS[kind])
        for kind, by_language in found.items()
        for code, results in by_language.items()
    ]
    for gain, p in zip(gains, holm([gain["p"] for gain in gains]), strict=True):
        gain["p_holm"] = p
        print(system.name, gain)
    return {"tables": tables, "milliseconds_per_query": milliseconds, "claims": claims, "gains_over_dense": gains}


def _gain(results: Mapping[str, PerQuery], reading: str) -> dict[str, Any]:
    """One set's gain of a reading over the dense vectors."""
    tests = paired_tests(
        np.array([value - results["dense"][query] for query, value in results[reading].items()])[:, None]
    )
    return {
        "reading": reading,
        "difference": round(float(tests.difference[0]), 4),
        "interval": [round(float(end), 4) for end in tests.interval[0]],
        "p": float(tests.p[0]),
    }


def _kept(system: System, item: Questions, epsilon: float) -> tuple[dict[str, PerQuery], dict[str, float]]:
    """What :func:`read` gives, kept in the cache beside the vectors: a killed run goes on where it stopped."""
    name = f"{item.asked}{system.titled}.{len(item.documents)}.{epsilon}.json"
    file = system.cache / system.name / "read" / name
    if not file.exists():
        results, times = read(system, item, (epsilon,))
        plain = {name: {query: float(x) for query, x in values.items()} for name, values in results.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"times": times, "per_query": plain})
    content = json.loads(file.read_text(encoding="utf-8"))
    per_query = {
        name: {query: np.array(x) for query, x in values.items()} for name, values in content["per_query"].items()
    }
    return per_query, content["times"]


def _claim(kind: str, by_language: Mapping[str, Mapping[str, PerQuery]], one: str, other: str) -> dict[str, Any]:
    def differences(codes: list[str]) -> np.ndarray:
        rows = [
            {query: results[one][query] - results[other][query] for query in results[one]}
            for results in (by_language[code] for code in codes)
        ]
        return clustered(rows)[1]

    tests = paired_tests(differences(list(by_language))[:, None])
    alone = {code: paired_tests(differences([code])[:, None]) for code in by_language}
    return {
        "kind": kind,
        "claim": f"{one} - {other}",
        "difference": round(float(tests.difference[0]), 4),
        "interval": [round(float(end), 4) for end in tests.interval[0]],
        "p": float(tests.p[0]),
        "by_language": {
            code: {"difference": round(float(test.difference[0]), 4), "p": round(float(test.p[0]), 4)}
            for code, test in alone.items()
        },
    }


def tuned(system: System, sets: list[Questions]) -> dict[str, Any]:
    """The held-out sets by epsilon, means over languages of a kind."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for item in sets:
        cells = {name: _mean(values) for name, values in read(system, item, EPSILONS)[0].items()}
        found.setdefault(item.kind, {})[item.language] = cells
        print(system.name, item.kind, item.language, cells, flush=True)
    return found


def _mean(values: PerQuery) -> float:
    return round(float(np.mean(list(values.values()))), 4)


if __name__ == "__main__":
    run(main, TokenScoringConfig)
