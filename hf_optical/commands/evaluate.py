"""Score a query encoder on retrieval sets, with documents encoded by it or by another encoder of the same space.

``hf-optical evaluate --model STUDENT --document_model TEACHER --eval FOLDER --output_dir OUT``. A folder with
documents in several languages is scored monolingually, cross-lingually and pooled, with its language bias. In place of
a folder: ``xquad_r``, ``belebele:swh_Latn``, ``ciral:so@COPY``, ``mteb:NFCorpus``, or a Hub id in BEIR's layout.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_optical.adapters.query_encoder import query_encoder
from hf_optical.commands.options.evaluate import EvaluateConfig
from hf_optical.data.benchmarks import retrieval_folder
from hf_optical.data.fingerprint import file_fingerprint
from hf_optical.data.languages import ENGLISH
from hf_optical.data.reading_notes import reading_notes
from hf_optical.data.retrieval import RetrievalSet, read_retrieval_set, retrieval_languages
from hf_optical.encoders.models import load_encoder
from hf_optical.encoders.token_means import TokenMeans
from hf_optical.errors import InputError
from hf_optical.evaluation.bm25 import bm25_run
from hf_optical.evaluation.default_cache import default_cache
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.fusion import fuse_runs
from hf_optical.evaluation.multilingual import evaluate_multilingual
from hf_optical.evaluation.multilingual_set import (
    MultilingualSet,
    choose_languages,
    has_sentences,
    read_multilingual_set,
)
from hf_optical.evaluation.report import (
    evaluation_entry,
    multilingual_entries,
    pair_matrix,
    scores_table,
    task_table,
)
from hf_optical.evaluation.retrieval import evaluate_retrieval, scores_of_run
from hf_optical.evaluation.significance import compare_all
from hf_optical.figures.language_pairs import draw_language_pairs
from hf_optical.places import distinct_names, holding_output
from hf_optical.results.files import write_results
from hf_optical.results.measures import MEASURES
from hf_optical.results.records import Evaluation
from hf_optical.results.table_rows import BM25, FUSED
from hf_optical.search.index_means import means_of_bitexts, means_of_folders


@dataclass
class _Outcome:
    entries: list[Evaluation] = field(default_factory=list)
    per_query: dict[str, Any] = field(default_factory=dict)
    bias: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)


@holding_output
def main(config: EvaluateConfig) -> None:
    """Read the sets, encode, search, score and write the results."""
    started, outcome = time.time(), _Outcome()
    if config.metric not in MEASURES:
        raise InputError(
            f"the measure {config.metric!r} is unknown", f"use one of {', '.join(MEASURES)}", field="metric"
        )
    if config.adapter and not config.document_model:
        raise InputError(
            "an adapter encodes queries, not documents", "give --document_model, the teacher", field="adapter"
        )
    for name in ("top_k", "batch_size"):
        if getattr(config, name) < 1:
            raise InputError(f"is {getattr(config, name)}", "give a whole number of 1 or more", field=name)
    folders = [retrieval_folder(source) for source in config.eval]
    # All sets are read first, so that a fault of the last one is not found after hours of encoding.
    names = distinct_names(folders, "eval")
    items = [item for folder, name in zip(folders, names, strict=True) for item in _read(config, folder, name)]
    queries = query_encoder(config.model, config.adapter)
    documents = load_encoder(config.document_model) if config.document_model else queries
    options: dict[str, Any] = {
        "interaction": config.interaction,
        "scoring": config.scoring,
        "means": _means(config, queries, documents),
        "epsilon": config.epsilon,
        "top_k": config.top_k,
        "batch_size": config.batch_size,
        "document_cache": DocumentCache(config.document_cache) if config.document_cache else default_cache(),
        "show_progress": True,
    }
    if config.hybrid and any(isinstance(item, MultilingualSet) for item in items):
        raise InputError(
            "BM25 searches documents of one language",
            "name it with --document_languages, or leave it out",
            field="hybrid",
        )
    for item in items:
        if isinstance(item, MultilingualSet):
            _many_languages(config, item, (queries, documents), options, outcome)
        else:
            _one_language(config, item, (queries, documents), options, outcome)
    path = write_results(
        config.output_dir,
        evaluations=outcome.entries,
        per_query=outcome.per_query,
        seed=config.seed,
        data=[{**file_fingerprint(folder), "path": name} for folder, name in zip(folders, names, strict=True)],
        started=started,
        config=asdict(config),
        **({"summary": outcome.summary, "bias": outcome.bias} if outcome.bias else {}),
    )
    print(f"\n{scores_table(outcome.entries, config.metric)}\n\nWritten: {path}")


def _means(config: EvaluateConfig, queries: Any, documents: Any) -> TokenMeans | None:
    if config.scoring == "maxsim":
        return None
    means = means_of_bitexts(
        config.mean_bitext,
        {None: queries},
        documents,
        on_bad_rows=config.on_bad_rows,  # type: ignore[arg-type]
    )
    return means.joined(means_of_folders([config.model]))


def _read(config: EvaluateConfig, folder: Path, name: str) -> list[RetrievalSet | MultilingualSet]:
    answered = _document_languages(config, folder)
    if len(answered) > 1:
        levels = ("passage", "sentence") if has_sentences(folder) else ("passage",)
        return [
            read_multilingual_set(
                folder,
                level,  # type: ignore[arg-type]
                query_languages=config.languages,
                document_languages=config.document_languages if level == "passage" else (),
                name=name if level == "passage" else f"{name}-sentences",
                use_titles=config.titles,
                on_problem=config.on_problem,  # type: ignore[arg-type]
            )
            for level in levels
        ]
    found = retrieval_languages(folder)
    # Queries without a language in the file's name are in whatever language the user says.
    asked = config.languages if "queries" in found["untagged"] and config.languages else None
    return [
        read_retrieval_set(
            folder,
            language,
            answered[0],
            name,
            use_titles=config.titles,
            on_problem=config.on_problem,  # type: ignore[arg-type]
        )
        for language in asked or choose_languages(found["queries"], config.languages, folder)
    ]


def _document_languages(config: EvaluateConfig, folder: Path) -> list[str]:
    found = retrieval_languages(folder)["documents"]
    if found or config.document_languages:
        return choose_languages(found, config.document_languages, folder)
    return [ENGLISH]  # a corpus without a language in its name


def _one_language(
    config: EvaluateConfig, item: RetrievalSet, models: tuple[Any, Any], options: Any, outcome: _Outcome
) -> None:
    scores = evaluate_retrieval(models[0], item, models[1], keep_run=config.hybrid, **options)
    entry = evaluation_entry(scores, item.document_language, seed=config.seed)
    entry.others |= item.notes()
    key = f"{item.name}/{item.query_language}/{item.document_language}"
    outcome.per_query[key] = scores.per_query
    if config.hybrid:
        words = bm25_run(item, top_k=config.top_k)
        found = {BM25: scores_of_run(item, words), FUSED: scores_of_run(item, fuse_runs([scores.run or {}, words]))}
        entry.rows = {row: one.metrics for row, one in found.items()}
        outcome.per_query |= {f"{key}/{row}": one.per_query for row, one in found.items()}
        others = {"bm25": found[BM25], "the model alone": scores}
        tests = compare_all([(found[FUSED], other) for other in others.values()], config.metric, seed=config.seed)
        entry.tests = {f"{FUSED} against {name}": asdict(one) for name, one in zip(others, tests, strict=True)}
    outcome.entries.append(entry)


def _many_languages(
    config: EvaluateConfig, item: MultilingualSet, models: tuple[Any, Any], options: Any, outcome: _Outcome
) -> None:
    scores = evaluate_multilingual(models[0], item, models[1], metric=config.metric, **options)
    entries = multilingual_entries(scores, seed=config.seed)
    for entry in entries:
        entry.others |= reading_notes(item.titled, item.titles_read)
    outcome.entries += entries
    found = [*scores.pairs.values(), *scores.pooled.values()]
    for entry, one in zip(entries, found, strict=True):
        outcome.per_query[f"{entry.set}/{entry.language}/{entry.document_language}"] = one.per_query
    outcome.bias[item.name] = asdict(scores.bias)
    outcome.summary[item.name] = {name: scores.summary(name) for name in MEASURES}
    print(f"\n{task_table(scores, config.metric)}")
    if config.figures:
        place = Path(config.output_dir) / "figures" / f"{item.name}.png"
        draw_language_pairs(*pair_matrix(scores, config.metric), place, title=f"{item.name}, {config.metric}")
