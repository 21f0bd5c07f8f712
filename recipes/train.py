"""Distil an English retriever into a student that reads another language, and measure what that brought.

``accelerate launch recipes/train.py --config recipes/configs/swahili.yaml --bitext FILE --eval FOLDER``. Without
arguments it runs on a small language pair that it generates itself. Flags override the file; see ``--help``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from sentence_transformers import MultiVectorEncoder
from transformers.utils.logging import disable_progress_bar

from hf_optical import OTDistillationTrainingArguments
from hf_optical.checkpoints import last_whole_checkpoint
from hf_optical.configuration import run
from hf_optical.data.bitext import read_bitext
from hf_optical.data.fingerprint import file_fingerprint, rows_hash
from hf_optical.data.languages import normalize
from hf_optical.data.retrieval import RetrievalSet, read_retrieval_set
from hf_optical.errors import InputError
from hf_optical.evaluation.milestones import Milestones
from hf_optical.figures.plan import draw_plan
from hf_optical.losses import parse_objective
from hf_optical.models import check_same_on_all_processes, load_encoder, push, save_whole, set_dropout
from hf_optical.results import write_results
from hf_optical.run_folder import claim, remove
from hf_optical.sampling import LengthGroupedBatchSampler
from hf_optical.students import starting_student
from hf_optical.students.start import ROW_INITS
from hf_optical.trainer import MultiVectorOTDistillationTrainer, OTDistillationTrainer


def _option(default: Any, text: str) -> Any:
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": text})
    return field(default=default, metadata={"help": text})


# Without being told, accelerate takes several processes on a machine without accelerator for as many single ones.
_CPU = not torch.accelerator.is_available()
# Options that may differ between an interrupted run and the one that goes on from it.
_OF_NO_CONSEQUENCE = {
    "config",
    "output_dir",
    "overwrite",
    "keep_checkpoints",
    "push_to_hub",
    "report_to",
    "logging_steps",
}
_OF_NO_CONSEQUENCE |= {"save_steps", "measure_start"}


@dataclass
class TrainConfig:
    """Options of the recipe: in a YAML file, as flags, or both."""

    config: str | None = _option(None, "YAML file with any of these options; flags override it.")
    teacher: str | None = _option(None, "English retriever: Hub id or folder (sentence-transformers).")
    student: str = _option("extend", "'copy', 'extend' or 'replace' (grown from the teacher), or an id or folder.")
    language: str | None = _option(None, "Language of the queries: swh_Latn, swh, sw...")
    bitext: str | None = _option(None, "Sentence pairs: JSONL, TSV, CSV, Parquet (.gz too) or a Hub data set id.")
    source_field: str | None = _option(None, "Column of the English; guessed if not given.")
    translation_field: str | None = _option(None, "Column of the translation; guessed if not given.")
    max_pairs: int | None = _option(None, "Use only this many pairs, drawn with the seed.")
    eval: list[str] = _option([], "Folder(s) of retrieval sets: corpus, queries, qrels.")
    interaction: str | None = _option(None, "Score with 'dense' or 'maxsim'; by default as the models do.")
    output_dir: str = _option("outputs/train", "Where model, results and figures go.")
    objective: str = _option("ot+nce", "Sum of ot, mse, cos, nce, e.g. 'ot+0.5*nce'.")
    solver: str = _option("ipot", "ipot, sinkhorn or exact.")
    special_tokens: str = _option("match", "match, exclude or transport.")
    marginals: str = _option("uniform", "Mass of the tokens in the transport: uniform or idf.")
    temperature: float = _option(0.05, "Temperature of the contrastive term.")
    vocab_size: int = _option(40_000, "Vocabulary of a grown student (extend, replace).")
    num_layers: int | None = _option(None, "Layers of a grown student; all of the teacher's if not given.")
    row_init: str = _option("bitext", "First rows of a grown student: aligned in the 'bitext', or by 'surface' form.")
    max_steps: int = _option(1000, "Optimizer steps.")
    batch_size: int = _option(32, "Pairs per device and step.")
    gradient_accumulation_steps: int = _option(1, "Steps whose gradients are added up.")
    learning_rate: float = _option(1e-4, "Peak learning rate; linear warm-up over a tenth, then linear decay.")
    max_length: int = _option(128, "Tokens per text in training.")
    dropout: float = _option(0.0, "Dropout of the student in training.")
    bf16: bool = _option(False, "Train in bfloat16 (transport stays in float32).")
    group_by_length: bool = _option(True, "Batches of similar length: much less padding.")
    measure_start: bool = _option(True, "Measure raw, before and ceiling; off where another run has.")
    save_steps: int = _option(500, "Steps between checkpoints; an interrupted run resumes from the last.")
    logging_steps: int = _option(20, "Steps between logged losses.")
    overwrite: bool = _option(False, "Replace a finished run in output_dir.")
    keep_checkpoints: bool = _option(False, "Keep the checkpoints of a finished run.")
    push_to_hub: str | None = _option(None, "Hub id to publish the model under (private); token from the environment.")
    report_to: str = _option("none", "Logging integrations: wandb, tensorboard...")
    seed: int = _option(0, "Of everything that is drawn.")


def main(config: TrainConfig) -> None:
    """Read, measure, train, measure, write."""
    # One process measures and grows the student while the others wait, perhaps longer than their default patience.
    started, output = time.time(), Path(config.output_dir)
    state = PartialState(cpu=_CPU, timeout=timedelta(days=1))
    disable_progress_bar()  # of every weight file that is read; ours and the trainer's stay
    sample = _prepare_sample(config, state)
    args = _arguments(config)  # first of all, since it checks them
    language, rows, sets = _read(config)
    teacher: Any = load_encoder(config.teacher or "")
    data = _fingerprints(config, rows)
    if state.is_main_process:
        options = {name: value for name, value in vars(config).items() if name not in _OF_NO_CONSEQUENCE}
        claim(output, {**options, "data": data}, overwrite=config.overwrite)
    state.wait_for_everyone()
    table = Milestones(sets, teacher, interaction=config.interaction, show_progress=state.is_main_process)  # type: ignore[arg-type]
    if state.is_main_process and config.measure_start:
        table.measure("raw", teacher)
        table.measure_ceiling()
    student, checkpoint = _student(config, teacher, rows, state, table)
    if state.is_main_process and config.measure_start:
        print(f"\nBefore training ({language}, {len(rows)} pairs, student: {config.student}):\n{table.table()}\n")
    state.wait_for_everyone()
    set_dropout(student, config.dropout)
    late = isinstance(student, MultiVectorEncoder)
    trainer = (MultiVectorOTDistillationTrainer if late else OTDistillationTrainer)(
        model=student, teacher=teacher, args=args, train_dataset={f"bitext/eng_Latn-{language}": rows}
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    agreeing = check_same_on_all_processes(student)
    if not state.is_main_process:
        return
    if agreeing > 1:
        print(f"{agreeing} processes agree on the weights")
    save_whole(student.eval(), output / "model")
    # What was saved is what is measured; the trained object may still run under the trainer's autocast.
    saved: Any = load_encoder(str(output / "model"))
    table.measure("after", saved)
    alignment = sample.measure_alignment(saved, teacher, language) if sample else None
    write_results(
        output,
        evaluations=table.evaluations(),
        per_query=table.per_query(),
        seed=config.seed,
        data=data,
        started=started,
        config=vars(config),
        precision="bf16" if args.bf16 else "fp16" if args.fp16 else "float32",
        processes=state.num_processes,
        pairs=len(rows),
        history=trainer.state.log_history,
        alignment=alignment,
    )
    if find_spec("matplotlib"):
        pair = sample.example(language) if sample else (rows[0]["source"], rows[0]["translation"])
        draw_plan(saved, teacher, pair[0], pair[1], output / "figures" / "plan.png")
    else:
        print("No picture of a transport plan: pip install 'hf-optical[report]' draws one")
    if not config.keep_checkpoints:
        remove(output, "checkpoint-*")
    print(f"\nAfter {trainer.state.global_step} steps:\n{table.table()}\n\n{table.sentences()}\n")
    if alignment:
        shown = ", ".join(f"{name} {value:.3g}" for name, value in alignment.items())
        print(f"Plan against the gold word alignments (error rates): {shown}\n")
    print(f"Use it:\n{_usage(saved, output / 'model', config.teacher or '')}")
    if config.push_to_hub:
        push(saved, config.push_to_hub, output / "model")


def _fingerprints(config: TrainConfig, rows: Dataset) -> list[dict[str, Any]]:
    """Hashes of what is read; of a Hub data set the rows themselves, for its id says little of them."""
    found = [file_fingerprint(path) for path in (str(config.bitext), *config.eval) if Path(path).exists()]
    if not Path(str(config.bitext)).exists():
        found.insert(0, {"path": config.bitext, "rows": len(rows), "sha256": rows_hash(rows)})
    return found


def _prepare_sample(config: TrainConfig, state: PartialState) -> Any:
    """The embedded default, where neither data nor teacher are given."""
    if config.bitext is not None or config.teacher is not None:
        return None
    from sample import prepare  # beside this file

    with state.main_process_first():
        sample = prepare(Path(config.output_dir) / "sample", seed=config.seed)
    for name, value in sample.options(config).items():
        setattr(config, name, value)
    return sample


def _read(config: TrainConfig) -> tuple[str, Dataset, list[RetrievalSet]]:
    for name in ("teacher", "language", "bitext", "eval"):
        if not getattr(config, name):
            raise InputError("is not given", f"add --{name}, or a --config that has it", field=name)
    language = normalize(config.language or "")
    rows = read_bitext(
        config.bitext or "",
        source_field=config.source_field,
        translation_field=config.translation_field,
        language=language,
    )
    if config.max_pairs and config.max_pairs < len(rows):
        rows = rows.shuffle(seed=config.seed).select(range(config.max_pairs))
    return language, rows, [read_retrieval_set(folder, language) for folder in config.eval]


def _student(
    config: TrainConfig, teacher: Any, rows: Dataset, state: PartialState, table: Milestones
) -> tuple[Any, str | None]:
    """The student, and the checkpoint to go on from: the last whole one, if the run was interrupted."""
    output = Path(config.output_dir)
    checkpoint = last_whole_checkpoint(output)
    if state.is_main_process:
        grown = starting_student(
            config.student,
            teacher,
            rows,
            row_init=config.row_init,
            vocab_size=config.vocab_size,
            num_layers=config.num_layers,
            seed=config.seed,
            reads_english="source" in parse_objective(config.objective),
            on_grown=(lambda model: table.measure("before", model)) if config.measure_start else None,
        )
        if config.measure_start and config.student in ("extend", "replace") and config.row_init == "bitext":
            table.measure("aligned", grown)
        if not (output / "untrained").is_dir():
            save_whole(grown, output / "untrained")
    state.wait_for_everyone()  # one process grows it, all read it: their vocabularies must be the same
    if checkpoint and state.is_main_process:
        print(f"Going on from {checkpoint}")
    return load_encoder(str(output / "untrained")), checkpoint


def _arguments(config: TrainConfig) -> OTDistillationTrainingArguments:
    args = OTDistillationTrainingArguments(
        output_dir=config.output_dir,
        objective=config.objective,
        solver=config.solver,
        special_tokens=config.special_tokens,
        marginals=config.marginals,
        temperature=config.temperature,
        max_length=config.max_length,
        max_steps=config.max_steps,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        learning_rate=config.learning_rate,
        warmup_steps=max(1, config.max_steps // 10),
        bf16=config.bf16,
        use_cpu=_CPU,
        save_steps=config.save_steps,
        save_total_limit=2,
        logging_steps=config.logging_steps,
        report_to=config.report_to,
        dataloader_pin_memory=torch.cuda.is_available(),
        gather_across_devices=PartialState().num_processes > 1,
        seed=config.seed,
        data_seed=config.seed,
    )
    if config.group_by_length:
        args.batch_sampler = LengthGroupedBatchSampler
    if args.fsdp or args.deepspeed or PartialState().distributed_type in ("FSDP", "DEEPSPEED"):
        raise InputError(
            "this recipe measures and saves on one process, which sharded weights do not allow",
            "launch with recipes/accelerate/multi_gpu.yaml (DDP); the trainers themselves take FSDP as their hosts do",
        )
    if not 0 <= config.dropout < 1:
        raise InputError(f"is {config.dropout}", "give a number from 0 to below 1", field="dropout")
    if config.row_init not in ROW_INITS:
        raise InputError(f"is {config.row_init!r}", f"use one of {', '.join(ROW_INITS)}", field="row_init")
    return args


def _usage(student: Any, folder: Path, teacher: str) -> str:
    kind = type(student).__name__
    return (
        f"  from sentence_transformers import {kind}\n"
        f"  student, teacher = {kind}({str(folder)!r}), {kind}({teacher!r})\n"
        f"  scores = student.similarity(student.encode_query(queries), teacher.encode_document(documents))"
    )


if __name__ == "__main__":
    run(main, TrainConfig)
