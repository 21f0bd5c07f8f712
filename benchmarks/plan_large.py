"""What the planner says of XLM-R large and BGE-M3, whose weights a laptop cannot train: memory and steps by machine.

``python benchmarks/plan_large.py [--output FILE]``

No weight is downloaded. Parameters are counted on models of these shapes without memory (``meta``); what a layer keeps
for the backward pass is counted on one and on two layers of the full width, at 2 x 64 tokens, and grows with layers,
batch and length, as the plan has it everywhere. The machine's plan is then the one of ``hf-optical plan --gpu NAME``
(`hf_optical.runs.planning.planner.estimate`). Weights spread over eight devices (FSDP2) are divided by eight with their
gradients and moments; activations and the teacher are not.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from transformers import XLMRobertaConfig, XLMRobertaModel

from hf_optical.results.files import write_json
from hf_optical.runs.options import LoraOptions, TrainConfig
from hf_optical.runs.planning.dry_run import DryRun
from hf_optical.runs.planning.machine import PRESETS
from hf_optical.runs.planning.planner import estimate
from hf_optical.runs.planning.profiling import SavedTensors
from hf_optical.runs.planning.steps import Steps

LAYERS, WIDTH, VOCABULARY = 24, 1024, 250_002
POSITIONS = {"XLM-R large": 514, "BGE-M3": 8194}
BATCH, LONGEST, MEAN = 32, 128, 40  # pairs, and tokens of the longest and of a mean padded text
USED_ROWS = 30_000
"""Pieces of a bitext of some 10,000 sentences in two languages, of the order of what was seen with e5."""
STEPS, PAIRS = 1_000, 10_000
CHOICES: dict[str, dict[str, Any]] = {
    "all weights": {},
    "used rows": {"train_embeddings": "used"},
    "LoRA": {"adapter": "lora"},
}
MACHINES = {"t4": "fp16", "a100": "bf16", "h100": "bf16"}
DEVICES = 8


def body(layers: int, positions: int, vocabulary: int = VOCABULARY) -> XLMRobertaModel:
    """A model of this shape, with dropout as it is trained, wherever tensors are made."""
    config = XLMRobertaConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=16,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=positions,
        type_vocab_size=1,
    )
    return XLMRobertaModel(config, add_pooling_layer=False)


def kept(layers: int, batch: int = 2, tokens: int = 64) -> int:
    """Bytes that autograd keeps of a forward pass in float32."""
    model = body(layers, 514, vocabulary=100).train()
    tally = SavedTensors(model.parameters())
    with tally.counted():
        out = model(input_ids=torch.full((batch, tokens), 5), attention_mask=torch.ones(batch, tokens))
        out.last_hidden_state.sum()
    return tally.peak


def measured(positions: int, choice: dict[str, Any], activations: float) -> DryRun:
    """What a dry run would have found, of models too large to run here."""
    with torch.device("meta"):
        model = body(LAYERS, positions)
    weights = sum(weight.numel() for weight in model.parameters())
    table = model.get_input_embeddings().weight.numel()
    adapter = 2 * 2 * LoraOptions().rank * WIDTH * LAYERS
    trained = adapter if "adapter" in choice else weights
    steps = Steps(
        typical=1.0,  # the time of another machine is arithmetic
        slowest=LONGEST / MEAN,
        optimizer=0.0,
        tokens=2.0 * BATCH * MEAN,
        longest=LONGEST,
        peak=0.0,
        after=0.0,
        activations=activations,
        preparing=0.0,
        watching=0.0,
        trained=trained,
        filling=0.0,
        cached=0.0,
    )
    return DryRun(
        pairs=PAIRS,
        seconds=dict.fromkeys(("reading", "checking", "loading", "growing", "injecting", "saving"), 0.0),
        steps=steps,
        weights={"student": weights, "table": table, "teacher": weights, "teacher's table": table},
        used_rows=USED_ROWS,
        layers=LAYERS,
        width=WIDTH,
        saved=4.0 * weights,
        max_steps=STEPS,
    )


def rows() -> list[dict[str, Any]]:
    """One entry a model, choice and machine."""
    one, two = kept(1), kept(2)
    layer, rest = two - one, 2 * one - two
    activations = (layer * LAYERS + rest) / (2 * 64) * BATCH * LONGEST
    found = []
    for name, positions in POSITIONS.items():
        for chosen, choice in CHOICES.items():
            for machine, half in MACHINES.items():
                config = TrainConfig(
                    teacher="t", student="copy", batch_size=BATCH, max_length=LONGEST, **{half: True}, **choice
                )
                plan = estimate(config, measured(positions, choice, activations), PRESETS[machine])
                parts = plan.memory
                spread = (parts["student"] + parts["gradients and optimizer"]) * (1 - 1 / DEVICES)
                found.append(
                    {
                        "model": name,
                        "trained": chosen,
                        "machine": PRESETS[machine].name,
                        "precision": half,
                        "memory_gb": round(sum(parts.values()) / 1e9, 1),
                        "of_gb": round(PRESETS[machine].memory / 1e9, 1),
                        "fits": plan.fits,
                        f"spread_over_{DEVICES}_gb": round((sum(parts.values()) - spread) / 1e9, 1),
                        "seconds_a_step": round(plan.step[0], 3),
                        "parts_gb": {part: round(count / 1e9, 2) for part, count in parts.items()},
                        "advice": plan.advice,
                    }
                )
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", help="also written there, as JSON")
    options = parser.parse_args()
    table = rows()
    for row in table:
        shown = f"{row['memory_gb']:5.1f} of {row['of_gb']:5.1f} GB {'fits' if row['fits'] else 'no  '}"
        spread = f"{row[f'spread_over_{DEVICES}_gb']:5.1f} GB each over {DEVICES}"
        print(
            f"{row['model']:12} {row['trained']:12} {row['machine']:14} {row['precision']}  {shown}  {spread}  "
            f"{row['seconds_a_step']:.2f} s a step"
        )
        for line in row["advice"]:
            print(f"    {line}")
    if options.output:
        write_json(options.output, table)
