"""Options of ``hf-optical probe``."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.fields import option


@dataclass
class ProbeConfig:
    """Probe an encoder with a lexicon layer by layer, and its tokenizer with texts."""

    model: str | None = option(None, "Encoder to probe: Hub id or folder (sentence-transformers).", path=True)
    after: str | None = option(None, "The same encoder after training, drawn in the same figure.", path=True)
    teacher: str | None = option(
        None,
        "Teacher from which the model was grown, to encode the English; by default the model encodes both.",
        path=True,
    )
    lexicon: str | None = option(None, "Words and translations: JSONL, TSV, CSV, Parquet (.gz too).", path=True)
    language: str | None = option(None, "Language of the translations, to find its column among several.")
    source_field: str | None = option(None, "Column with the English; guessed if not given.")
    translation_field: str | None = option(None, "Column with the translation; guessed if not given.")
    on_bad_rows: str = option(
        "error", "What to do with bad rows of the lexicon: 'error' stops; 'skip' leaves them out."
    )
    max_pairs: int = option(
        4000, "Number of pairs to probe, from the top of the file; all their vectors are kept in memory."
    )
    keep_copies: bool = option(False, "Keep pairs whose two words are the same, which test nothing.")
    special_tokens: str = option(
        "exclude", "Special tokens in the pooling: 'exclude'; 'include' or 'first' show their effect on a probe."
    )
    texts: list[str] = option([], "Texts for the tokenizer report: .txt, JSONL, TSV, CSV, Parquet.", path=True)
    text_field: str | None = option(None, "Column with the texts; guessed if not given.")
    texts_language: str | None = option(None, "Language of the texts; taken from the column lang if not given.")
    batch_size: int = option(64, "Words per forward pass.")
    output_dir: str = option("outputs/probe", "Folder for results.json and the figure.", path=True)
    seed: int = option(0, "Random seed of the embedded sample.")
