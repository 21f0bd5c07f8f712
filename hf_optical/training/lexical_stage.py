"""Lexical injection as a stage before training: train on a lexicon, merge the adapter, continue with a plain model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from datasets import Dataset
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.model import BaseModel
from sentence_transformers.util.distributed import get_world_size
from torch import nn
from transformers.trainer_callback import PrinterCallback

from hf_optical.batching.collation import OTDistillationDataCollator
from hf_optical.encoders.models import set_dropout
from hf_optical.encoders.parts import transformer_of
from hf_optical.encoders.word_vectors import check_layer, comparable_layers, number_of_layers
from hf_optical.errors import InputError
from hf_optical.losses import LexicalInjectionLoss
from hf_optical.losses.false_negatives import translation_sets
from hf_optical.losses.lexical_injection import LexicalObjective
from hf_optical.training.arguments import OTDistillationTrainingArguments

METHODS = ("lora", "full")
_TRIES = 100


@dataclass(frozen=True)
class LexicalStage:
    """Report of a lexical injection stage.

    Attributes:
        pairs: Number of pairs in the lexicon.
        steps: Number of optimizer steps.
        trainable: Number of parameters that were trained.
        english_read_by: ``"teacher"`` or ``"student"``.
        history: The trainer's log: losses by name.
    """

    pairs: int
    steps: int
    trainable: int
    english_read_by: str
    history: list[dict[str, float]]


def inject_lexicon(
    student: BaseModel,
    rows: Dataset,
    *,
    teacher: BaseModel | None = None,
    layer: int = 2,
    steps: int = 300,
    method: Literal["lora", "full"] = "lora",
    objective: LexicalObjective = "triplet",
    output_weight: float = 1.0,
    margin: float = 0.4,
    temperature: float = 0.05,
    learning_rate: float = 2e-4,
    batch_size: int = 32,
    lora_r: int = 16,
    lora_alpha: int = 32,
    lora_dropout: float = 0.05,
    target_modules: Sequence[str] | None = None,
    shuffled: bool = False,
    seed: int = 0,
    show_progress: bool = True,
    **arguments: Any,
) -> LexicalStage:
    """Train a student on a lexicon, in place, with the trainer of sentence-transformers.

    Args:
        student: A dense or multi-vector encoder; afterwards it is the same plain model with changed weights.
        rows: (``source``, ``translation``) pairs: :func:`hf_optical.data.lexicon.read_lexicon`.
        teacher: The English encoder that the student was grown from; it encodes the English words. Without a teacher,
            or with one of another architecture, the student encodes both sides.
        layer: Hidden state to train, 1 to the number of layers; the layers below it are trained. The layer probe
            recommends a layer.
        steps: Optimizer steps.
        method: ``"lora"`` trains LoRA adapters on the attention's query and value projections of the layers below
            ``layer`` and merges them at the end; ``"full"`` trains the embeddings and these layers themselves.
        objective: Loss: ``"triplet"`` or ``"nce"``.
        output_weight: Weight of the output term.
        margin: Margin of the triplet loss.
        temperature: Temperature of InfoNCE.
        learning_rate: Peak learning rate; linear warm-up over a tenth of the steps, then linear decay.
        batch_size: Pairs per device and step.
        lora_r: Rank of the adapters; the defaults of LoRA are the paper's.
        lora_alpha: LoRA alpha; the update is scaled by alpha / rank.
        lora_dropout: Dropout of the adapters' input; the student's own dropout is off.
        target_modules: Modules that get LoRA adapters; by default peft's choice for the architecture.
        shuffled: Run the control: every word gets another word's translation and everything else stays the same. A gain
            that the control shows too does not come from the meaning of the words.
        seed: Random seed of data order and initial adapter weights.
        show_progress: Show the trainer's progress bar.
        arguments: Other training arguments (``bf16``, ``use_cpu``, ``report_to``...).

    Returns:
        The report of the stage.

    Raises:
        InputError: There is no such layer or method, there are no modules for LoRA, or the pairs cannot be shuffled.

    References:
        - Ngugi: Targeted Lexical Injection, https://arxiv.org/abs/2506.15415
    """
    _check(student, layer, method, steps)
    if teacher is not None and not comparable_layers(student, teacher):
        teacher = None
    pairs = list(zip(rows["source"], rows["translation"], strict=True))
    trained = shuffled_pairs(rows, seed) if shuffled else rows
    with TemporaryDirectory() as folder:
        defaults = {"max_steps": steps, "learning_rate": learning_rate, "per_device_train_batch_size": batch_size}
        args = _arguments(folder, {**defaults, **arguments}, seed, show_progress)
        torch.manual_seed(seed)
        with _only_lower_layers(student, layer, method, (lora_r, lora_alpha, lora_dropout), target_modules) as count:
            loss = LexicalInjectionLoss(
                student,
                teacher,
                objective=objective,
                layer=layer,
                output_weight=output_weight,
                margin=margin,
                temperature=temperature,
                # the true lexicon for the control too, so that it does not push true translations apart either
                lexicon=pairs,
                gather_across_devices=get_world_size() > 1,
            )
            history = _train(student, teacher, loss, trained, args)
    return LexicalStage(len(pairs), args.max_steps, count, "student" if teacher is None else "teacher", history)


def shuffled_pairs(rows: Dataset, seed: int = 0) -> Dataset:
    """Pair every word with the translation of another word at random: the control of lexical injection.

    Args:
        rows: (``source``, ``translation``) pairs.
        seed: Random seed of the permutation.

    Returns:
        The words in the same order with permuted translations; no pair is in the lexicon.

    Raises:
        InputError: The lexicon is too small: no such permutation was found.

    Example:
        >>> rows = Dataset.from_dict({"source": ["water", "goat"], "translation": ["maji", "mbuzi"]})
        >>> list(shuffled_pairs(rows)["translation"])
        ['mbuzi', 'maji']
    """
    words, translations = list(rows["source"]), list(rows["translation"])
    known, _ = translation_sets(
        (one.strip().casefold(), two.strip().casefold()) for one, two in zip(words, translations, strict=True)
    )

    def wrong(place: int, translation: str) -> bool:
        return translation.strip().casefold() not in known[words[place].strip().casefold()]

    random = Random(seed)
    for _ in range(_TRIES):
        random.shuffle(translations)
        for place, word in enumerate(translations):
            for other in random.sample(range(len(words)), 0 if wrong(place, word) else min(_TRIES, len(words))):
                if wrong(place, translations[other]) and wrong(other, word):
                    translations[place], translations[other] = translations[other], word
                    break
        if all(wrong(place, word) for place, word in enumerate(translations)):
            return Dataset.from_dict({"source": words, "translation": translations})
    raise InputError(f"{len(words)} pairs could not be shuffled so that no true pair remains", "give a larger lexicon")


def _check(student: BaseModel, layer: int, method: str, steps: int) -> None:
    check_layer(student, layer)
    if layer == 0:
        raise InputError(
            "is 0, which is the embedding layer; there is no layer below it to train",
            f"give a layer from 1 to {number_of_layers(student)}",
            field="layer",
        )
    if method not in METHODS:
        raise InputError(f"is {method!r}", f"use one of {', '.join(METHODS)}", field="method")
    if steps < 1:
        raise InputError(f"is {steps}", "give a number of steps, 1 or more", field="steps")


@contextmanager
def _only_lower_layers(
    student: BaseModel, layer: int, method: str, lora: tuple[int, int, float], target_modules: Sequence[str] | None
) -> Iterator[int]:
    """Make only the chosen parameters trainable and switch the student's dropout off; restore both on exit."""
    module: Any = transformer_of(student)  # type: ignore[arg-type]
    open_before = {name: value.requires_grad for name, value in student.named_parameters()}
    dropouts = {one: one.p for one in student.modules() if isinstance(one, nn.Dropout)}
    set_dropout(student, 0.0)
    student.requires_grad_(False)
    adapted: Any = None
    try:
        if method == "lora":
            module.model = adapted = _with_lora(module.model, layer, lora, target_modules)
        else:
            _open_lower_layers(module.model, layer)
        yield sum(value.numel() for value in student.parameters() if value.requires_grad)
        if adapted is not None:
            module.model, adapted = adapted.merge_and_unload(), None
    finally:
        if adapted is not None:  # on failure, restore the student
            module.model = adapted.unload()
        for one, probability in dropouts.items():
            one.p = probability
        for name, value in student.named_parameters():
            value.requires_grad_(open_before[name])
        student.eval()


def _with_lora(
    model: nn.Module, layer: int, lora: tuple[int, int, float], target_modules: Sequence[str] | None
) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora[0],
        lora_alpha=lora[1],
        lora_dropout=lora[2],
        target_modules=list(target_modules) if target_modules is not None else None,
        layers_to_transform=list(range(layer)),
    )
    try:
        return get_peft_model(model, config)  # type: ignore[arg-type]
    except ValueError as error:
        kinds = {name.rpartition(".")[2] for name, one in model.named_modules() if isinstance(one, nn.Linear)}
        raise InputError(
            f"LoRA found nothing to adapt in {type(model).__name__} ({error})",
            f"name some of its linear modules in target_modules: {', '.join(sorted(kinds))}",
            field="target_modules",
        ) from error


def _open_lower_layers(model: Any, layer: int) -> None:
    """Return the embeddings and the layers whose outputs are the hidden states 1 to ``layer``."""
    table, total = model.get_input_embeddings(), model.config.num_hidden_layers
    stack = next((one for one in model.modules() if isinstance(one, nn.ModuleList) and len(one) == total), None)
    if stack is None:
        raise InputError(f"the layers of {type(model).__name__} were not found", "use method='lora'", field="method")
    embeddings = next(child for child in model.children() if any(one is table for one in child.modules()))
    for part in (embeddings, *stack[:layer]):
        part.requires_grad_(True)


def _arguments(folder: str, options: dict[str, Any], seed: int, show_progress: bool) -> OTDistillationTrainingArguments:
    steps = int(options["max_steps"])
    defaults: dict[str, Any] = {
        "warmup_steps": max(1, steps // 10),
        "logging_steps": max(1, steps // 10),
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": not show_progress,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "seed": seed,
        "data_seed": seed,
    }
    return OTDistillationTrainingArguments(output_dir=folder, **{**defaults, **options})


def _train(
    student: BaseModel,
    teacher: BaseModel | None,
    loss: LexicalInjectionLoss,
    rows: Dataset,
    args: OTDistillationTrainingArguments,
) -> list[dict[str, float]]:
    from hf_optical.training.trainer import MultiVectorOTDistillationTrainer, OTDistillationTrainer

    late = isinstance(student, MultiVectorEncoder)
    # Both sides are encoded as queries, under the models' query prompts, as the student encodes them in use.
    collator = OTDistillationDataCollator.for_models(
        student, teacher if teacher is not None else student, mirror=teacher is None
    )
    trainer = (MultiVectorOTDistillationTrainer if late else OTDistillationTrainer)(
        model=student, args=args, train_dataset=rows, loss=loss, data_collator=collator
    )
    if args.disable_tqdm:
        trainer.remove_callback(PrinterCallback)
    trainer.train()
    return [entry for entry in trainer.state.log_history if "loss" in entry]
