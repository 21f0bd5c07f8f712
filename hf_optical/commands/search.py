"""Index English documents once with the teacher, then answer queries of many languages through their students.

``hf-optical search --teacher T --documents docs.jsonl --encoders swh_Latn=outputs/swahili/model
--language swh_Latn --query 'mbuzi analala wapi?'``. With ``--location`` (a folder, or the URL of a Qdrant server) the
index is kept, and a second call only searches it. Documents are rows with ``id`` and ``text``.
"""

from __future__ import annotations

from typing import Any, cast, get_args

from hf_optical.adapters.query_encoder import query_encoder
from hf_optical.commands.options.search import SearchConfig
from hf_optical.data.search_documents import read_search_documents
from hf_optical.data.text_rows import read_text_rows
from hf_optical.data.texts import excerpt, one_form, text_fault
from hf_optical.encoders.models import load_encoder
from hf_optical.errors import InputError, check_choice
from hf_optical.evaluation.default_cache import default_cache
from hf_optical.evaluation.token_scoring import Scoring
from hf_optical.search import DocumentIndex, Hit, MemoryIndex, TokenReranker
from hf_optical.search.index_means import means_of_bitexts, means_of_folders, with_index


def main(config: SearchConfig) -> None:
    """Index the documents, search and print the results."""
    texts, languages = _queries(config)
    if not config.documents and not config.location:
        raise InputError("there is nothing to search", "add --documents FILE, or --location of an index")
    if config.rerank < 0:
        raise InputError(f"is {config.rerank}", "give the number of documents to rerank, or 0", field="rerank")
    if config.scoring is not None:
        check_choice("scoring", config.scoring, get_args(Scoring))
    if config.scoring not in (None, "maxsim") and not config.rerank:
        raise InputError(
            f"{config.scoring!r} is a score for reranking; the index itself uses MaxSim or one vector",
            "add --rerank 100",
            field="scoring",
        )
    encoders = _encoders(config)
    index = _index(config, encoders)
    shown: dict[str, str] = {}
    if config.documents:
        shown = read_search_documents(config.documents, titles=config.titles)
        print(f"{_indexed(config, index, shown)}; the index has {len(index):,}")
    found = index.query(texts, languages=languages, top_k=max(config.top_k, config.rerank), hybrid=config.hybrid)
    missing = {hit.id for hits in found for hit in hits} - set(shown)
    shown |= {name: text for name, text in index.texts(list(missing)).items() if text is not None}
    if config.rerank:
        _require_texts(found, shown)
        reranker = _reranker(config, encoders, shown, languages)
        found = reranker.rerank(texts, found, shown, languages=languages, top_k=config.top_k)
        soft = reranker.scoring != "maxsim"
        kind = f"{reranker.scoring} transport" if soft else "sums of cosines over the query's tokens"
        print(f"scores: {kind}, after reranking")
    elif config.hybrid:
        print("scores: sums of reciprocal ranks among the vectors and among the words")
    digits = 4 if config.hybrid and not config.rerank else 3  # reciprocal ranks differ in the fourth
    for text, hits in zip(texts, found, strict=True):
        print(f"\n{text}")
        for rank, hit in enumerate(hits, start=1):
            said = excerpt(shown[hit.id], 80) if hit.id in shown else ""
            print(f"  {rank:2d}  {hit.score:.{digits}f}  {hit.id}  {said}")


def _indexed(config: SearchConfig, index: DocumentIndex, documents: dict[str, str]) -> str:
    """Add the documents to the index, and describe the changes in words."""
    if not config.sync:
        added = index.add(list(documents), list(documents.values()), show_progress=True)
        return f"{added:,} documents are new or changed"
    counts = index.sync(list(documents), list(documents.values()), remove_most=config.remove_most, show_progress=True)
    return (
        f"{counts.added:,} documents added, {counts.changed:,} changed, {counts.removed:,} removed, "
        f"{counts.unchanged:,} as they were"
    )


def _require_texts(found: list[list[Hit]], shown: dict[str, str]) -> None:
    if any(hit.id not in shown for hits in found for hit in hits):
        raise InputError("needs the documents' texts", "add --documents FILE", field="rerank")


def _encoders(config: SearchConfig) -> dict[str | None, Any]:
    """Load the query encoders by language; the teacher encodes all other queries and the documents."""
    encoders: dict[str | None, Any] = {}
    for code, name in config.encoders.items():  # with the language's adapter, if the folder has one
        encoders[code] = query_encoder(name, code, required=False)
    encoders[None] = load_encoder(config.teacher)
    return encoders


def _reranker(
    config: SearchConfig, encoders: dict[str | None, Any], documents: dict[str, str], languages: list[str | None]
) -> TokenReranker:
    teacher = encoders[None]
    options: dict[str, Any] = {"batch_size": config.batch_size, "epsilon": config.epsilon}
    if config.scoring == "maxsim":
        return TokenReranker(teacher, encoders, scoring="maxsim", **options)
    means = means_of_bitexts(
        config.mean_bitext,
        encoders,
        teacher,
        on_bad_rows=config.on_bad_rows,  # type: ignore[arg-type]
    )
    means = means.joined(means_of_folders(config.encoders.values()))
    if config.scoring is None and not all(means.knows(code) for code in languages):
        return TokenReranker(teacher, encoders, scoring="maxsim", **options)
    if means.documents is not None:
        means = with_index(means, teacher, list(documents.values()), config.location)
    scoring = cast("Scoring", config.scoring or "soft")
    return TokenReranker(teacher, encoders, scoring=scoring, means=means, **options)


def _index(config: SearchConfig, encoders: dict[str | None, Any]) -> DocumentIndex:
    teacher = encoders[None]
    if config.location is None:
        return MemoryIndex(teacher, encoders, batch_size=config.batch_size, cache=default_cache())
    from hf_optical.search import QdrantIndex

    options: dict[str, Any] = {"location": config.location, "collection": config.collection}
    return QdrantIndex(teacher, encoders, batch_size=config.batch_size, **options)


def _queries(config: SearchConfig) -> tuple[list[str], list[str | None]]:
    texts = [one_form(" ".join(config.query))] if config.query else []
    if texts and (fault := text_fault(texts[0])):
        raise InputError(fault, "write a query, or leave --query out to index only", field="query")
    languages: list[str | None] = [config.language] * len(texts)
    for _, row in read_text_rows(config.queries) if config.queries else []:
        texts.append(row["text"])
        languages.append(row.get("language") or config.language)
    return texts, languages
