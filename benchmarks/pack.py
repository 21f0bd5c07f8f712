"""Pack what a comparison reads into a small folder, to carry to a machine without a registry; and unpack it there.

``python benchmarks/pack.py --folder PACKED --model MODEL --language mr --bitext FILE --eval FOLDER`` writes the model
with 8-bit matrices (only the pieces that the texts need, where it reads many languages), the data as they are, and the
configuration of the comparison, its most valuable arms first. ``--folder PACKED --into FOLDER`` writes the model out
again. The packed folder may have 60 MiB; ``benchmarks/gpu_all.sh`` reads it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import load_file, save_file

from hf_optical.configuration.parsing import option, run
from hf_optical.data.bitext import read_bitext
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.encoders.models import load_encoder
from hf_optical.publishing.trim import trim

MOST = 60 * 2**20
BLOCK = 32
"""Numbers that share one scale."""
MANY_PIECES = 60_000
"""Vocabularies beyond it are those of many languages, of which a comparison reads two."""
OBJECTIVES = ("ot+rank", "nce", "rank", "ot+nce", "mse", "ot")
"""From the most to the least valuable: what time does not allow is left out from the end."""


@dataclass
class Pack:
    """Options."""

    folder: str = option("packed", "The packed folder.", path=True)
    model: str | None = option(None, "sentence-transformers folder: teacher and student of the comparison.", path=True)
    language: str = option("mr", "Language of the queries.")
    bitext: str | None = option(None, "Its sentence pairs.", path=True)
    eval: list[str] = field(default_factory=list, metadata={"help": "Folders of retrieval sets.", "path": True})
    max_pairs: int = option(8_000, "Pairs that are trained on.")
    steps: int = option(300, "Steps of a run.")
    batch_size: int = option(64, "Pairs of a step.")
    seeds: int = option(3, "Seeds.")
    into: str | None = option(None, "Unpack into this folder.", path=True)


def main(config: Pack) -> None:
    """Pack, or unpack."""
    folder = Path(config.folder)
    if config.into:
        for file in sorted(folder.glob("*.npz")):
            unpack_model(file, Path(config.into) / file.stem)
        shutil.copytree(folder, config.into, ignore=shutil.ignore_patterns("*.npz"), dirs_exist_ok=True)
        return
    if not config.model or not config.bitext or not config.eval:
        raise SystemExit("give --model, --bitext and --eval, or --into to unpack")
    folder.mkdir(parents=True)
    bitext = folder / Path(config.bitext).name
    shutil.copy(config.bitext, bitext)
    for item in config.eval:
        copy_set(Path(item), folder / "eval" / Path(item).name, config.language)
    with tempfile.TemporaryDirectory() as scratch:
        model = load_encoder(config.model)
        if len(model.tokenizer) > MANY_PIECES:
            trimmed = trim(model, texts_of(bitext, folder / "eval", config.language))
            trimmed.model.save_pretrained(scratch)
        else:
            model.save_pretrained(scratch)
        pack_model(Path(scratch), folder / "model.npz")
    (folder / "compare.yaml").write_text(yaml.safe_dump(comparison(config, bitext.name), sort_keys=False))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"{folder}: {size / 2**20:.1f} MiB")
    if size > MOST:
        raise SystemExit(f"that is more than {MOST // 2**20} MiB: leave a retrieval set out, or take a smaller model")


def comparison(config: Pack, bitext: str) -> dict[str, object]:
    """The comparison on the road of an index that stays: the model is distilled into itself, from its own English."""
    return {
        "common": {
            "teacher": "model",
            "student": "model",
            "max_pairs": config.max_pairs,
            "max_steps": config.steps,
            "batch_size": config.batch_size,
            "max_length": 64,
            "temperature": 0.02,
            "monitor": "off",
            "check_data": False,
            "held_out": 0.0,
        },
        "languages": {config.language: {"bitext": bitext, "eval": [f"eval/{Path(item).name}" for item in config.eval]}},
        "arms": {objective: {"objective": objective} for objective in OBJECTIVES},
        "seeds": list(range(config.seeds)),
        "plans": 0,
    }


def copy_set(source: Path, target: Path, language: str) -> None:
    """Of a retrieval set what one language needs: its queries, the English ones, the English documents."""
    target.mkdir(parents=True)
    for file in source.iterdir():
        if file.name.split(".")[1] in {language, "en", "all", "jsonl", "trec", "tsv"}:
            shutil.copy(file, target / file.name)


def texts_of(bitext: Path, sets: Path, language: str) -> Iterable[str]:
    """All texts that the comparison reads."""
    for row in read_bitext(bitext, language=language):
        yield from (row["source"], row["translation"])
    for folder in sets.iterdir():
        found = read_retrieval_set(folder, language)
        for texts in (found.corpus, found.queries, found.english_queries or {}):
            yield from texts.values()


def pack_model(folder: Path, file: Path) -> None:
    """Write a folder into one file, its large matrices with 8 bits a number and a scale to each 32 of them."""
    arrays: dict[str, np.ndarray] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix != ".safetensors":
            arrays[f"file|{name}"] = np.frombuffer(path.read_bytes(), np.uint8)
            continue
        for key, value in load_file(path).items():
            if value.ndim == 2 and value.shape[1] % BLOCK == 0 and value.size > 4096:
                blocks = value.astype(np.float32).reshape(-1, BLOCK)
                scale = np.maximum(np.abs(blocks).max(1, keepdims=True) / 127, 1e-12)
                arrays[f"int8|{name}|{key}"] = np.rint(blocks / scale).astype(np.int8).reshape(value.shape)
                arrays[f"scale|{name}|{key}"] = scale.astype(np.float16)
            else:
                arrays[f"as it is|{name}|{key}"] = value
    np.savez_compressed(file, **arrays)


def unpack_model(file: Path, folder: Path) -> None:
    """Write out what `pack_model` packed; an encoder of its own, for the index as for the queries."""
    weights: dict[str, dict[str, np.ndarray]] = {}
    with np.load(file) as arrays:
        for entry in arrays.files:
            kind, name, *key = entry.split("|")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if kind == "file":
                target.write_bytes(arrays[entry].tobytes())
            elif kind == "as it is":
                weights.setdefault(name, {})[key[0]] = arrays[entry]
            elif kind == "int8":
                scale = arrays[f"scale|{name}|{key[0]}"].astype(np.float32)
                values = arrays[entry].reshape(-1, BLOCK).astype(np.float32) * scale
                weights.setdefault(name, {})[key[0]] = values.reshape(arrays[entry].shape)
    for name, tensors in weights.items():
        save_file(tensors, folder / name, metadata={"format": "pt"})


if __name__ == "__main__":
    run(main, Pack)
