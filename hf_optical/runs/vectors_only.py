"""Training run for an index whose model is not available: its texts and vectors stand in for the teacher."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState

from hf_optical.data.benchmarks import retrieval_folder
from hf_optical.data.fingerprint import file_fingerprint
from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.models import load_encoder, save_whole, set_dropout
from hf_optical.errors import InputError
from hf_optical.evaluation.significance import legend_of
from hf_optical.losses.terms import parse_objective, refuse_token_terms
from hf_optical.publishing.provenance import index_record
from hf_optical.results import table_rows
from hf_optical.results.files import versions, write_results
from hf_optical.runs.defaults import with_defaults
from hf_optical.runs.evaluation_panels import EvaluationPanels
from hf_optical.runs.held_out import FOLDER as HELD_OUT
from hf_optical.runs.held_out import HeldOutRun, measure_bm25, sets_of
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.run_folder import prepare_output_dir, remove
from hf_optical.runs.start_share import start_share_of
from hf_optical.runs.student import index_of_run, keep_start
from hf_optical.runs.training_data import read_training_data
from hf_optical.students.adapt import StartReport
from hf_optical.students.grow import VOCABULARIES
from hf_optical.students.vectors_only import start_on_vectors
from hf_optical.teacher_cache.vector_teacher import VectorTeacher
from hf_optical.training.checkpoints import check_checkpoint, last_whole_checkpoint, naming_the_last
from hf_optical.training.losses_by_kind import anchor_of, chosen_temperature
from hf_optical.training.trainer import OTDistillationTrainer

OBJECTIVE = "rank"
"""Default objective of such runs; terms on tokens would need the model."""


class _IndexDocuments:
    """Stand-in for the encoder of the documents: looks their vectors up in the index by text."""

    def __init__(self, index: Any, more: Any) -> None:
        self._vectors = dict(more)
        for texts, vectors in index:
            self._vectors |= zip(texts, vectors, strict=True)

    def vectors(self, model: Any, texts: Any, role: str = "document", **options: Any) -> Any:
        """Return the vectors of documents, like `DocumentCache.vectors`."""
        if role == "query":
            return encode_texts(model, texts, "query", **options)
        missing = [text for text in texts if text not in self._vectors]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(texts)} documents of a retrieval set are not in the index; the first is "
                f"{missing[0][:80]!r}",
                "give sets whose documents are in the index with the same text",
                field="eval",
            )
        return np.stack([self._vectors[text] for text in texts])


def run_vectors_only(config: TrainConfig) -> None:
    """Carry out one run whose teacher is known only by its index (``--index_rows`` without ``--teacher``).

    Args:
        config: The options.

    Raises:
        InputError: The options ask for a student grown from the teacher, adapters, an objective on tokens or several
            processes, or the data is invalid.
    """
    started, output = time.time(), Path(config.output_dir)
    _check(config)
    config = replace(config, objective=config.objective or OBJECTIVE)
    refuse_token_terms(parse_objective(str(config.objective)))
    data = read_training_data(config)
    print(*data.notes, sep="\n")
    panels = EvaluationPanels(config, data.languages)
    index: Any = index_of_run(config)
    fingerprints = [
        *data.fingerprints,
        *({**file_fingerprint(retrieval_folder(item)), "path": name} for item, name in panels.names.items()),
    ]
    config = with_defaults(config, None, data.pairs)
    decisive = {**config.decisive(), "data": fingerprints, "versions": versions()}
    prepare_output_dir(output, decisive, overwrite=config.overwrite, resume_anyway=config.resume_anyway)
    rows = data.all_bitext()
    # Sentences that are held out, and the passages made of them, are in no index: the map predicts their vectors too.
    also = [text for item in sets_of(data, config.seed) for text in item.corpus.values()]
    pairs = rows["source"][:], rows["translation"][:]
    start = start_on_vectors(config.student, index, *pairs, also=also, seed=config.seed)
    keep_start(StartReport(None, start.report), output)
    print(
        f"Of {len(start.texts):,} English texts {start.known:,} are in the index; the map predicts the vectors "
        f"of the others."
    )
    student = start.student
    set_dropout(student, config.dropout)
    source = str(config.index_rows)
    teacher = VectorTeacher(start.texts, start.vectors, bank=start.bank, tokenizer=student.tokenizer, source=source)
    documents = _IndexDocuments(index, zip(start.texts, start.vectors, strict=True))
    panels.attach(teacher, documents=documents)
    panels.measure(table_rows.BEFORE, student)
    if config.off_the_shelf:
        panels.measure_off_the_shelf(load_encoder(config.off_the_shelf))
    held_out = HeldOutRun.of(config, data, teacher, documents)
    if config.hybrid:
        measure_bm25(config, panels, held_out)
    if checkpoint := last_whole_checkpoint(output):
        check_checkpoint(checkpoint)
        print(f"Resuming from {checkpoint}")
    trainer = OTDistillationTrainer(
        model=student, teacher=teacher, args=config.arguments(), train_dataset=data.sets(bitext=True)
    )
    if held_out and config.max_steps:
        trainer.add_callback(held_out.callback(None, trainer.log, start_share=start_share_of(config)))
    if held_out and (checkpoint or not config.max_steps):
        held_out.measure_start(student)  # else the first validation does
    if config.max_steps:
        with naming_the_last(output):
            trainer.train(resume_from_checkpoint=checkpoint)
    save_whole(student.eval(), output / "model")
    saved = load_encoder(str(output / "model"))
    panels.measure(table_rows.AFTER, saved)
    if held_out:
        held_out.measure(table_rows.AFTER, saved)
        held_out.draw(trainer.state.log_history)
    write_results(
        output,
        evaluations=panels.evaluations(),
        per_query=panels.per_query(),
        seed=config.seed,
        data=data.with_licences(fingerprints),
        started=started,
        config=vars(config),
        processes=PartialState().num_processes,
        pairs=data.pairs,
        teacher=index_record(source),
        history=trainer.state.log_history,
        temperature=chosen_temperature(trainer.loss),
        anchor=anchor_of(trainer.loss),
        held_out=held_out.report() if held_out else None,
        start=StartReport(None, start.report).as_dict(),
    )
    if not config.keep_checkpoints:
        remove(output, "checkpoint-*", HELD_OUT)
    _tell(output, panels, held_out, trainer.state.global_step)


def _tell(output: Path, panels: EvaluationPanels, held_out: HeldOutRun | None, steps: int) -> None:
    """Print the end of the run."""
    print(f"\nAfter {steps} steps:\n{panels.table()}\n\n{panels.sentences()}\n")
    if held_out:
        print(f"{held_out.text()}\n")
    if said := legend_of(panels.sentences() + (held_out.text() if held_out else "")):
        print(f"{said}\n")
    print(f"Use it: SentenceTransformer({str(output / 'model')!r}).encode_query(...), with your unchanged index.")


def _check(config: TrainConfig) -> None:
    if config.student in VOCABULARIES:
        raise InputError(
            f"is {config.student!r}: a student is grown from the teacher's weights, but only its vectors are given",
            "name a multilingual encoder (Hub id or folder), or give --teacher",
            field="student",
        )
    if config.adapter != "none":
        raise InputError("needs the teacher's model", "leave it out, or give --teacher", field="adapter")
    if config.offset != "none":
        raise InputError(f"is {config.offset!r}, which needs the teacher's model", "leave it out", field="offset")
    if config.trains_retrieval or config.reads_index_of == "student":
        raise InputError(
            "query_passages and context_window need the teacher's model", "leave them out, or give --teacher"
        )
    if PartialState().num_processes > 1:
        raise InputError("a run on vectors only uses one process", "start it without accelerate launch")
