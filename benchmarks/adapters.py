"""What a batch that mixes languages costs beside a batch of one: the same texts, interleaved, in pairs.

    python benchmarks/adapters.py --model MODEL --output benchmarks/results/adapters.json
    python benchmarks/adapters.py --model MODEL --late --output benchmarks/results/adapters_late.json

Every round times each way once, in random order; the ratio is the median over rounds of (way / single) in that round.
``single``: all texts through one adapter, by the host alone (peft's active adapter). ``mixed``: three adapters and the
base, drawn per text. ``base``: no adapter.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from hf_optical.adapters import LanguageAdapters
from hf_optical.adapters.report import size_rows
from hf_optical.encoders.models import load_encoder

LANGUAGES = ("swh_Latn", "som_Latn", "mar_Deva")
WORDS = [
    "the",
    "child",
    "teacher",
    "goat",
    "river",
    "school",
    "market",
    "water",
    "sleeps",
    "eats",
    "runs",
    "under",
    "near",
    "big",
    "small",
    "red",
    "house",
    "and",
    "with",
    "of",
    "in",
    "to",
    "from",
    "morning",
    "evening",
    "music",
    "village",
    "road",
    "bread",
    "tree",
]


def texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(5, 30))) for _ in range(count)]


def measure(adapters: LanguageAdapters, count: int, batch: int, rounds: int) -> dict:
    from transformers.integrations.peft import PeftAdapterMixin

    rows = texts(count, seed=count)
    rng = random.Random(count)
    languages = [rng.choice([*LANGUAGES, None]) for _ in rows]
    model = adapters.model

    def single() -> None:
        PeftAdapterMixin.set_adapter(adapters.inner, LANGUAGES[0])
        model.encode(rows, batch_size=batch)
        adapters.rows.refresh()

    ways: dict[str, Callable[[], object]] = {
        "single": single,
        "single by name": lambda: adapters.encode(rows, LANGUAGES[0], batch_size=batch),
        "mixed": lambda: adapters.encode(rows, languages, batch_size=batch),
        "base": lambda: model.encode(rows, batch_size=batch),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for done in range(rounds + 1):
        for name in rng.sample(list(ways), len(ways)):
            # CPU time of this process: another process on the machine must not be measured.
            start = time.process_time()
            ways[name]()
            if done:  # the first round warms up
                times[name].append(time.process_time() - start)
    result: dict = {"texts": count, "batch": batch, "rounds": rounds}
    for name, found in times.items():
        ratios = [one / other for one, other in zip(found, times["single"], strict=True)]
        result[name] = {
            "ms": round(1000 * statistics.median(found), 2),
            "ratio": round(statistics.median(ratios), 3),
            "ratio_quartiles": [round(q, 3) for q in statistics.quantiles(ratios, n=4)][::2],
        }
    return result


def late_interaction(dense) -> MultiVectorEncoder:
    """The same transformer, its token vectors projected at random: what mixing costs does not depend on the weights."""
    width = dense.get_sentence_embedding_dimension()
    torch.manual_seed(0)
    project = Dense(
        width, 128, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings"
    )
    normalize = Normalize(module_input_name="token_embeddings")
    return MultiVectorEncoder(modules=[dense[0], project, normalize, MultiVectorMask()], device="cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", type=Path, default=None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--counts", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--r", type=int, default=16)
    parser.add_argument("--late", action="store_true", help="as a late-interaction model: its token vectors, 128 wide")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_encoder(arguments.model, device="cpu")
    adapters = LanguageAdapters(late_interaction(model) if arguments.late else model)
    for language in LANGUAGES:
        adapters.add(language, r=arguments.r, init_lora_weights=False)
    results = {
        "torch": torch.__version__,
        "threads": 1,
        "clock": "process CPU time",
        "r": arguments.r,
        "interaction": "late" if arguments.late else "dense",
        "adapters": size_rows(adapters),
        "measurements": [],
    }
    for count in arguments.counts:
        results["measurements"].append(measure(adapters, count, 32, arguments.rounds))
        print(json.dumps(results["measurements"][-1]), flush=True)
    if arguments.output is not None:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
