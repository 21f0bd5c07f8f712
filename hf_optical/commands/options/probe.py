"""Options of ``hf-optical probe``."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.fields import option


@dataclass
class ProbeConfig:
    """Probe an encoder with a lexicon layer by layer, and its tokenizer with texts."""

    model: str | None = option(None, "Encoder to probe: Hub id or folder (sentence-transformers).", path=True)
    after: str | None = option(None, "The same encoder after training, drawn beside it.", path=True)
    teacher: str | None = option(
        None, "Reads the English, for a student grown from it; else the model reads both.", path=True
    )
    lexicon: str | None = option(None, "Words and translations: JSONL, TSV, CSV, Parquet (.gz too).", path=True)
    language: str | None = option(None, "Language of the translations, to tell its column among several.")
    source_field: str | None = option(None, "Column of the English; guessed if not given.")
    translation_field: str | None = option(None, "Column of the translation; guessed if not given.")
    on_bad_rows: str = option("error", "Of the lexicon: 'error' stops at a bad row; 'skip' leaves such rows out.")
    max_pairs: int = option(4000, "Pairs probed, from the top of the file; all vectors are kept in memory.")
    keep_copies: bool = option(False, "Keep pairs whose two words are the same, which test nothing.")
    special_tokens: str = option("exclude", "exclude; or include, first: what special tokens do to such a probe.")
    texts: list[str] = option([], "Texts for the tokenizer report: .txt, JSONL, TSV, CSV, Parquet.", path=True)
    text_field: str | None = option(None, "Column of the texts; guessed if not given.")
    texts_language: str | None = option(None, "Language of the texts; else the column lang, or unknown.")
    batch_size: int = option(64, "Words per forward pass.")
    output_dir: str = option("outputs/probe", "Where results.json and the figure go.", path=True)
    seed: int = option(0, "Of the embedded sample.")
