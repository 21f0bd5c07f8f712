"""The ceiling on ntrex_passage: the teacher reads the English sentences that the queries are translations of.

``python benchmarks/ntrex_ceiling.py --teacher TEACHER --eval ../shared/data/eval``. The set itself has no English
queries; its query ``nts<k>`` is the translation of sentence ``nt<k>`` of ntrex_bitext. (On ntrex_bitext the English
query is the document itself, and the ceiling is 1.)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.encoders.models import load_encoder
from hf_optical.evaluation.retrieval import evaluate_retrieval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--eval", type=Path, required=True)
    options = parser.parse_args()
    teacher = load_encoder(options.teacher)
    passages = read_retrieval_set(options.eval / "ntrex_passage", "swh_Latn")
    sentences = read_retrieval_set(options.eval / "ntrex_bitext", "swh_Latn").corpus
    english = {query: sentences[query.replace("nts", "nt")] for query in passages.queries}
    scores = evaluate_retrieval(teacher, passages, teacher, queries=english)
    measures = ", ".join(f"{name} {value:.3f}" for name, value in scores.metrics.items())
    print(f"ntrex_passage, English queries, n = {scores.n}: {measures}")


if __name__ == "__main__":
    main()
