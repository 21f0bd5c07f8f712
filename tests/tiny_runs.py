"""Tiny training runs: arguments of the trainers; files on disk and the flags of ``recipes/train.py`` on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tiny_models
from tiny_sets import write_retrieval_set, write_rows

from hf_optical import OTDistillationTrainingArguments


def arguments(folder: Path, **options: Any) -> OTDistillationTrainingArguments:
    """Six steps of four pairs on the CPU, quiet, without checkpoints; with these options changed or added."""
    defaults = {
        "per_device_train_batch_size": 4,
        "max_steps": 6,
        "learning_rate": 1e-2,
        "report_to": "none",
        "save_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
        "objective": "ot+nce",
        "temperature": 0.05,
        "gather_across_devices": False,
        "logging_steps": 1,
    }
    return OTDistillationTrainingArguments(output_dir=str(folder), **{**defaults, **options})


def write_run(folder: Path, pairs: int = 40, **flags: str) -> dict[str, str]:
    """Write all that a run reads; its flags, with these changed or added. Of 100 pairs and more some are held out."""
    tiny_models.dense(folder, tiny_models.ENGLISH).save_pretrained(str(folder / "teacher"))
    rows = tiny_models.bitext(pairs)
    with (folder / "pairs.tsv").open("w", encoding="utf-8") as file:
        file.write("en\tsw\n" + "".join(f"{row['source']}\t{row['translation']}\n" for row in rows))
    texts = list(dict.fromkeys(rows["source"]))[:30]
    pairs = dict(zip(rows["source"], rows["translation"], strict=True))
    queries = {"sw": [pairs[text] for text in texts], "en": texts}
    write_retrieval_set(folder / "eval", {"en": texts}, queries)
    return {
        "teacher": str(folder / "teacher"),
        "student": "copy",
        "language": "sw",
        "bitext": str(folder / "pairs.tsv"),
        "eval": str(folder / "eval"),
        "output_dir": str(folder / "out"),
        "max_steps": "3",
        "batch_size": "4",
        "save_steps": "2",
        **flags,
    }


def write_hybrid_run(folder: Path, *, late: bool = False, **flags: str | list[str]) -> dict[str, str | list[str]]:
    """Write what a run on three languages reads; the flags of one on Swahili alone, with these changed or added.

    A teacher that reads both word lists, documents of eight sentences in Swahili (``sw.jsonl``) and Somali
    (``so.jsonl``), English questions (``questions.jsonl``), and a retrieval set in which any language asks any.
    """
    words = [*tiny_models.ENGLISH, *tiny_models.SWAHILI]
    teacher = tiny_models.late(folder, words) if late else tiny_models.dense(folder, words)
    teacher.save_pretrained(str(folder / "teacher"))
    for seed, tag in enumerate(("sw", "so")):
        rows = enumerate(tiny_models.bitext(40, seed=seed))
        lines = [
            {"id": f"{tag}{i}", "en": row["source"], "xx": row["translation"], "doc": f"{tag} {i // 8}"}
            for i, row in rows
        ]
        write_rows(folder / f"{tag}.jsonl", lines)
    questions = [
        {"id": f"en{i}", "query": row["source"], "passage": f"{row['source']} {i}"}
        for i, row in enumerate(tiny_models.bitext(20, seed=5))
    ]
    write_rows(folder / "questions.jsonl", questions)
    texts = {"en": tiny_models.ENGLISH[:8], "sw": tiny_models.SWAHILI[:8], "so": tiny_models.SWAHILI[:-9:-1]}
    write_retrieval_set(folder / "eval", texts, texts)
    return {
        "teacher": str(folder / "teacher"),
        "student": "copy",
        "bitext": f"sw={folder / 'sw.jsonl'}",
        "eval": str(folder / "eval"),
        "output_dir": str(folder / "out"),
        "max_steps": "12",
        "batch_size": "4",
        **flags,
    }
