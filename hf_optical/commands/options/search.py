"""Options of ``hf-optical search``."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.fields import option


@dataclass
class SearchConfig:
    """Index documents with the teacher, and search them in any language with a query encoder."""

    teacher: str = option(text="Reads the documents, and queries of languages without an encoder.", path=True)
    documents: str | None = option(
        None, "JSONL, TSV, CSV or Parquet with id and text: all documents; what is indexed is skipped.", path=True
    )
    sync: bool = option(True, "Take out of the index what is no longer in --documents; false only adds.")
    remove_most: bool = option(False, "Also where that is more than half of the index.")
    encoders: dict[str, str] = option({}, "Query encoders (with their adapters): swh_Latn=FOLDER ...", path=True)
    query: list[str] = option([], "One query (its words), or none to index only.", words=True)
    queries: str | None = option(None, "Table of queries with text, and language where they differ.", path=True)
    language: str | None = option(None, "Language of the queries.")
    location: str | None = option(None, "Folder or URL of a Qdrant index; in memory if not given.", path=True)
    collection: str = option("documents", "Collection in it.")
    top_k: int = option(10, "Documents per query.")
    hybrid: bool = option(False, "Also search the documents' words with BM25, and fuse both by reciprocal ranks.")
    rerank: int = option(0, "Order so many of the documents found anew, token by token; needs --documents.")
    scoring: str | None = option(
        None, "Of --rerank: maxsim, soft (queries, passages) or balanced (sentences); soft where mean tokens are known."
    )
    epsilon: float = option(0.1, "Entropy of soft and balanced: 0.1 for MiniLM and its students, 0.03 for E5.")
    mean_bitext: dict[str, str] = option(
        {}, "Bitext for the mean tokens of encoders saved without: swh_Latn=FILE ...", path=True
    )
    on_bad_rows: str = option("error", "Of --mean_bitext: 'error' stops at a bad row; 'skip' leaves such rows out.")
    batch_size: int = option(32, "Texts per forward pass.")
