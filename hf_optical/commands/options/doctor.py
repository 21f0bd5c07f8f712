"""Options of ``hf-optical doctor``."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.fields import option


@dataclass
class DoctorConfig:
    """Find defects of sentence pairs, and write the sound pairs: hf-optical doctor FILE ..."""

    files: list[str] = option(
        text="Sentence pairs: JSONL, TSV, CSV, Parquet (.gz too) or a Hub id.", path=True, first=True
    )
    language: str | None = option(None, "Language of the translations; taken from the file if not given.")
    source_field: str | None = option(None, "Column with the English; guessed if not given.")
    translation_field: str | None = option(None, "Column with the translation; guessed if not given.")
    against: list[str] = option([], "Folders of retrieval sets whose texts the pairs must not contain.", path=True)
    write: str | None = option(
        None, "JSONL file to write the sound rows to; dropped.jsonl beside it lists the others.", path=True
    )
    drop: list[str] = option(
        [], "Kinds of defects that --write leaves out: names, all or none; a default choice if not given."
    )
    identify: bool = option(False, "Check the language of each side (slow: 0.15 ms a sentence).")
    teacher: str | None = option(
        None, "Encoder for both languages, Hub id or folder, to also check the similarity of pairs.", path=True
    )
    max_words: int = option(200, "Number of words of a side above which a row counts as overlong.")
    near: bool = option(True, "Look for near-duplicates.")
    misaligned: bool = option(True, "Look for misaligned pairs with a lexicon learnt from the file.")
    batch_size: int = option(64, "Texts per forward pass of the teacher.")
    output_dir: str = option("outputs/doctor", "Folder for results.json and report.html.", path=True)
