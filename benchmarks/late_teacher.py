"""Students of a late-interaction English teacher, whose tokens were trained to be matched: ot, greedy, nce compared.

    python benchmarks/late_teacher.py --teacher T --data FOLDER --cache SCRATCH --languages so --output FILE

The teacher: T's body under a head of 128 numbers a token, trained on English questions and passages (``en_retrieval``)
by in-batch contrast of MaxSim in sentence-transformers' own trainer. Its students are grown from it for each language,
their rows aligned in the bitext, and distilled by each objective from the same start on the same batches. Printed: what
the training is worth to the teacher in English (questions held out of its training), and the students on ntrex_passage
by MaxSim, all documents. Claims, named here: ``ot`` against ``greedy`` and ``nce``, ``ot+nce`` against ``nce``; paired
randomisation over queries, Holm.
"""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from sentence_transformers import MultiVectorEncoder, MultiVectorEncoderTrainer, MultiVectorEncoderTrainingArguments
from sentence_transformers.multi_vector_encoder.losses import MultiVectorMultipleNegativesRankingLoss
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from hf_optical import MultiVectorOTDistillationTrainer, OTDistillationTrainingArguments
from hf_optical.configuration.parsing import run
from hf_optical.data.bitext import read_bitext
from hf_optical.data.retrieval import RetrievalSet, read_retrieval_set
from hf_optical.encoders.models import load_encoder, save_whole, set_dropout
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.paired_statistics import holm, paired_tests
from hf_optical.evaluation.retrieval import evaluate_retrieval
from hf_optical.results.files import versions, write_json
from hf_optical.students import starting_student

METRIC, HELD_OUT, WIDTH = "ndcg@10", 300, 128
CLAIMS = [("ot", "greedy"), ("ot", "nce"), ("ot+nce", "nce")]


@dataclass
class LateTeacher:
    """Options."""

    teacher: str = field(metadata={"help": "A dense English encoder: the body.", "path": True})
    data: str = field(metadata={"help": "Folder with en_retrieval/, bitext/ and eval/.", "path": True})
    cache: str = field(metadata={"help": "Scratch folder: models.", "path": True})
    languages: list[str] = field(default_factory=lambda: ["so"])
    arms: list[str] = field(default_factory=lambda: ["ot", "greedy", "nce", "ot+nce"])
    teacher_steps: int = field(default=200)
    teacher_batch: int = field(default=32)
    max_tokens: int = field(default=128, metadata={"help": "Of an English passage in the teacher's training."})
    steps: int = field(default=64)
    batch_size: int = field(default=32)
    seed: int = field(default=0)
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})


def main(config: LateTeacher) -> None:
    """Train the teacher, its students; read, test, print, write."""
    torch.set_num_threads(1)
    cache, data = Path(config.cache), Path(config.data)
    english = _english(data)
    found: dict[str, Any] = {"english": {}, "students": {}, "claims": []}
    for name, model in (("untrained head", untrained_head(config.teacher)), ("teacher", _teacher(config, english))):
        scores = evaluate_retrieval(model, _held_out(english), similarity="dot")
        found["english"][name] = _rounded(scores.metrics[METRIC])
    dense: Any = load_encoder(config.teacher, device="cpu")
    for interaction in ("dense", "maxsim"):
        scores = evaluate_retrieval(dense, _held_out(english), interaction=interaction)  # type: ignore[arg-type]
        found["english"][f"body, {interaction}"] = _rounded(scores.metrics[METRIC])
    print(found["english"], flush=True)
    teacher, vectors = _teacher(config, english), DocumentCache(cache / "late_vectors")
    for language in config.languages:
        item = read_retrieval_set(data / "eval" / "ntrex_passage", language)
        per_query = {}
        for arm in ["untrained", *config.arms]:
            student = _student(config, teacher, language, arm)
            scores = evaluate_retrieval(student, item, teacher, document_cache=vectors)
            per_query[arm] = np.array([measures[METRIC] for measures in scores.per_query.values()])
            found["students"].setdefault(language, {})[arm] = _rounded(scores.metrics[METRIC])
            print(language, arm, _rounded(scores.metrics[METRIC]), flush=True)
        found["claims"] += _claims(language, per_query)
    print(*found["claims"], sep="\n")
    if config.output:
        named = ("languages", "arms", "teacher_steps", "teacher_batch", "max_tokens", "steps", "batch_size", "seed")
        settings = {name: getattr(config, name) for name in named}
        content = {"command": "benchmarks/late_teacher.py", "settings": settings, "versions": versions()}
        write_json(Path(config.output), {**content, **found})


def untrained_head(body: str, seed: int = 0) -> MultiVectorEncoder:
    """The dense encoder's Transformer under a random projection of its token vectors, normalised."""
    dense: Any = load_encoder(body, device="cpu")
    transformer = dense[0]
    torch.manual_seed(seed)
    head = Dense(
        transformer.get_embedding_dimension(),
        WIDTH,
        bias=False,
        activation_function=torch.nn.Identity(),
        module_input_name="token_embeddings",
    )
    unit = Normalize(module_input_name="token_embeddings")
    return MultiVectorEncoder(modules=[transformer, head, unit, MultiVectorMask()], device="cpu")


def _teacher(config: LateTeacher, english: list[dict[str, str]]) -> MultiVectorEncoder:
    folder = Path(config.cache) / f"late_teacher_{config.teacher_steps}"
    if not folder.is_dir():
        model = untrained_head(config.teacher, config.seed)
        length = model.max_seq_length
        model.max_seq_length = config.max_tokens
        args = MultiVectorEncoderTrainingArguments(
            f"{folder}.run",
            max_steps=config.teacher_steps,
            per_device_train_batch_size=config.teacher_batch,
            learning_rate=1e-4,
            warmup_steps=0.1,
            seed=config.seed,
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        )
        rows = Dataset.from_list(english[HELD_OUT:])
        loss = MultiVectorMultipleNegativesRankingLoss(model)
        MultiVectorEncoderTrainer(model=model, args=args, train_dataset=rows, loss=loss).train()
        model.max_seq_length = length
        save_whole(model, folder)
        shutil.rmtree(f"{folder}.run", ignore_errors=True)
    found: Any = load_encoder(str(folder), device="cpu")
    return found.eval()


def _student(config: LateTeacher, teacher: Any, language: str, arm: str) -> Any:
    folder = Path(config.cache) / "late_students" / f"{config.teacher_steps}_{config.steps}" / language
    rows = read_bitext(Path(config.data) / "bitext" / f"{language}.train.jsonl.gz", language=language)
    if not (folder / "untrained").is_dir():
        save_whole(starting_student("extend", teacher, rows), folder / "untrained")
    if not (folder / arm).is_dir():
        student: Any = load_encoder(str(folder / "untrained"), device="cpu")
        set_dropout(student, 0.0)
        args = OTDistillationTrainingArguments(
            str(folder / f"{arm}.run"),
            max_steps=config.steps,
            per_device_train_batch_size=config.batch_size,
            learning_rate=1e-4,
            objective=arm,
            seed=config.seed,
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        )
        MultiVectorOTDistillationTrainer(model=student, teacher=teacher, args=args, train_dataset=rows).train()
        save_whole(student, folder / arm)
        shutil.rmtree(folder / f"{arm}.run", ignore_errors=True)
    return load_encoder(str(folder / arm), device="cpu").eval()


def _english(data: Path) -> list[dict[str, str]]:
    """Questions and passages in an order of their own; the first are held out, with every row of their passages."""
    with gzip.open(data / "en_retrieval" / "train.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [{"query": row["query"], "passage": row["passage"]} for row in map(json.loads, stream)]
    order = np.random.default_rng(0).permutation(len(rows))
    rows = [rows[place] for place in order]
    held = {row["passage"] for row in rows[:HELD_OUT]}
    return rows[:HELD_OUT] + [row for row in rows[HELD_OUT:] if row["passage"] not in held]


def _held_out(english: list[dict[str, str]]) -> RetrievalSet:
    texts = list(dict.fromkeys(row["passage"] for row in english[:HELD_OUT]))
    number = {text: f"d{place}" for place, text in enumerate(texts)}
    queries = {f"q{place}": row["query"] for place, row in enumerate(english[:HELD_OUT])}
    qrels = {f"q{place}": {number[row["passage"]]: 1} for place, row in enumerate(english[:HELD_OUT])}
    corpus = {name: text for text, name in number.items()}
    return RetrievalSet("held_out", "eng_Latn", "eng_Latn", queries, corpus, qrels, None)


def _claims(language: str, per_query: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    pairs = [pair for pair in CLAIMS if set(pair) <= set(per_query)]
    if not pairs:
        return []
    tests = paired_tests(np.stack([per_query[one] - per_query[other] for one, other in pairs], axis=1))
    return [
        {
            "language": language,
            "claim": f"{one} - {other}",
            "difference": _rounded(tests.difference[place]),
            "interval": [_rounded(end) for end in tests.interval[place]],
            "p_holm": round(p, 4),
        }
        for place, ((one, other), p) in enumerate(zip(pairs, holm(tests.p.tolist()), strict=True))
    ]


def _rounded(value: float) -> float:
    return round(float(value), 4)


if __name__ == "__main__":
    run(main, LateTeacher)
