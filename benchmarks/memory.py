"""Peak memory of training a model of XLM-R base's shape: the stock recipe, ours with fewer trained rows, with LoRA.

    python benchmarks/memory.py --output benchmarks/results/memory.json

Weights are random (250,002 rows, 12 layers of width 768), batches hold 32 texts of 64 tokens, dropout is 0, and the
optimizer is the one that the host trainer chooses (fused AdamW). Every variant trains in a process of its own; its peak
is the largest resident memory less that after the imports. No teacher is in memory anywhere: the stock recipe has its
labels, ours reads a teacher cache. ``stock`` reads the translations only, ``stock literal`` English and translation, as
the example of sentence-transformers does.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from throughput_stock import literal_trainer
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

from hf_optical import LanguageAdapters, OTDistillationTrainer, OTDistillationTrainingArguments
from hf_optical.configuration.parsing import run
from hf_optical.encoders.models import load_encoder
from hf_optical.results.files import peak_memory_mb, portable, versions, write_json
from hf_optical.teacher_cache import CachedTeacher

STOCK = ("stock", "stock literal")
OURS = {"all": "all", "used": "used", "frozen": "none", "lora": "all"}  # what each says of the embedding rows
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


@dataclass
class MemoryBenchmark:
    """Options."""

    rows: int = field(default=250_002, metadata={"help": "Rows of the embedding table; the default is XLM-R's."})
    used: int = field(default=20_000, metadata={"help": "Rows that the texts use."})
    width: int = field(default=768, metadata={"help": "Hidden size."})
    layers: int = field(default=12, metadata={"help": "Layers."})
    batch_size: int = field(default=32, metadata={"help": "Pairs per step."})
    length: int = field(default=64, metadata={"help": "Tokens per text, all of them."})
    steps: int = field(default=3, metadata={"help": "Steps; from the second on the optimizer's state is there."})
    variants: list[str] = field(default_factory=lambda: [*STOCK, *OURS], metadata={"help": "What to measure."})
    machine: str = field(default="", metadata={"help": "The machine in words."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})
    folder: str | None = field(
        default=None, metadata={"help": "Of the models; a temporary one if not given.", "path": True}
    )
    variant: str | None = field(default=None, metadata={"help": "Train this one in this process and print its peak."})


def main(config: MemoryBenchmark) -> None:
    """Make the models, train every variant in its own process, compare."""
    torch.set_num_threads(1)
    if config.variant is not None:
        print(json.dumps(_measure(config, config.variant)))
        return
    with TemporaryDirectory() as scratch:
        folder = Path(config.folder or scratch)
        make_models(config, folder)
        peaks: dict[str, dict[str, float]] = {}
        for variant in config.variants:
            peaks[variant] = _in_its_own_process(config, variant, folder)
            results = _results(config, peaks)
            if config.output:
                write_json(Path(config.output), results)
    print(_table(results))


def _results(config: MemoryBenchmark, peaks: dict[str, dict[str, float]]) -> dict[str, Any]:
    shape = ("rows", "width", "layers", "batch_size", "length", "steps")
    return {
        "command": " ".join(portable(argument) for argument in ["benchmarks/memory.py", *sys.argv[1:]]),
        "machine": config.machine or f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        **{name: value for name, value in asdict(config).items() if name in shape},
        "rows_used_at_most": config.used,
        "dtype": "float32",
        "unit": "MB of 1,000,000 bytes above the process after its imports",
        "peaks": peaks,
        "share_of": {
            base: {name: round(peak["training"] / peaks[base]["training"], 3) for name, peak in peaks.items()}
            for base in STOCK
            if base in peaks
        },
    }


def make_models(config: MemoryBenchmark, folder: Path) -> None:
    """The student, random; and the cache of a small random teacher of its width, with all texts in it."""
    folder.mkdir(parents=True, exist_ok=True)
    _encoder(config, folder / "parts", config.rows, config.layers).save_pretrained(str(folder / "student"))
    gc.collect()
    teacher = _encoder(config, folder / "teacher_parts", config.used, 1)
    cached = CachedTeacher.for_teacher(teacher, folder / "cache", max_length=config.length)
    cached.fill(_rows(config)["source"], show_progress=False)


def _encoder(config: MemoryBenchmark, folder: Path, rows: int, layers: int) -> SentenceTransformer:
    """An encoder whose tokens are the words ``w4``, ``w5``..., so that a text of n words has n + 2 tokens."""
    words = {word: number for number, word in enumerate([*_SPECIAL, *(f"w{i}" for i in range(4, rows))])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 0))
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    torch.manual_seed(layers)
    body = XLMRobertaModel(
        XLMRobertaConfig(
            vocab_size=rows,
            hidden_size=config.width,
            num_hidden_layers=layers,
            num_attention_heads=max(1, config.width // 64),
            intermediate_size=4 * config.width,
            max_position_embeddings=514,
            type_vocab_size=1,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        ),
        add_pooling_layer=False,
    )
    body.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", model_max_length=512, **names
    ).save_pretrained(folder)
    return SentenceTransformer(modules=[Transformer(str(folder)), Pooling(config.width), Normalize()], device="cpu")


def _rows(config: MemoryBenchmark) -> Dataset:
    """Pairs of exactly so many tokens, enough of them to use nearly all rows that are said to be used."""
    rng = random.Random(0)
    count = max(config.steps * config.batch_size, 3 * config.used // config.length)

    def text() -> str:
        return " ".join(f"w{rng.randrange(4, config.used)}" for _ in range(config.length - 2))

    english = [text() for _ in range(config.steps * config.batch_size)]  # all that the cache has to hold
    source = [english[row % len(english)] for row in range(count)]
    return Dataset.from_dict({"source": source, "translation": [text() for _ in range(count)]})


def _in_its_own_process(config: MemoryBenchmark, variant: str, folder: Path) -> dict[str, float]:
    flags = [f"--{name}={getattr(config, name)}" for name in ("rows", "used", "width", "layers", "batch_size")]
    flags += [f"--length={config.length}", f"--steps={config.steps}", f"--folder={folder}", f"--variant={variant}"]
    began = time.perf_counter()
    done = subprocess.run([sys.executable, __file__, *flags], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{variant}: {done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{variant}: {found['training']:,.0f} MB, {time.perf_counter() - began:.0f} s", flush=True)
    return found


def _measure(config: MemoryBenchmark, variant: str) -> dict[str, float]:
    imported = _peak_mb()
    folder = Path(str(config.folder))
    trainer = _trainer(config, variant, folder)
    trainer.train()
    trained = _peak_mb()
    return {"training": round(trained - imported, 1), "imports": round(imported, 1)}


def _trainer(config: MemoryBenchmark, variant: str, folder: Path) -> Any:
    student: Any = load_encoder(str(folder / "student"), device="cpu")
    rows = _rows(config).select(range(config.steps * config.batch_size)) if variant in STOCK else _rows(config)
    options: dict[str, Any] = {
        "output_dir": str(folder / f"out-{variant.replace(' ', '-')}"),
        "per_device_train_batch_size": config.batch_size,
        "max_steps": config.steps,
        "learning_rate": 1e-5,
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
    }
    if variant in STOCK:
        labels = torch.nn.functional.normalize(torch.randn(len(rows), config.width), dim=-1).tolist()
        columns = {"english": rows["source"], "non_english": rows["translation"]}
        if variant == "stock":
            del columns["english"]
        return literal_trainer(student, Dataset.from_dict({**columns, "label": labels}), **options)
    if variant == "lora":
        LanguageAdapters(student).add("swh_Latn", r=16)
    args = OTDistillationTrainingArguments(
        objective="ot+nce",
        train_embeddings=OURS[variant],
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        gather_across_devices=False,
        **options,
    )
    name = "bitext/eng_Latn-swh_Latn"
    return OTDistillationTrainer(
        model=student,
        teacher=CachedTeacher(folder / "cache"),
        args=args,
        train_dataset={name: rows},  # type: ignore[arg-type]
    )


def _peak_mb() -> float:
    """Peak resident memory of this program; not ``ru_maxrss`` on Linux, which begins with that of the parent."""
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return peak_memory_mb() or 0.0


def _table(results: dict[str, Any]) -> str:
    lines = [f"{'':14}{'peak, MB':>10}" + "".join(f"{'of ' + base:>18}" for base in results["share_of"])]
    for name, peak in results["peaks"].items():
        shares = "".join(f"{share[name]:18.0%}" for share in results["share_of"].values())
        lines.append(f"{name:14}{peak['training']:10,.0f}{shares}")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main, MemoryBenchmark)
