"""New pieces for a multilingual encoder, untrained: what do they cost, and which rows and how much support help?

    python benchmarks/new_pieces.py --teacher ../models/e5 --data ../shared/data --languages rw so

The encoder reads the language already, cut to crumbs. It gets more pieces of the language (`extend`), whose rows are
the mean of the crumbs' (`surface`) or come from the bitext by transport (`transport`), all of them or those with some
expected alignments at least. nDCG@10 of held-out pairs (`bitext/*.dev`, rows whose English is in the training file
left out) over the encoder's own vectors of their English; an arm that is in the JSON file is not measured again.

``--english FILE`` counts instead which words of other English texts the new pieces cut otherwise (JSON lines, the
values of ``query`` and ``passage``): a run spares the English of its own pairs only.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import encoded, held_out, scored  # beside this file

from hf_optical.data.bitext import read_bitext
from hf_optical.data.languages import normalize
from hf_optical.encoders.models import load_encoder
from hf_optical.evaluation.significance import randomisation_test
from hf_optical.results.files import versions, write_json
from hf_optical.students import grow_student, initialise_from_bitext
from hf_optical.students.support import supported

OWN = "own pieces"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--languages", nargs="+", default=["rw", "so"], help="as the files are named")
    parser.add_argument("--new_pieces", type=int, default=1000)
    parser.add_argument("--least", type=float, nargs="+", default=[5, 20])
    parser.add_argument("--bfloat16", action="store_true", help="encode under autocast, in half the time")
    parser.add_argument("--english", type=Path, help="English that no pair has, such as en_retrieval/train.jsonl.gz")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/new_pieces.json"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, Any] = json.loads(options.json.read_text("utf-8")) if options.json.exists() else {"cells": {}}
    teacher: Any = load_encoder(options.teacher)
    for language in options.languages:
        if options.english:
            report.setdefault("english", {})[language] = cut_otherwise(language, teacher, options)
            write_json(options.json, report)
            print(language, report["english"][language], flush=True)
            continue
        measure(report, language, teacher, options)
        print(table(report["cells"][language], language))


def measure(report: dict[str, Any], language: str, teacher: Any, options: argparse.Namespace) -> None:
    """Fill the cells of a language."""
    cells = report["cells"].setdefault(language, {})
    rows = read_bitext(options.data / f"bitext/{language}.train.jsonl.gz", language=normalize(language))
    pairs = rows["source"], rows["translation"]
    item = held_out(options.data, language, rows)
    documents = encoded(teacher, list(item.corpus.values()), "document", options)

    def note(arm: str, student: Any) -> None:
        if arm in cells:
            return
        texts = list(item.queries.values())
        queries = dict(zip(texts, encoded(student, texts, "query", options), strict=True))
        lengths = [len(ids) for ids in student.tokenizer(texts)["input_ids"]]
        cells[arm] = {
            "ndcg@10": scored(item, queries, documents),
            "new_pieces": len(student.tokenizer) - len(teacher.tokenizer),
            "tokens": round(float(np.mean(lengths)), 2),
        }
        report["versions"] = versions()
        write_json(options.json, report)
        print(language, arm, round(float(np.mean(list(cells[arm]["ndcg@10"].values()))), 3), flush=True)

    note(OWN, teacher)
    student: Any = grow_student(teacher, rows["translation"], new_pieces=options.new_pieces, english=rows["source"])
    note("surface", student)
    kept = {least: supported(student, teacher, *pairs, least=least) for least in options.least}
    for least, one in {0: student, **kept}.items():
        initialise_from_bitext(one, teacher, *pairs, rows="new")
        note(f"transport, {least:g} alignments", one)


def cut_otherwise(language: str, teacher: Any, options: argparse.Namespace) -> dict[str, int]:
    """Count the words of other English texts that the grown tokenizer cuts in another way than the teacher's."""
    rows = read_bitext(options.data / f"bitext/{language}.train.jsonl.gz", language=normalize(language))
    student: Any = grow_student(teacher, rows["translation"], new_pieces=options.new_pieces, english=rows["source"])
    counts: Counter[str] = Counter()
    with gzip.open(options.english, "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            counts.update(word for key in ("query", "passage") for word in row.get(key, "").split())
    words = sorted(counts)
    pieces = [model.tokenizer(words, add_special_tokens=False)["input_ids"] for model in (teacher, student)]
    otherwise = [word for word, old, new in zip(words, *pieces, strict=True) if old != new]
    return {
        "running_words": counts.total(),
        "running_words_cut_otherwise": sum(counts[word] for word in otherwise),
        "words": len(words),
        "words_cut_otherwise": len(otherwise),
    }


def table(cells: dict[str, Any], language: str) -> str:
    """The cells of a language, each against the encoder's own pieces."""
    own = np.array(list(cells[OWN]["ndcg@10"].values()))
    lines = [
        f"| {language}, n = {len(own)} | new pieces | tokens | nDCG@10 | − own | p |",
        "| --- " + "| ---: " * 5 + "|",
    ]
    for arm, cell in cells.items():
        values = np.array(list(cell["ndcg@10"].values()))
        other = "| |" if arm == OWN else f"| {(values - own).mean():+.3f} | {randomisation_test(values - own):.2g} |"
        lines.append(f"| {arm} | {cell['new_pieces']} | {cell['tokens']} | {values.mean():.3f} {other}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
