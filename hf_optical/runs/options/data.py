"""Options of a run: teacher, student, language and training data."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.parsing import option


@dataclass
class DataOptions:
    """Options that name models and training data."""

    config: str | None = option(None, "YAML file with any of these options; flags override it.", path=True)
    teacher: str | None = option(
        None, "English retriever that made the index: Hub id or folder (sentence-transformers).", path=True
    )
    student: str = option(
        "extend",
        "Model to train: 'copy', 'extend' or 'replace' grows one from the teacher; or a Hub id or folder.",
        path=True,
    )
    language: str | None = option(None, "Language of the queries: swh_Latn, swh, sw...")
    bitext: list[str] = option(
        [],
        "Sentence pairs: JSONL, TSV, CSV, Parquet (.gz too) or a Hub id; CODE=FILE for several languages.",
        path=True,
    )
    source_field: str | None = option(None, "Column with the English; guessed if not given.")
    translation_field: str | None = option(None, "Column with the translation; guessed if not given.")
    on_bad_rows: str = option(
        "error",
        "What to do with bad rows of bitext and lexicons: 'error' stops at the first; 'skip' leaves them out and lists "
        "them.",
    )
    max_pairs: int | None = option(None, "Use only this many pairs of each bitext, sampled with the seed.")
    query_passages: list[str] = option(
        [],
        "Questions and passages to train retrieval on: mono/eng_Latn=FILE, cross/swh_Latn-eng_Latn=FILE.",
        path=True,
        former={"pairs": None},
    )
    max_questions: int | None = option(
        None,
        "Use only this many questions of each cross-lingual set, sampled with the seed; to see the value of more.",
        yaml_only=True,
    )
    context_window: int = option(
        0,
        "Sentences per passage when retrieval pairs are made of bitext with a column of documents; 0 makes none.",
        former={"contexts": None},
    )
    alpha: float = option(
        0.5, "Probability that a batch of questions and passages is monolingual; the others are cross-lingual."
    )
    bitext_share: float = option(
        0.5, "Share of batches from the bitext, where questions and passages are trained on too.", yaml_only=True
    )
    bitext_first: bool = option(
        False,
        "Train on the bitext first and on questions and passages afterwards, each for its share of the steps; by "
        "default their batches are mixed.",
        yaml_only=True,
    )
    language_weights: str = option(
        "uniform",
        "How the language of a batch is drawn: uniform, in proportion to its size ('size'), or to a power of the size "
        "(a number such as 0.5).",
        yaml_only=True,
    )
    index_rows: str | None = option(
        None,
        "Texts and vectors of the index itself: a folder with vectors.npy, a Parquet file, or a Qdrant collection as "
        "LOCATION#COLLECTION. A student of another encoder is also mapped onto them, onto 10,000 drawn at random if "
        "there are more, and goes on reading them in training.",
        path=True,
    )
    index_text_field: str | None = option(
        None, "Column of the text in index_rows; guessed if not given.", yaml_only=True
    )
    index_vector_field: str | None = option(
        None, "Column or name of the vector in index_rows; guessed if not given.", yaml_only=True
    )
