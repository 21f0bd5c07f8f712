"""A tiny training run: teacher, bitext and retrieval set on disk, and the flags of ``recipes/train.py`` on them."""

from __future__ import annotations

from pathlib import Path

import tiny_models
from tiny_sets import write_retrieval_set


def write_run(folder: Path, **flags: str) -> dict[str, str]:
    """Write all that a run reads; its flags, with these changed or added."""
    tiny_models.dense(folder, tiny_models.ENGLISH).save_pretrained(str(folder / "teacher"))
    rows = tiny_models.bitext(40)
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
