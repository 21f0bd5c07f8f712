"""Which first rows for a grown student: by transport, by its control without transport, or by lexical models alone?

    python benchmarks/rows.py --teacher TEACHER --data ../shared/data
    python benchmarks/rows.py --teacher TEACHER --data ../shared/data --held_out --languages tl rw mr so

Students are grown from the teacher (`extend`, 40,000 pieces) and not trained; only their rows differ. nDCG@10 against
the teacher's own vectors of the English. The second form measures settings on held-out pairs (the files
`bitext/*.dev`, rows whose English is in the training file left out), by which the defaults were chosen. With --vectors
FOLDER the vectors of the queries are kept, with those of some training and held-out sentences, for
`benchmarks/offset.py`. Time and memory: `benchmarks/rows_scale.py`.

Every arm is written to the JSON file when it is done, and an arm that is there is not measured again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_optical.data.bitext import read_bitext
from hf_optical.data.languages import normalize
from hf_optical.data.retrieval import RetrievalSet, read_retrieval_set
from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.models import load_encoder
from hf_optical.encoders.parts import embeddings_of, transformer_of
from hf_optical.evaluation.retrieval import as_run, queries_to_score, scores_of_run, search
from hf_optical.evaluation.significance import bootstrap_interval, holm, randomisation_test
from hf_optical.results.files import versions, write_json
from hf_optical.students import grow_student, initialise_from_bitext
from hf_optical.students.bitext_init import TRANSPORT
from hf_optical.students.sequence_counts import SequenceModel

LANGUAGES = ("so", "tl", "rw", "mr", "sw", "ig", "am")
SETS = {"ntrex_passage": LANGUAGES, "ntrex_bitext": LANGUAGES, "afriqa": ("ig", "rw"), "xorqa_in": ("mr",)}
QUESTIONS = ("afriqa", "xorqa_in")
ARMS: dict[str, SequenceModel | None] = {
    "bitext": None,
    "agreement": SequenceModel(slope=2.0, dustbin=0.01, expectation="agreement", least=0.001),
    "transport": TRANSPORT,
}
HELD_OUT: dict[str, SequenceModel | None] = {"bitext": None} | {
    f"transport, slope {slope}, dustbin {dustbin}": SequenceModel(slope=slope, dustbin=dustbin)
    for slope, dustbin in ((2.0, 0.001), (2.0, 0.003), (4.0, 0.001), (4.0, 0.003), (4.0, 0.01), (8.0, 0.003))
}
HELD_OUT |= {
    f"agreement, slope {slope}, empty {empty}, least {least}": SequenceModel(
        slope=slope, dustbin=empty, expectation="agreement", least=least
    )
    for slope, empty, least in (
        (2.0, 0.01, 0.02),
        (4.0, 0.01, 0.02),
        (8.0, 0.01, 0.02),
        (2.0, 0.01, 0.001),
        (4.0, 0.001, 0.001),
    )
}
CONTROL = "agreement, slope 2.0, empty 0.01, least 0.001"
_DRAWN, _SAMPLED = 300, 300  # held-out and training pairs of a language


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES), help="as the files are named")
    parser.add_argument("--held_out", action="store_true", help="settings on held-out pairs, in place of the sets")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--bfloat16", action="store_true", help="encode under autocast, in half the time")
    parser.add_argument("--queries", type=int, default=400, help="of ntrex_bitext, 0: all 1,003 (default: %(default)s)")
    parser.add_argument("--vectors", type=Path, help="folder to keep the vectors of the queries in")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/rows.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    report = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
    kind = "held_out" if options.held_out else "sets"
    measure(report.setdefault(kind, {}), options, report)
    report |= {"versions": versions(), "bfloat16": options.bfloat16}
    write_json(options.json, report)
    print(held_out_table(report[kind]) if options.held_out else tables(report[kind]))


def measure(found: dict[str, Any], options: argparse.Namespace, report: dict[str, Any]) -> None:
    """Fill ``found[set][language][arm]`` with the measure of every query."""
    teacher: Any = load_encoder(options.teacher)
    arms = HELD_OUT if options.held_out else ARMS
    vectors: dict[str, Any] = {}
    for language in options.languages:
        rows = read_bitext(options.data / f"bitext/{language}.train.jsonl.gz", language=normalize(language))
        sets = [held_out(options.data, language, rows)] if options.held_out else list(judged(options, language))
        missing = {arm for arm in arms for item in sets if arm not in found.get(item.name, {}).get(language, {})}
        if not missing:
            continue
        student: Any = grow_student(teacher, rows["translation"], vocab_size=40_000)
        table = embeddings_of(transformer_of(student).model).weight
        as_grown = table.detach().clone()
        for arm in [arm for arm in arms if arm in missing]:
            with torch.no_grad():
                table.copy_(as_grown)
            started = time.process_time()
            said = initialise_from_bitext(
                student,
                teacher,
                rows["source"],
                rows["translation"],
                alignment=arms[arm],
                max_pairs=report_pairs(options),
            )
            seconds = time.process_time() - started
            texts = {text for item in sets for text in queries_to_score(item).values()}
            if options.vectors and arm == "transport":
                texts |= {*sampled(rows)["translation"], *held_out(options.data, language, rows).queries.values()}
            queries = dict(zip(sorted(texts), encoded(student, sorted(texts), "query", options), strict=True))
            for item in sets:
                if item.name not in vectors:
                    vectors[item.name] = encoded(teacher, list(item.corpus.values()), "document", options)
                values = scored(item, queries, vectors[item.name])
                cell = {"pairs": said.pairs, "rows": said.rows, "seconds": round(seconds, 2), "ndcg@10": values}
                found.setdefault(item.name, {}).setdefault(language, {})[arm] = cell
                print(f"{item.name} {language} {arm}: {mean(cell):.3f}, {said}", flush=True)
            if options.vectors and arm == "transport":
                np.savez(
                    options.vectors / f"{language}-{arm}.npz",
                    texts=np.array(list(queries)),
                    vectors=list(queries.values()),
                )
            write_json(options.json, report)
        if options.held_out:
            vectors.clear()


def encoded(model: Any, texts: list[str], role: Any, options: argparse.Namespace) -> Any:
    """Unit vectors of texts, float32."""
    with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
        vectors = np.asarray(encode_texts(model, texts, role), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def scored(item: RetrievalSet, queries: dict[str, np.ndarray], documents: Any) -> dict[str, float]:
    """nDCG@10 of every judged query of a set; the vectors of queries by their texts."""
    judged = queries_to_score(item)
    found = search(np.stack([queries[text] for text in judged.values()]), documents, 100)
    run = as_run(list(judged), list(item.corpus), *found)
    return {query: round(value["ndcg@10"], 6) for query, value in scores_of_run(item, run).per_query.items()}


def report_pairs(options: argparse.Namespace) -> int:
    """Settings are chosen on fewer pairs, which is quicker."""
    return 20_000 if options.held_out else 200_000


def sampled(rows: Any) -> Any:
    """Training pairs from which `benchmarks/offset.py` estimates an offset."""
    return rows.shuffle(seed=0).select(range(min(_SAMPLED, len(rows))))


def judged(options: argparse.Namespace, language: str) -> Iterator[RetrievalSet]:
    """The retrieval sets that have queries in a language, the largest cut; every query of the passages is kept."""
    wanted: set[str] = set()
    for name, languages in SETS.items():
        if language not in languages or name not in options.sets:
            continue
        item = read_retrieval_set(options.data / "eval" / name, normalize(language))
        if name == "ntrex_passage":
            wanted = set(item.queries.values())
        if name == "ntrex_bitext" and options.queries:
            first = sorted(item.qrels, key=lambda query: item.queries[query] not in wanted)[: options.queries]
            item = replace(item, qrels={query: item.qrels[query] for query in first})
        yield item


def held_out(data: Path, language: str, training: Any) -> RetrievalSet:
    """Pairs that no training file has: each translation is to find its English among the others'."""
    known = set(training["source"])
    with gzip.open(data / f"bitext/{language}.dev.jsonl.gz", "rt", encoding="utf-8") as file:
        pairs = [(row["en"], row["xx"]) for row in map(json.loads, file) if row["en"] not in known]
    drawn = np.sort(np.random.default_rng(0).permutation(len(pairs))[:_DRAWN])
    pairs = [pairs[i] for i in drawn]
    number = {text: str(i) for i, text in enumerate(sorted({english for english, _ in pairs}))}
    return RetrievalSet(
        name=f"held_out_{language}",
        query_language=normalize(language),
        document_language="eng_Latn",
        queries={str(i): foreign for i, (_, foreign) in enumerate(pairs)},
        corpus={place: text for text, place in number.items()},
        qrels={str(i): {number[english]: 1} for i, (english, _) in enumerate(pairs)},
        english_queries=None,
    )


def mean(cell: dict[str, Any]) -> float:
    """The mean over the queries of one arm."""
    return float(np.mean(list(cell["ndcg@10"].values())))


def held_out_table(found: dict[str, Any]) -> str:
    """Means of every setting, best mean over the languages first."""
    cells = {language: arms for by_language in found.values() for language, arms in by_language.items()}
    names = [arm for arm in HELD_OUT if all(arm in arms for arms in cells.values())]
    means = {arm: [mean(arms[arm]) for arms in cells.values()] for arm in names}
    lines = [f"| held-out pairs | {' | '.join(cells)} | mean |", "| --- |" + " ---: |" * (len(cells) + 1)]
    for arm in sorted(names, key=lambda name: -np.mean(means[name])):
        lines.append(f"| {arm} | " + " | ".join(f"{value:.3f}" for value in [*means[arm], np.mean(means[arm])]) + " |")
    for arm, other in (
        ("transport, slope 2.0, dustbin 0.003", "bitext"),
        ("transport, slope 2.0, dustbin 0.003", CONTROL),
    ):
        parts = [differences(arms, arm, other) for arms in cells.values()]
        shown = [f"{part.mean():+.3f} (p = {randomisation_test(part):.2g})" for part in parts]
        difference, p = jointly(parts)
        lines.append(f"| {arm} − {other} | " + " | ".join(shown) + f" | {difference:+.3f} (p = {p:.2g}) |")
    return "\n".join(lines)


def differences(cells: dict[str, Any], arm: str, other: str) -> np.ndarray:
    """Of each query of one language, one arm minus another."""
    left, right = cells[arm]["ndcg@10"], cells[other]["ndcg@10"]
    return np.array([left[query] - right[query] for query in left])


def by_question(cells: dict[str, Any], parts: list[np.ndarray]) -> list[np.ndarray]:
    """One part, the mean over the languages, where all ask the same questions: a question is one observation."""
    asked = [set(next(iter(arms.values()))["ndcg@10"]) for arms in cells.values()]
    if any(other != asked[0] for other in asked):
        return parts
    orders = [list(next(iter(arms.values()))["ndcg@10"]) for arms in cells.values()]
    return [np.mean([part[np.argsort(order)] for part, order in zip(parts, orders, strict=True)], axis=0)]


def jointly(parts: list[np.ndarray], permutations: int = 10_000) -> tuple[float, float]:
    """Mean over languages of the mean difference, and its two-sided p: every query's sign is drawn by itself."""
    weights = np.concatenate([np.full(len(part), 1 / len(part) / len(parts)) for part in parts])
    return float(np.sum(np.concatenate(parts) * weights)), randomisation_test(
        np.concatenate(parts) * weights, permutations=permutations
    )


def tables(found: dict[str, Any]) -> str:
    """Scores of every set and language, and transport against the other two: by language (Holm) and jointly."""
    whole = {name: [of for of, arms in cells.items() if len(arms) == len(ARMS)] for name, cells in found.items()}
    groups = {name: [(name, language) for language in whole[name]] for name in found if name not in QUESTIONS}
    groups["questions"] = [(name, language) for name in QUESTIONS for language in whole.get(name, [])]
    out = []
    for name, members in groups.items():
        if not members:
            continue
        cells = {language: found[of][language] for of, language in members}
        counts = [f"{language} ({len(arms['transport']['ndcg@10'])})" for language, arms in cells.items()]
        lines = [f"| {name} | {' | '.join(counts)} | mean |", "| --- |" + " ---: |" * (len(cells) + 1)]
        for arm in ARMS:
            values = [mean(arms[arm]) for arms in cells.values()]
            lines.append(f"| {arm} | " + " | ".join(f"{value:.3f}" for value in [*values, np.mean(values)]) + " |")
        for arm, other in (("transport", "bitext"), ("transport", "agreement"), ("agreement", "bitext")):
            parts = [differences(arms, arm, other) for arms in cells.values()]
            by_language = holm([randomisation_test(part) for part in parts])
            shown = [f"{part.mean():+.3f} (p = {value:.2g})" for part, value in zip(parts, by_language, strict=True)]
            observations = by_question(cells, parts)
            difference, p = jointly(observations)
            low, high = joint_interval(observations)
            together = f"{difference:+.3f} [{low:+.3f}, {high:+.3f}] (p = {p:.2g})"
            lines.append(f"| {arm} − {other} | " + " | ".join([*shown, together]) + " |")
        out.append("\n".join(lines))
    return "\n\n".join(out)


def joint_interval(parts: list[np.ndarray]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean over languages; queries are drawn again within each."""
    if len(parts) == 1:
        return bootstrap_interval(parts[0])
    generator = np.random.default_rng(0)
    drawn = [part[generator.integers(0, len(part), (2000, len(part)))].mean(axis=1) for part in parts]
    low, high = np.percentile(np.mean(drawn, axis=0), [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
