"""Does it help to take off what all queries of a student have in common, and do held-out pairs say so beforehand?

    python benchmarks/rows.py --teacher TEACHER --data ../shared/data --vectors FOLDER
    python benchmarks/offset.py --teacher TEACHER --data ../shared/data --vectors FOLDER

The untrained students of the first command (rows by transport). The offset is estimated on 300 training pairs; which
kind is taken, if any, is chosen by nDCG@10 on up to 300 held-out pairs; all kinds are then measured on the sets.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import (  # beside this file
    LANGUAGES,
    SETS,
    by_question,
    differences,
    encoded,
    held_out,
    jointly,
    judged,
    mean,
    sampled,
    scored,
)

from hf_optical.data.bitext import read_bitext
from hf_optical.data.languages import normalize
from hf_optical.encoders.models import load_encoder
from hf_optical.evaluation.retrieval import queries_to_score
from hf_optical.evaluation.significance import holm, randomisation_test
from hf_optical.results.files import versions, write_json
from hf_optical.students.offset import OFFSETS, offset_of, shifted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--languages", nargs="+", default=list(LANGUAGES))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--queries", type=int, default=400, help="of ntrex_bitext, 0: all 1,003 (default: %(default)s)")
    parser.add_argument("--bfloat16", action="store_true", help="encode under autocast, in half the time")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/offset.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(options)
    write_json(options.json, {"languages": found, "bfloat16": options.bfloat16, "versions": versions()})
    print(tables(found))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """By language: length of the means, the kind chosen, and the measure of every query by set and kind."""
    teacher: Any = load_encoder(options.teacher)
    documents: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for language in options.languages:
        with np.load(options.vectors / f"{language}-transport.npz") as kept:
            known = dict(zip(kept["texts"].tolist(), kept["vectors"], strict=True))
        rows = read_bitext(options.data / f"bitext/{language}.train.jsonl.gz", language=normalize(language))
        pairs, own = sampled(rows), held_out(options.data, language, rows)
        queries = np.stack([known[text] for text in pairs["translation"]])
        english = encoded(teacher, pairs["source"][:], "query", options)
        sets = [own, *judged(options, language)]
        cell: dict[str, Any] = {"mean query": float(np.linalg.norm(queries.mean(axis=0))), "ndcg@10": {}}
        for item in sets:
            if item.name not in documents:
                documents[item.name] = encoded(teacher, list(item.corpus.values()), "document", options)
            texts = sorted(set(queries_to_score(item).values()))
            vectors = np.stack([known[text] for text in texts])
            for kind in OFFSETS:
                moved = shifted(vectors, offset_of(kind, queries, english)).astype(np.float32)
                values = scored(item, dict(zip(texts, moved, strict=True)), documents[item.name])
                cell["ndcg@10"].setdefault(item.name, {})[kind] = {"ndcg@10": values}
        by_kind = cell["ndcg@10"][own.name]
        cell["chosen"] = max(OFFSETS, key=lambda kind: mean(by_kind[kind]))
        cell["ndcg@10"]["held-out pairs"] = cell["ndcg@10"].pop(own.name)
        found[language] = cell
        print(language, cell["chosen"], {kind: round(mean(by_kind[kind]), 3) for kind in OFFSETS}, flush=True)
    return found


def tables(found: dict[str, Any]) -> str:
    """Every set by kind and language, that which was chosen, and the tests of each against none."""
    out = []
    for name in dict.fromkeys(name for cell in found.values() for name in cell["ndcg@10"]):
        cells = {language: cell["ndcg@10"][name] for language, cell in found.items() if name in cell["ndcg@10"]}
        for language, kinds in cells.items():
            kinds["chosen"] = kinds[found[language]["chosen"]]
        counts = [f"{language} ({len(kinds['none']['ndcg@10'])})" for language, kinds in cells.items()]
        lines = [f"| {name} | {' | '.join(counts)} | mean |", "| --- |" + " ---: |" * (len(cells) + 1)]
        for kind in (*OFFSETS, "chosen"):
            values = [mean(kinds[kind]) for kinds in cells.values()]
            lines.append(f"| {kind} | " + " | ".join(f"{value:.3f}" for value in [*values, np.mean(values)]) + " |")
        for kind in ("query", "residual", "chosen"):
            parts = [differences(kinds, kind, "none") for kinds in cells.values()]
            corrected = holm([randomisation_test(part) for part in parts])
            shown = [f"{part.mean():+.3f} (p = {p:.2g})" for part, p in zip(parts, corrected, strict=True)]
            difference, p = jointly(parts if name == "held-out pairs" else by_question(cells, parts))
            lines.append(f"| {kind} − none | {' | '.join(shown)} | {difference:+.3f} (p = {p:.2g}) |")
        out.append("\n".join(lines))
    chosen = ", ".join(f"{language} {cell['chosen']}" for language, cell in found.items())
    lengths = ", ".join(f"{language} {cell['mean query']:.2f}" for language, cell in found.items())
    return "\n\n".join([*out, f"Chosen on held-out pairs: {chosen}.", f"Length of the mean query: {lengths}."])


if __name__ == "__main__":
    main()
