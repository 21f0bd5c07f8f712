"""Model card: facts from ``results.json`` and the model, rendered with a template and checked as the Hub checks it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_optical.data.languages import ENGLISH, iso_code, language_name, normalize
from hf_optical.errors import InputError
from hf_optical.evaluation.significance import legend_of
from hf_optical.evaluation.tasks import TASK_NAMES
from hf_optical.publishing.card_tables import bias_rows, english_rows, eval_results, score_tables, trimming_rows
from hf_optical.publishing.card_text import (
    bitext_limits,
    cell,
    command_line,
    data_row,
    english_limits,
    measured_only,
    pairs_used,
    short_hash,
    training,
)
from hf_optical.publishing.provenance import Teacher, bitext_of, non_commercial
from hf_optical.results.table_rows import BM25

_TEMPLATE = Path(__file__).with_name("card_template.md")

_STUDENTS = {
    "extend": "grown from the teacher: its vocabulary and body, and new pieces for the language",
    "copy": "a copy of the teacher",
    "replace": "the teacher's body under a new vocabulary",
}


@dataclass(frozen=True)
class Adapter:
    """Language adapter in the repository.

    Args:
        language: FLORES code of the language.
        subfolder: Folder of the adapter within the repository.
        rank: LoRA rank.
        bytes: Size of its weights, in bytes.
    """

    language: str
    subfolder: str
    rank: int
    bytes: int


@dataclass
class CardFacts:
    """Facts that a card states.

    Args:
        repo_id: Hub id of the published model; its last part is the card's title.
        results: Content of ``results.json`` of the training recipe.
        teacher: Id, revision and hash of the teacher.
        kind: ``"SentenceTransformer"`` or ``"MultiVectorEncoder"``.
        dimension: Width of the vectors.
        max_seq_length: Longest text, in tokens.
        vocabulary: Number of pieces.
        licence: Licence of the model, as the Hub writes it (``apache-2.0``); ``None`` leaves it out.
        per_query: Content of ``per_query.json``, from which the intervals are computed.
        held_out_per_query: The same for the run's held-out pairs.
        evaluations: Contents of ``results.json`` files of the evaluation recipe, with scores and language bias.
        adapters: Language adapters that are published beside the base.
        data: Files that were read: ``path``, ``rows``, ``sha256``, and where known ``licences`` and ``origin`` with
            counts of rows.
        fertility: Tokens per word: FLORES code to ``{"value", "words", "teacher"}``.
        trimming: The sentence of a :class:`~hf_optical.publishing.trim_proof.TrimProof`; ``None`` if the vocabulary
            was not trimmed.
        trimming_scores: Result of :func:`~hf_optical.publishing.trim_proof.retrieval_before_and_after`.
        limits: Further limits of the model, in the publisher's words.
    """

    repo_id: str
    results: Mapping[str, Any]
    teacher: Teacher
    kind: str = "SentenceTransformer"
    dimension: int | None = None
    max_seq_length: int | None = None
    vocabulary: int | None = None
    licence: str | None = None
    per_query: Mapping[str, Any] = field(default_factory=dict)
    held_out_per_query: Mapping[str, Any] = field(default_factory=dict)
    evaluations: Sequence[Mapping[str, Any]] = ()
    adapters: Sequence[Adapter] = ()
    data: Sequence[Mapping[str, Any]] = ()
    fertility: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    trimming: str | None = None
    trimming_scores: Sequence[Mapping[str, Any]] = ()
    limits: Sequence[str] = ()

    @property
    def languages(self) -> list[str]:
        """FLORES codes of the query languages, without English."""
        config = self.results.get("config") or {}
        named = [normalize(config["language"])] if config.get("language") else []
        # Bitext is named "swh_Latn=FILE" where several languages were trained.
        named += [normalize(item.partition("=")[0]) for item in bitext_of(config) if "=" in item]
        evaluated = [entry["language"] for entry in self.results.get("evaluations", ())]
        named += [code for code in evaluated if code not in TASK_NAMES]
        named += [adapter.language for adapter in self.adapters]
        return [code for code in dict.fromkeys(named) if code != ENGLISH]


def render_card(facts: CardFacts) -> str:
    """Render the card: metadata and text.

    Args:
        facts: Facts that the card states.

    Returns:
        The content of ``README.md``.

    Raises:
        InputError: The Hub would not accept the metadata.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # The output is Markdown and not HTML, so only the separators of tables are escaped, by `cell`.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(_TEMPLATE.parent), undefined=StrictUndefined, keep_trailing_newline=True
    )
    body = environment.get_template(_TEMPLATE.name).render(_context(facts))
    text = re.sub(r"\n{3,}", "\n\n", body).strip()
    card = f"---\n{metadata(facts).to_yaml(line_break=chr(10)).strip()}\n---\n\n{text}\n"
    check_card(card)
    return card


def metadata(facts: CardFacts) -> Any:
    """Build the card's metadata, with the scores of this model as ``model-index``.

    Returns:
        A ``huggingface_hub.ModelCardData``.
    """
    from huggingface_hub import ModelCardData

    results = eval_results(facts.results, facts.evaluations)
    late = facts.kind == "MultiVectorEncoder"
    tags = ["sentence-transformers", "feature-extraction", "cross-lingual-retrieval", "hf-optical"]
    extra: dict[str, Any] = {"eval_results": results, "model_name": _name(facts)} if results else {}
    return ModelCardData(
        language=[iso_code(code) for code in (*facts.languages, ENGLISH)],
        license=facts.licence,
        library_name="sentence-transformers",
        pipeline_tag="feature-extraction" if late else "sentence-similarity",
        tags=[*tags, "multi-vector" if late else "dense"],
        base_model=facts.teacher.hub_id,
        **extra,
    )


def check_card(card: str) -> None:
    """Parse a card's metadata strictly with ``huggingface_hub``, and check that its scores read back as written.

    Args:
        card: Content of ``README.md``.

    Raises:
        InputError: There is no metadata, or the metadata or its ``model-index`` cannot be read.
    """
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

    try:
        data = ModelCard(card, ignore_metadata_errors=False).data
        content = data.to_dict()
        if index := content.get("model-index"):
            name, found = model_index_to_eval_results(index)
            if eval_results_to_model_index(name, found) != index:
                raise ValueError("the model-index does not read back as written")
            bad = [each for each in found if not isinstance(each.metric_value, float | int)]
            if bad:
                raise ValueError(f"the {bad[0].metric_type} of {bad[0].dataset_name} is {bad[0].metric_value!r}")
    except (ValueError, KeyError, TypeError) as error:
        problem = f"the card's metadata is not valid ({error})"
        raise InputError(problem, "correct results.json", path="README.md") from None
    if not content:
        raise InputError("the card has no metadata", "begin it with a block between two lines of ---", path="README.md")


def _context(facts: CardFacts) -> dict[str, Any]:
    results = facts.results
    config = results.get("config") or {}
    read = facts.data or results.get("data", ())
    names = [f"{language_name(code)} ({code})" for code in facts.languages]
    spoken = " and ".join(language_name(code) for code in facts.languages) or "its language"
    citation = _citation()
    tables = score_tables(results, facts.per_query, facts.evaluations)
    held_out = score_tables(results.get("held_out") or {}, facts.held_out_per_query)
    return {
        "name": _name(facts),
        "repo_id": facts.repo_id,
        "kind": facts.kind,
        "summary": _summary(facts, spoken),
        "spoken": spoken,
        "languages": names,
        "teacher": facts.teacher,
        "student": cell(_STUDENTS.get(str(config.get("student")), str(config.get("student") or "not stated"))),
        "vectors": _vectors(facts),
        "max_seq_length": facts.max_seq_length or "not stated",
        "vocabulary": f"{facts.vocabulary:,}" if facts.vocabulary else "not stated",
        "fertility": [
            {
                "name": language_name(code),
                "value": f"{entry['value']:.2f}",
                "words": f"{entry['words']:,}",
                "teacher": f"{entry['teacher']:.2f}" if entry.get("teacher") is not None else None,
            }
            for code, entry in facts.fertility.items()
        ],
        "objective": config.get("objective") or "not stated",
        "training": training(results, config),
        "tables": tables,
        "held_out": held_out,
        "searches_words": any(row["label"] == BM25 for table in tables + held_out for row in table["rows"]),
        "verdicts_legend": legend_of("\n".join(said for table in tables + held_out for said in table["verdicts"])),
        "bias": bias_rows(facts.evaluations),
        "english": english_rows(results),
        "trimming": facts.trimming,
        "trimming_scores": trimming_rows(facts.trimming_scores),
        "adapters": [
            {
                "language": adapter.language,
                "name": f"{language_name(adapter.language)} ({adapter.language})",
                "subfolder": adapter.subfolder,
                "rank": adapter.rank,
                "size": f"{adapter.bytes / 1e6:.1f} MB",
            }
            for adapter in facts.adapters
        ],
        "data": [data_row(row) for row in read if not measured_only(row, results)],
        "measured_on": ", ".join(f"{row['path']} (`{short_hash(row)}`)" for row in read if measured_only(row, results)),
        "pairs": pairs_used(results, config),
        "non_commercial": non_commercial(facts.data),
        "limits": bitext_limits(results),
        "extra_limits": [*english_limits(results), *facts.limits],
        "command": command_line(results.get("command"), str(config.get("teacher") or ""), facts.teacher.place),
        "seed": results.get("seed"),
        "seconds": f"{round(results['seconds'])} s" if results.get("seconds") else "Time not stated",
        "peak_memory": round(results["peak_memory_mb"]) if results.get("peak_memory_mb") else None,
        "versions": _versions(results),
        "package_version": (results.get("versions") or {}).get("hf-optical") or "",
        "citation": citation,
    }


def _versions(results: Mapping[str, Any]) -> str:
    found = [f"{name} {version}" for name, version in (results.get("versions") or {}).items() if version]
    return f"{', '.join(found)}." if found else ""


def _name(facts: CardFacts) -> str:
    return facts.repo_id.rpartition("/")[2]


def _vectors(facts: CardFacts) -> str:
    width = facts.dimension or "?"
    if facts.kind == "MultiVectorEncoder":
        return f"one of {width} numbers per token (late interaction, MaxSim)"
    return f"one of {width} numbers per text"


def _summary(facts: CardFacts, spoken: str) -> str:
    """Say in a sentence what the model is."""
    teacher = facts.teacher
    if teacher.vectors_only and not teacher.hub_id:
        return (
            f"A query encoder for {spoken}, trained onto the vectors of the index `{teacher.id}`, whose model was not "
            "available. Its queries are searched in that index as it is."
        )
    return (
        f"A query encoder for {spoken}, distilled from {teacher.label} so that its queries can be searched in that "
        "model's English index."
    )


def _citation() -> str:
    from hf_optical.losses.ot_distillation import OTDistillationLoss

    prop: Any = OTDistillationLoss.citation
    return str(prop.fget(None)).strip()
