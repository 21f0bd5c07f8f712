"""Options of ``hf-optical advise``."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.fields import option


@dataclass
class AdviseConfig:
    """Advise which road to take, measured on held-out pairs of your own: hf-optical advise --bitext FILE ..."""

    bitext: str = option(text="Sentence pairs: JSONL, TSV, CSV, Parquet (.gz too) or a Hub id.", path=True)
    language: str = option(text="Language of the translations: swh_Latn, swh, sw...")
    teacher: str | None = option(None, "Model that made your index; leave it out if you have no index yet.", path=True)
    encoder: str = option(
        "intfloat/multilingual-e5-small", "Multilingual encoder that you could use: Hub id or folder.", path=True
    )
    source_field: str | None = option(None, "Column with the English; guessed if not given.")
    translation_field: str | None = option(None, "Column with the translation; guessed if not given.")
    seed: int = option(0, "Random seed of the held-out pairs and samples.")
    output_dir: str = option("outputs/advise", "Folder for results.json.", path=True)
