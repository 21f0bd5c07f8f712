"""Training run: read, measure, train, measure, write."""

from __future__ import annotations

import time
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers.utils.logging import disable_progress_bar

from hf_optical.adapters import LanguageAdapters
from hf_optical.data.benchmarks import retrieval_folder
from hf_optical.data.fingerprint import file_fingerprint
from hf_optical.data.languages import language_name
from hf_optical.doctor.overlap import evaluation_index
from hf_optical.doctor.quick import quick_check
from hf_optical.encoders.models import check_same_on_all_processes, load_encoder
from hf_optical.evaluation.document_cache import fingerprint
from hf_optical.publishing.hub import push
from hf_optical.publishing.provenance import teacher_record
from hf_optical.publishing.publish import Publication, build
from hf_optical.results import table_rows
from hf_optical.results.files import versions, write_results
from hf_optical.results.records import read_results
from hf_optical.runs.adapter_report import adapter_report
from hf_optical.runs.closing import tell
from hf_optical.runs.defaults import with_defaults
from hf_optical.runs.evaluation_panels import EvaluationPanels
from hf_optical.runs.held_out import FOLDER as HELD_OUT
from hf_optical.runs.held_out import HeldOutRun, measure_bm25
from hf_optical.runs.index_documents import IndexDocuments, documents_in_training
from hf_optical.runs.options import TrainConfig, on_cpu
from hf_optical.runs.planning.machine import peak_gpu_memory_mb
from hf_optical.runs.query_offset import student_with_offset
from hf_optical.runs.report import Drawn, write_run_report
from hf_optical.runs.report.plans import drawn_pairs, plans_of
from hf_optical.runs.run_folder import prepare_output_dir, remove
from hf_optical.runs.run_report import draw_example, realised_counts, seconds_per_step, usage
from hf_optical.runs.start_share import start_share_of
from hf_optical.runs.student import load, save, start_report, student_of_run
from hf_optical.runs.teacher_cache import FOLDER, cache_folder, cache_report
from hf_optical.runs.token_means import save_token_means
from hf_optical.runs.trainers import trainer_for, watch_for
from hf_optical.runs.training_data import TrainingData, bitext_by_language, read_training_data
from hf_optical.runs.vectors_only import run_vectors_only
from hf_optical.students.grow import VOCABULARIES
from hf_optical.students.mapped import check_index_of
from hf_optical.training.checkpoints import naming_the_last
from hf_optical.training.losses_by_kind import anchor_of, chosen_temperature
from hf_optical.training.monitor import TrainingMonitor
from hf_optical.training.sharding import whole
from hf_optical.training.trainer import MultiVectorOTDistillationTrainer, OTDistillationTrainer

SKIPPED_FILE = "left_out_rows.tsv"


def start() -> PartialState:
    """Set up this process as one of the processes of the run."""
    # One process measures and grows the student while the others wait, perhaps longer than the default timeout.
    state = PartialState(cpu=on_cpu(), timeout=timedelta(days=1))
    disable_progress_bar()  # bars of weight files; our own and the trainer's bars stay
    return state


def run_training(config: TrainConfig, sample: Any = None) -> None:
    """Carry out one run on all its processes.

    Args:
        config: The options.
        sample: The embedded sample, if the run trains on it; it has gold alignments and an example.

    Raises:
        InputError: Options or data are invalid; raised before training.
        NonFiniteError: A value is not finite; raised before the step is taken.
    """
    state = start()
    config.check()
    if config.teacher:
        _run(config, state, sample)
    else:  # an index whose model is not available
        run_vectors_only(config)


def _run(config: TrainConfig, state: PartialState, sample: Any) -> None:
    started, output = time.time(), Path(config.output_dir)
    config.arguments()  # invalid arguments are reported before anything is read
    data = read_training_data(config)
    if state.is_main_process:
        print(*data.notes, sep="\n")
    panels = EvaluationPanels(config, data.languages)
    teacher = _teacher(config)  # one that cannot be had is said before the pairs are examined
    verdicts = _examine(config, data) if config.check_data and state.is_main_process else {}
    config = with_defaults(config, teacher, data.pairs)
    fingerprints = [
        *data.fingerprints,
        *({**file_fingerprint(retrieval_folder(item)), "path": name} for item, name in panels.names.items()),
    ]
    cache, cache_identity = cache_folder(config, data, teacher)
    if state.is_main_process:
        decisive = {
            **config.decisive(),
            "data": fingerprints,
            "teacher_weights": fingerprint(teacher),
            "teacher_cache": cache_identity,
            "versions": versions(),
        }
        prepare_output_dir(output, decisive, overwrite=config.overwrite, resume_anyway=config.resume_anyway)
        if data.report.bad_rows:
            data.report.write(output / SKIPPED_FILE)
            print(f"{data.report.skipped} bad rows are left out and listed in {output / SKIPPED_FILE}")
    state.wait_for_everyone()
    panels.attach(teacher, show_progress=state.is_main_process)
    held_out = HeldOutRun.of(config, data, teacher)
    if state.is_main_process and config.measure_start:
        _measure_before(config, panels, held_out, teacher)
    if state.is_main_process and config.hybrid:
        measure_bm25(config, panels, held_out)
    student, checkpoint = student_of_run(config, teacher, data, state, panels)
    if state.is_main_process and config.measure_start and config.eval:
        languages = ", ".join(map(language_name, data.languages))
        print(f"\nBefore training ({languages}, {data.pairs} pairs, student: {config.student}):\n{panels.table()}\n")
    state.wait_for_everyone()
    documents = _with_documents(config, data, state)
    trainer, watch = _trained(config, student, teacher, data, cache, held_out, checkpoint)
    with whole(student):  # for weights sharded by FSDP; inside, each process works alone
        agreeing = check_same_on_all_processes(student)
        if not state.is_main_process:
            return
        if agreeing > 1:
            print(f"{agreeing} processes have equal weights")
        student, offset = student_with_offset(config, student.eval(), teacher, data, held_out)
        save(student, output / "model")
        reader = teacher if config.reads_index_of == "teacher" else student
        base = config.student if config.adapter != "none" else None
        save_token_means(output / "model", student, reader, data.bitext, LanguageAdapters.of(student), base)
    _finish(
        config,
        data,
        panels,
        teacher,
        trainer,
        watch,
        resumed=checkpoint is not None,
        fingerprints=fingerprints,
        started=started,
        sample=sample,
        verdicts=verdicts,
        held_out=held_out,
        offset=offset,
        documents=documents,
    )


def _teacher(config: TrainConfig) -> Any:
    """Load the teacher, and check that an index can be used with it, before anything is encoded."""
    teacher: Any = load_encoder(config.teacher or "")
    if config.index_rows and config.student not in VOCABULARIES:
        check_index_of(teacher)
    return teacher


def _measure_before(config: TrainConfig, panels: EvaluationPanels, held_out: HeldOutRun | None, teacher: Any) -> None:
    panels.measure(table_rows.RAW, teacher)
    panels.measure_ceiling()
    if held_out:
        held_out.measure(table_rows.RAW, teacher)
    if config.off_the_shelf:
        panels.measure_off_the_shelf(load_encoder(config.off_the_shelf))


def _with_documents(config: TrainConfig, data: TrainingData, state: PartialState) -> IndexDocuments | None:
    """Add the index's documents to the training data of a mapped student."""
    documents = documents_in_training(config, data, start_report(Path(config.output_dir)))
    if documents is not None:
        data.documents = documents.rows
        if state.is_main_process:
            print(documents.sentence())
    return documents


def _trained(
    config: TrainConfig,
    student: Any,
    teacher: Any,
    data: TrainingData,
    cache: Path | None,
    held_out: HeldOutRun | None,
    checkpoint: str | None,
) -> tuple[OTDistillationTrainer | MultiVectorOTDistillationTrainer, TrainingMonitor | None]:
    """Train, and return the trainer and its monitor."""
    trainer = trainer_for(config, config.arguments(), student, teacher, data, cache)
    adapters = LanguageAdapters.of(student)
    using = adapters.use if adapters else None
    if watch := watch_for(config, teacher, data, adapters):
        trainer.add_callback(watch)
    if held_out and config.max_steps:
        trainer.add_callback(held_out.callback(using, trainer.log, start_share=start_share_of(config)))
    if held_out and PartialState().is_main_process and (checkpoint or not config.max_steps):
        held_out.measure_start(student, using)  # otherwise the first validation measures it
    if config.max_steps:
        with naming_the_last(config.output_dir):
            trainer.train(resume_from_checkpoint=checkpoint)
    return trainer, watch


def _examine(config: TrainConfig, data: TrainingData) -> dict[str, Any]:
    """Run the doctor's quick check on every bitext, print and return its verdicts; it never stops the run."""
    found, files = {}, bitext_by_language(config.bitext, config.language)
    for language, rows in data.bitext.items():
        index = evaluation_index([str(retrieval_folder(folder)) for folder in config.eval], language)
        verdict = quick_check(rows, language=language, index=index)
        verdict.name = Path(files[language]).name
        print(verdict.text())
        found[language] = verdict.as_dict()
    return found


def _finish(
    config: TrainConfig,
    data: TrainingData,
    panels: EvaluationPanels,
    teacher: Any,
    trainer: Any,
    watch: TrainingMonitor | None,
    *,
    resumed: bool,
    fingerprints: list[dict[str, Any]],
    started: float,
    sample: Any,
    verdicts: dict[str, Any],
    held_out: HeldOutRun | None,
    offset: dict[str, Any] | None,
    documents: IndexDocuments | None,
) -> None:
    """Measure the saved model, write the results and print them."""
    output, args = Path(config.output_dir), trainer.args
    # The saved model is measured, because the trained object may still run under the trainer's autocast.
    saved, adapters = load(output / "model", adapters=config.adapter != "none")
    # English has no adapter and is encoded by the base.
    using = (lambda code: adapters.use(code if code in adapters else None)) if adapters else None
    panels.measure(table_rows.AFTER, saved, using)
    if held_out:
        held_out.measure(table_rows.AFTER, saved, using)
        held_out.draw(trainer.state.log_history)
    with adapters.use(data.languages[0]) if adapters else nullcontext():
        alignment = sample.measure_alignment(saved, teacher, data.languages[0]) if sample else None
        draw_example(saved, teacher, data, output, sample)
    adapted, adapted_words = adapter_report(adapters, panels.queries()) if adapters else (None, "")
    write_results(
        output,
        evaluations=panels.evaluations(),
        per_query=panels.per_query(),
        seed=config.seed,
        data=data.with_licences(fingerprints),
        started=started,
        config=vars(config),
        precision="bf16" if args.bf16 else "fp16" if args.fp16 else "float32",
        processes=PartialState().num_processes,
        pairs=data.pairs,
        left_out_rows=data.report.skipped,
        teacher=teacher_record(str(config.teacher)),
        history=trainer.state.log_history,
        alignment=alignment,
        watch=watch.summary() if watch else None,
        seconds_per_step=None if resumed else seconds_per_step(trainer),
        adapters=adapted,
        doctor=verdicts,
        temperature=chosen_temperature(trainer.loss),
        anchor=anchor_of(trainer.loss),
        held_out=held_out.report() if held_out else None,
        offset=offset,
        **({"peak_gpu_memory_mb": peak} if (peak := peak_gpu_memory_mb()) else {}),
        **({"teacher_cache": report} if (report := cache_report(trainer)) else {}),
        **({"start": start} if (start := start_report(output)) else {}),
        **({"index_documents": documents.as_dict()} if documents is not None else {}),
        **({"realised": drawn} if (drawn := realised_counts(trainer)) else {}),
    )
    with adapters.use(data.languages[0]) if adapters else nullcontext():
        plans = plans_of(saved, teacher, drawn_pairs(data.bitext, sample), None if adapters else output / "untrained")
    page = write_run_report(
        output,
        read_results(output).content,
        languages=data.languages,
        rankings=panels.rankings(),
        held_out=held_out.rankings() if held_out else (),
        sentences=[*panels.sentences().splitlines(), *(held_out.sentences() if held_out else ())],
        plans=plans,
        held_out_curve=Drawn.of(output / "figures" / "training.svg") if held_out else None,
    )
    if not config.keep_checkpoints:
        own = [FOLDER] if config.teacher_cache == "auto" else []  # a cache whose folder was named is kept
        remove(output, "checkpoint-*", HELD_OUT, *own)
    tell(
        config,
        panels,
        read_results(output).content,
        steps=trainer.state.global_step,
        held_out=held_out.text() if held_out else "",
        held_out_queries=held_out.queries() if held_out else (),
        adapters=adapted_words,
        page=page,
        use=lambda place, teacher=None: usage(saved, place, config, data.languages[0], teacher),
        language=data.languages[0],
    )
    if config.push_to_hub:
        publication = Publication(run=output, repo_id=config.push_to_hub, teacher_id=config.teacher_id)
        build(publication, output / "publication")
        print(f"Published: {push(output / 'publication', config.push_to_hub)}")
