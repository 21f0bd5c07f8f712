"""Options of ``hf-optical search``."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.fields import option


@dataclass
class SearchConfig:
    """Index documents with the teacher, and search them in any language with a query encoder."""

    teacher: str = option(
        text="Teacher: encoder of the documents, and of queries in languages without their own encoder.", path=True
    )
    documents: str | None = option(
        None,
        "JSONL, TSV, CSV or Parquet with id and text: all documents; those already indexed are skipped.",
        path=True,
    )
    titles: bool = option(False, "Put the title of a document before its text, as in training with --titles.")
    sync: bool = option(True, "Remove documents from the index that are no longer in --documents; false only adds.")
    remove_most: bool = option(False, "Remove them even if they are more than half of the index.")
    encoders: dict[str, str] = option({}, "Query encoders (with their adapters): swh_Latn=FOLDER ...", path=True)
    query: list[str] = option([], "A query; without one documents are only indexed.", words=True)
    queries: str | None = option(
        None, "Table of queries with the column text, and the column language if they differ.", path=True
    )
    language: str | None = option(None, "Language of the queries.")
    location: str | None = option(None, "Folder or URL of a Qdrant index; in memory if not given.", path=True)
    collection: str = option("documents", "Name of the collection in the index.")
    top_k: int = option(10, "Number of documents to print per query.")
    hybrid: bool = option(False, "Also search the documents' words with BM25, and fuse both by reciprocal ranks.")
    rerank: int = option(
        0, "Number of found documents to rerank token by token; their texts come from --documents or the index."
    )
    scoring: str | None = option(
        None,
        "Score of --rerank: maxsim, soft (for queries and passages) or balanced (for sentences); soft by "
        "default if mean tokens are known.",
    )
    epsilon: float = option(
        0.05, "Entropy of the soft and balanced scores, in units of a cosine; chosen on held-out pairs."
    )
    mean_bitext: dict[str, str] = option(
        {}, "Bitext to compute mean tokens from, for encoders saved without them: swh_Latn=FILE ...", path=True
    )
    on_bad_rows: str = option(
        "error", "What to do with bad rows of --mean_bitext: 'error' stops; 'skip' leaves them out."
    )
    batch_size: int = option(32, "Texts per forward pass.")
