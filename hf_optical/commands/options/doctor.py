"""Options of ``hf-optical doctor``."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.fields import option


@dataclass
class DoctorConfig:
    """Say what is wrong with sentence pairs, and write the sound ones: hf-optical doctor FILE ..."""

    files: list[str] = option(
        text="Sentence pairs: JSONL, TSV, CSV, Parquet (.gz too) or a Hub id.", path=True, first=True
    )
    language: str | None = option(None, "Language of the translations; else what the file says.")
    source_field: str | None = option(None, "Column of the English; guessed if not given.")
    translation_field: str | None = option(None, "Column of the translation; guessed if not given.")
    against: list[str] = option([], "Folder(s) of retrieval sets that the pairs must not hold.", path=True)
    write: str | None = option(
        None, "JSONL file for the sound rows; dropped.jsonl beside it lists the others.", path=True
    )
    drop: list[str] = option([], "Kinds of defects that --write leaves out: default choice, all, none, or names.")
    identify: bool = option(False, "Check the language of each side (slow: 0.15 ms a sentence).")
    teacher: str | None = option(
        None, "Encoder that reads both languages: Hub id or folder; checks similarity.", path=True
    )
    max_words: int = option(200, "Words of a side above which a row is overlong.")
    near: bool = option(True, "Look for near-duplicates.")
    misaligned: bool = option(True, "Look for misaligned pairs with a lexicon learnt from the file.")
    batch_size: int = option(64, "Texts per forward pass of the teacher.")
    output_dir: str = option("outputs/doctor", "Where results.json and report.html go.", path=True)
