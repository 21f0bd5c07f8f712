r"""Queries typed without accents and tone marks, as many people type them: what they cost, and what kept marks bring.

A copy of a retrieval set with such queries, for any model:

    python benchmarks/unmarked.py ../shared/data/eval/afriqa outputs/afriqa_unmarked --languages ig
    hf-optical evaluate --model STUDENT --document_model TEACHER --languages ig --titles \
        --eval ../shared/data/eval/afriqa --output_dir outputs/marked
    # and the same with outputs/afriqa_unmarked and --output_dir outputs/unmarked
    python benchmarks/unmarked.py --test outputs/marked outputs/unmarked

The passages and the judgements are copied as they are. The test is the paired randomisation test over questions.

Students grown from a teacher that strips marks, with ``--keep_marks auto`` and ``true``, untrained and trained:

    python benchmarks/unmarked.py --grown TEACHER --data ../shared/data --languages ig --seeds 0 1 2 \
        --scratch outputs/unmarked_grown --output benchmarks/results/unmarked.json

Each is a run of ``hf-optical train --student extend --max_steps 64`` with its defaults, so that the step kept is the
best on held-out pairs. Runs in the scratch folder that are finished are not run again. Seeds are averaged before
questions are permuted; p is Holm-corrected over the comparisons of a language.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

from hf_optical.data.languages import normalize
from hf_optical.data.retrieval import RetrievalSet, read_retrieval_set
from hf_optical.encoders.models import load_encoder
from hf_optical.evaluation.default_cache import default_cache
from hf_optical.evaluation.paired_statistics import holm, paired_tests
from hf_optical.evaluation.retrieval import evaluate_retrieval
from hf_optical.results.files import RESULTS_FILE, versions, write_json
from hf_optical.results.measures import MAIN_MEASURE as METRIC
from hf_optical.results.records import kept_step
from hf_optical.students.marks import unmarked

ARMS = ("auto", "true")  # values of --keep_marks
STATES = {"untrained": "untrained", "trained": "model"}  # and their folders in that of a run
COMPARISONS = [  # arm and queries, minus arm and queries
    (("true", "marked"), ("auto", "marked")),
    (("true", "unmarked"), ("auto", "unmarked")),
    (("true", "unmarked"), ("true", "marked")),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="the set, and the folder of its copy")
    parser.add_argument("--grown", metavar="TEACHER", help="measure students grown from this teacher")
    parser.add_argument("--data", type=Path, help="with --grown: folder with bitext/ and eval/afriqa")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--scratch", type=Path, default=Path("outputs/unmarked_grown"), help="folder of the runs")
    parser.add_argument("--output", type=Path, help="with --grown: write the figures into this JSON file")
    parser.add_argument("--languages", nargs="+", default=[], help="as the files are named")
    parser.add_argument("--test", nargs=2, type=Path, help="output folders of the two evaluations")
    options = parser.parse_args()
    if options.test:
        print(tested(*options.test))
        return
    if options.grown:
        measure_grown(options)
        return
    if len(options.folders) != 2 or not options.languages:
        parser.error("give the set, the folder of its copy and --languages, or --test with two output folders")
    options.source, options.target = options.folders
    options.target.mkdir(parents=True, exist_ok=True)
    for file in sorted(options.source.iterdir()):
        kind, _, rest = file.name.partition(".")
        language = rest.partition(".")[0]
        if kind != "queries" and language in (*options.languages, "en", "all"):
            shutil.copy(file, options.target / file.name)
        elif kind == "queries" and language in options.languages:
            changed, total = copy_unmarked(file, options.target / file.name)
            print(f"{language}: {changed} of {total} queries lost marks")


def tested(marked: Path, unmarked: Path) -> str:
    """Compare two evaluations of one model, question by question."""
    first, second = (
        next(iter(json.loads((folder / "per_query.json").read_text(encoding="utf-8")).values()))
        for folder in (marked, unmarked)
    )
    pairs = np.array([[second[query][METRIC], first[query][METRIC]] for query in first])
    found = paired_tests((pairs[:, 0] - pairs[:, 1])[:, None])
    low, high = found.interval[0]
    return (
        f"{METRIC} marked {pairs[:, 1].mean():.3f}, unmarked {pairs[:, 0].mean():.3f}: {found.difference[0]:+.3f} "
        f"[{low:+.3f}, {high:+.3f}], p = {found.p[0]:.2g}, n {len(pairs)}"
    )


def measure_grown(options: argparse.Namespace) -> None:
    """Train what is missing, score every student on both kinds of queries, test, print, write after each seed."""
    teacher: Any = load_encoder(options.grown, device="cpu")
    found: dict[str, Any] = {}
    for seed in options.seeds:
        for language in options.languages:
            item = read_retrieval_set(options.data / "eval" / "afriqa", normalize(language), use_titles=True)
            cell = found.setdefault(language, {"english": {}, "kept step": {}, "scores": {}})
            for arm in ARMS:
                run = trained(options, language, arm, seed)
                results = json.loads((run / RESULTS_FILE).read_text(encoding="utf-8"))
                cell["kept step"].setdefault(arm, {})[seed] = kept_step(results)
                for state, folder in STATES.items():
                    student: Any = load_encoder(str(run / folder), device="cpu")
                    if arm not in cell["english"]:
                        cell["english"][arm] = cut_alike(student, teacher, item.corpus.values())
                    for name, scores in scored(student, item, teacher).items():
                        cell["scores"].setdefault(f"{state}, {arm}, {name}", {})[seed] = scores
        figures = {language: summary(cell) for language, cell in found.items()}
        print(json.dumps(figures, indent=1), flush=True)
        if options.output:
            settings = {"metric": METRIC, "steps": options.steps, "set": "afriqa, titles read"}
            command = "python benchmarks/unmarked.py --grown TEACHER"
            write_json(options.output, {"command": command, **settings, "versions": versions(), "languages": figures})


def trained(options: argparse.Namespace, language: str, arm: str, seed: int) -> Path:
    """Train a student with the command's defaults, unless its run is finished; return the folder of the run."""
    folder = options.scratch / f"{language}-{arm}-{options.steps}-{seed}"
    if not (folder / RESULTS_FILE).is_file():
        flags = {
            "teacher": options.grown,
            "student": "extend",
            "keep_marks": arm,
            "language": language,
            "bitext": str(options.data / "bitext" / f"{language}.train.jsonl.gz"),
            "max_steps": str(options.steps),
            "seed": str(seed),
            "shared": str(options.scratch / "shared"),  # the teacher's vectors of the English, once for both arms
            "output_dir": str(folder),
        }
        words = [word for name, value in flags.items() for word in (f"--{name}", value)]
        subprocess.run([sys.executable, "-m", "hf_optical.train", *words], check=True)
    return folder


def scored(student: Any, item: RetrievalSet, teacher: Any) -> dict[str, dict[str, float]]:
    """Score a student on the queries as they are and without marks, over the teacher's documents."""
    kinds = {"marked": item.queries, "unmarked": {name: unmarked(text) for name, text in item.queries.items()}}
    found = {}
    for kind, queries in kinds.items():
        result = evaluate_retrieval(student, item, teacher, queries=queries, document_cache=default_cache())
        found[kind] = {query: values[METRIC] for query, values in sorted(result.per_query.items())}
    return found


def cut_alike(student: Any, teacher: Any, english: Any) -> dict[str, float]:
    """Return the number of different English words, and the share that a student cuts as its teacher does."""
    words = sorted({word for text in english for word in text.split()})
    ours, theirs = (model.tokenizer(words, add_special_tokens=False)["input_ids"] for model in (student, teacher))
    alike = np.array([one == other for one, other in zip(ours, theirs, strict=True)])
    accents = np.array([unmarked(word) != unicodedata.normalize("NFC", word) for word in words])
    unknown = [student.tokenizer.unk_token_id in row for row in ours]
    return {
        "words": int((~accents).sum()),
        "alike": round(float(alike[~accents].mean()), 4),
        "words with accents": int(accents.sum()),
        "alike with accents": round(float(alike[accents].mean()), 4) if accents.any() else 1.0,
        "with an unknown piece": int(np.sum(unknown)),
        "with an unknown piece, teacher": sum(teacher.tokenizer.unk_token_id in row for row in theirs),
    }


def summary(cell: dict[str, Any]) -> dict[str, Any]:
    """Return means by seed, and the comparisons over questions with seeds averaged first."""
    scores = {
        name: np.array([list(values.values()) for values in by_seed.values()])
        for name, by_seed in cell["scores"].items()
    }
    tests = {}
    for state in STATES:
        for one, other in COMPARISONS:
            first, second = (scores[", ".join((state, *which))].mean(axis=0) for which in (one, other))
            test = paired_tests((first - second)[:, None])
            tests[f"{state}: {' '.join(one)} - {' '.join(other)}"] = {
                "difference": round(float(test.difference[0]), 4),
                "interval": [round(float(end), 4) for end in test.interval[0]],
                "p": round(float(test.p[0]), 5),
                "questions": len(first),
                "questions that differ": int((first != second).sum()),
            }
    for test, p in zip(tests.values(), holm([test["p"] for test in tests.values()]), strict=True):
        test["p_holm"] = round(p, 5)
    means = {
        name: {"mean": round(float(values.mean()), 4), "by seed": [round(float(row.mean()), 4) for row in values]}
        for name, values in scores.items()
    }
    return {"scores": means, "tests": tests, "kept step": cell["kept step"], "english words": cell["english"]}


def copy_unmarked(source: Path, target: Path) -> tuple[int, int]:
    """Copy queries without marks, and count those that had some."""
    opened = gzip.open if source.suffix == ".gz" else open
    with opened(source, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    changed = 0
    for row in rows:
        plain = unmarked(row["text"])
        changed += plain != unicodedata.normalize("NFC", row["text"])
        row["text"] = plain
    with opened(target, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return changed, len(rows)


if __name__ == "__main__":
    main()
