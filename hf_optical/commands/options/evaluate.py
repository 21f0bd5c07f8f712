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
    adapter: str | None = option(None, "Language of the adapter that reads, where the model has adapters.")
    document_model: str | None = option(
        None, "Document encoder of the same space; the query encoder by default.", path=True
    )
    languages: list[str] = option([], "Query languages; all that a folder has by default.")
    document_languages: list[str] = option([], "Document languages; all that a folder has by default.")
    output_dir: str = option("outputs/evaluate", "Where results.json, per_query.json and figures go.", path=True)
    interaction: str | None = option(None, "Score with 'dense' or 'maxsim'; by default as the document model does.")
    scoring: str = option("maxsim", "Of token vectors (--interaction maxsim): maxsim, soft or balanced transport.")
    epsilon: float = option(0.1, "Entropy of soft and balanced: 0.1 for MiniLM and its students, 0.03 for E5.")
    mean_bitext: dict[str, str] = option(
        {}, "Bitext for the mean tokens of a model saved without: swh_Latn=FILE ...", path=True
    )
    metric: str = option("ndcg@10", "Measure of the intervals and of the tables by language.")
    titles: bool = option(False, "Put the title of a document before its text, as BEIR and MTEB do.")
    on_problem: str = option("error", "Of inconsistent sets: 'error' stops; 'warn' names what is left out.")
    hybrid: bool = option(False, "Also search with BM25, and fuse both by reciprocal ranks: three lines a set.")
    top_k: int = option(1000, "Depth of the rankings.")
    on_bad_rows: str = option("error", "Of --mean_bitext: 'error' stops at a bad row; 'skip' leaves such rows out.")
    batch_size: int = option(32, "Texts per forward pass.")
    document_cache: str | None = option(None, "Folder that keeps document vectors between runs.", path=True)
    figures: bool = option(True, "Draw the heat map of language pairs (needs matplotlib).")
    seed: int = option(0, "Of the bootstrap.")
