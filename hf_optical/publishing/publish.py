"""Building of a finished run's repository in a folder: model, adapters, card, results, provenance."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_optical.data.retrieval import read_retrieval_set, retrieval_languages
from hf_optical.encoders.models import load_encoder
from hf_optical.errors import InputError
from hf_optical.publishing.card import Adapter, CardFacts, render_card
from hf_optical.publishing.card_text import without_licence
from hf_optical.publishing.layout import (
    ADAPTERS,
    CARD_FILE,
    check_layout,
    copy_adapters,
    copy_model,
    name_modules,
    publication_folder,
    read_held_out_scores,
    read_results,
    without_local_folders,
    write_provenance,
)
from hf_optical.publishing.provenance import bitext_of, data_provenance, find_teacher
from hf_optical.publishing.trim import prove, trim
from hf_optical.publishing.trim_proof import retrieval_before_and_after
from hf_optical.results.files import RESULTS_FILE, write_json

logger = logging.getLogger(__name__)


@dataclass
class Publication:
    """Options of a publication.

    Args:
        run: Output folder of the training recipe: ``results.json``, ``model/``, and ``adapters/`` if there are any.
        repo_id: Hub id, ``owner/name``; the card shows it too.
        teacher_id: The teacher's Hub id, if the run was given a folder.
        teacher_revision: The teacher's commit; by default looked up in the local cache of the Hub.
        licence: Licence of the model, as the Hub writes it.
        evaluations: ``results.json`` files of the evaluation recipe, whose scores the card shows.
        data: Where the training files are now, to count licences and origins; by default where the run read them.
        data_licence: Licence of training files whose rows name none.
        texts: Sentences by language code, on which tokens per word are measured.
        trim_texts: Sentences of every language to keep, to which the vocabulary is trimmed; empty for no trimming.
        trim_min_count: Least number of occurrences in ``trim_texts`` for which a piece is kept.
        trim_evaluations: Retrieval sets on which the whole and the trimmed model are compared.
        limits: Further limits of the model for the card, in the publisher's words.
    """

    run: Path
    repo_id: str
    teacher_id: str | None = None
    teacher_revision: str | None = None
    licence: str | None = None
    evaluations: Sequence[Path] = ()
    data: Sequence[str | Path] = ()
    data_licence: str | None = None
    texts: dict[str, list[str]] = field(default_factory=dict)
    trim_texts: Sequence[str] = ()
    trim_min_count: int = 1
    trim_evaluations: Sequence[str | Path] = ()
    limits: Sequence[str] = ()


def build(publication: Publication, folder: str | Path, *, show_progress: bool = False) -> Path:
    """Build the repository in a folder; after an error the folder is unchanged.

    Args:
        publication: What to publish.
        folder: A missing or empty folder, or one that holds an earlier publication.
        show_progress: Whether to show progress bars.

    Returns:
        The folder: the model's files, ``adapters/<code>/``, ``README.md``, ``results.json``, ``provenance.json``.

    Raises:
        InputError: The run is not finished, or holds pickle files or anything that needs remote code.
        NonFiniteError: A weight is NaN or infinite.
        HFOpticalError: Trimming changed a vector, or the disk is full.
    """
    run, folder = Path(publication.run), Path(folder)
    results, per_query = read_results(run)
    config = results.get("config") or {}
    teacher = find_teacher(
        str(config.get("teacher") or "unknown"), hub_id=publication.teacher_id, revision=publication.teacher_revision,
        record=results.get("teacher"),
    )  # fmt: skip
    if teacher.hub_id is None and not teacher.vectors_only:
        logger.warning(
            "the teacher was the local folder %r, so the card has no base_model; if it is on the Hub, name it with "
            "hf-optical publish --teacher_id owner/name", teacher.id,
        )  # fmt: skip
    places = publication.data or [item.rpartition("=")[2] for item in bitext_of(config)]
    data = data_provenance(results.get("data", ()), places)
    if publication.data_licence:
        unstated = without_licence(data, results)
        data = [{**row, "licences": _stated(publication.data_licence, row)} if row in unstated else row for row in data]
    with publication_folder(folder) as scratch:
        copy_model(run / "model", scratch)
        model: Any = load_encoder(str(scratch), device="cpu")
        trimming = _trim(publication, scratch, model, show_progress) if publication.trim_texts else None
        scores: list[dict[str, Any]] = []
        if trimming:
            scores = _trimmed_scores(publication, model, scratch, results, show_progress)
            results = {**results, "trimming": {**trimming.as_dict(), "retrieval": scores}}
            model = load_encoder(str(scratch), device="cpu")
        name_modules(scratch)
        adapters = _adapters(run, scratch, publication, trimmed=trimming is not None)
        facts = CardFacts(
            repo_id=publication.repo_id,
            results=results,
            teacher=teacher,
            kind=type(model).__name__,
            dimension=_dimension(model),
            max_seq_length=model.max_seq_length,
            vocabulary=len(model.tokenizer),
            licence=publication.licence,
            per_query=per_query,
            held_out_per_query=read_held_out_scores(run),
            evaluations=[json.loads(Path(path).read_text(encoding="utf-8")) for path in publication.evaluations],
            adapters=adapters,
            data=data,
            fertility=_fertility(model, str(config.get("teacher") or ""), publication.texts),
            trimming=trimming.sentence() if trimming else None,
            trimming_scores=scores,
            limits=publication.limits,
        )
        (scratch / CARD_FILE).write_text(render_card(facts), encoding="utf-8")
        write_json(scratch / RESULTS_FILE, without_local_folders(results))
        write_provenance(scratch, teacher=asdict(teacher), data=data, versions=results.get("versions"))
        check_layout(scratch)
    return folder


def _stated(licence: str, row: Mapping[str, Any]) -> dict[str, int] | str:
    return {licence: row["rows"]} if row.get("rows") else licence


def _trim(publication: Publication, folder: Path, model: Any, show: bool) -> Any:
    """Replace the model in ``folder`` by its trimmed version, and return the proof that both read alike."""
    trimmed = trim(model, publication.trim_texts, min_count=publication.trim_min_count, show_progress=show)
    proof = prove(model, trimmed, publication.trim_texts, show_progress=show).check()
    shutil.rmtree(folder)
    trimmed.model.save_pretrained(str(folder), create_model_card=False)
    return proof


def _trimmed_scores(
    publication: Publication, model: Any, folder: Path, results: Mapping[str, Any], show: bool
) -> list[dict[str, Any]]:
    """Compare retrieval before and after trimming, in every language that the run measured and the sets have."""
    measured = dict.fromkeys(entry["language"] for entry in results.get("evaluations", ()))
    sets: list[Any] = []
    titles = bool((results.get("config") or {}).get("titles"))
    for place in publication.trim_evaluations:
        languages = [code for code in retrieval_languages(place)["queries"] if code in measured]
        if not languages:
            raise InputError("the set has no language that the run was measured in", "leave the set out", path=place)
        sets += [read_retrieval_set(place, code, use_titles=titles) for code in languages]
    if not sets:
        return []
    name = (results.get("config") or {}).get("teacher")
    if not name:
        raise InputError(
            "the run was trained on the vectors of an index alone, and no model can encode the documents of a set",
            "leave --trim_eval out",
            field="trim_eval",
        )
    teacher: Any = load_encoder(str(name), device="cpu")
    trimmed: Any = load_encoder(str(folder), device="cpu")
    return retrieval_before_and_after(model, trimmed, sets, teacher, show_progress=show)


def _adapters(run: Path, folder: Path, publication: Publication, *, trimmed: bool) -> list[Adapter]:
    # The training recipe saves adapters beside their base, in model/adapters, as LanguageAdapters.save does.
    source = run / ADAPTERS if (run / ADAPTERS).is_dir() else run / "model" / ADAPTERS
    if not source.is_dir():
        return []
    if trimmed:
        for path in source.glob("*/adapter_config.json"):
            if json.loads(path.read_text(encoding="utf-8")).get("trainable_token_indices"):
                problem = "the adapter has embedding rows of its own, which belong to the whole vocabulary"
                raise InputError(problem, "publish without trimming", path=path)
    return [Adapter(**entry) for entry in copy_adapters(source, folder, publication.repo_id)]


def _dimension(model: Any) -> int | None:
    get = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    return get()


def _fertility(model: Any, teacher: str, texts: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    from hf_optical.publishing.fertility import fertility

    if not texts:
        return {}
    # A teacher on the Hub is not downloaded, and a run on an index alone has none.
    whole = load_encoder(teacher, device="cpu") if teacher and Path(teacher).is_dir() else None
    found = {}
    for code, lines in texts.items():
        value, words = fertility(model.tokenizer, lines)
        other = fertility(whole.tokenizer, lines)[0] if whole is not None else None
        found[code] = {"value": value, "words": words, "teacher": other}
    return found
