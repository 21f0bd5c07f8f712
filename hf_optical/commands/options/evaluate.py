"""Options of ``hf-optical evaluate``."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.fields import option


@dataclass
class EvaluateConfig:
    """Score a query encoder on retrieval sets."""

    model: str = option(text="Query encoder: Hub id or folder (sentence-transformers).", path=True)
    eval: list[str] = option(
        text="Folders of retrieval sets (corpus, queries, qrels); names, mteb:TASK, Hub ids.", path=True
    )
    adapter: str | None = option(None, "Language whose adapter encodes the queries, if the model has adapters.")
    document_model: str | None = option(
        None, "Document encoder of the same space; the query encoder by default.", path=True
    )
    languages: list[str] = option([], "Query languages; all that a folder has by default.")
    document_languages: list[str] = option([], "Document languages; all that a folder has by default.")
    output_dir: str = option("outputs/evaluate", "Folder for results.json, per_query.json and figures.", path=True)
    interaction: str | None = option(
        None, "Compare texts by 'dense' vectors or by 'maxsim'; by default the document model's own way."
    )
    scoring: str = option(
        "maxsim", "Score of token vectors (with --interaction maxsim): maxsim, or soft or balanced transport."
    )
    epsilon: float = option(
        0.05, "Entropy of the soft and balanced scores, in units of a cosine; chosen on held-out pairs."
    )
    mean_bitext: dict[str, str] = option(
        {}, "Bitext to compute mean tokens from, for a model saved without them: swh_Latn=FILE ...", path=True
    )
    metric: str = option("ndcg@10", "Measure of the intervals and of the tables by language.")
    titles: bool = option(False, "Put the title of a document before its text, as BEIR and MTEB do.")
    on_problem: str = option(
        "error", "What to do with inconsistent sets: 'error' stops; 'warn' names what is left out."
    )
    hybrid: bool = option(False, "Also search with BM25 and fuse both by reciprocal ranks; three lines per set.")
    top_k: int = option(1000, "Depth of the rankings that are scored.")
    on_bad_rows: str = option(
        "error", "What to do with bad rows of --mean_bitext: 'error' stops; 'skip' leaves them out."
    )
    batch_size: int = option(32, "Texts per forward pass.")
    document_cache: str | None = option(
        None, "Folder that keeps document vectors between runs; the user's cache by default.", path=True
    )
    figures: bool = option(True, "Draw the heat map of language pairs (needs matplotlib).")
    seed: int = option(0, "Random seed of the bootstrap intervals.")
