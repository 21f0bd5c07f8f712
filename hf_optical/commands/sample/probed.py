"""Default inputs of the probe: students of the sample data with two initialisations, a dictionary, and texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_optical.commands.sample.dictionary import dictionary
from hf_optical.commands.sample.grammar import LANGUAGES
from hf_optical.commands.sample.prepare import SETTINGS, prepare
from hf_optical.data.bitext import read_bitext
from hf_optical.encoders.models import load_encoder, save_whole
from hf_optical.students import starting_student


def prepare_probed(folder: str | Path, seed: int = 0) -> dict[str, Any]:
    """Write the sample data, two students grown from its teacher, and a dictionary.

    Args:
        folder: Folder of the sample data, as for :func:`.prepare.prepare`.
        seed: Seed of the data and of the students.

    Returns:
        Options of `hf-optical probe`, values by name.
    """
    prepared, language = prepare(folder, seed=seed), LANGUAGES[0]
    teacher: Any = load_encoder(str(prepared.teacher))
    rows = read_bitext(prepared.bitext(language))
    students = {name: prepared.folder / name for name in ("grown", "aligned")}
    for (name, place), row_init in zip(students.items(), ("surface", "bitext"), strict=True):
        if not place.is_dir():
            size = int(str(SETTINGS["vocab_size"]))
            save_whole(
                starting_student("extend", teacher, rows, row_init=row_init, vocab_size=size, seed=seed),
                students[name],
            )
    words = prepared.folder / f"lexicon.{language}.tsv"
    lines = ["source\ttranslation\n", *(f"{english}\t{word}\n" for english, word in dictionary(language))]
    words.write_text("".join(lines), encoding="utf-8")
    return {
        "model": str(students["grown"]),
        "after": str(students["aligned"]),
        "teacher": str(prepared.teacher),
        "lexicon": str(words),
        "texts": [str(prepared.bitext(language))],
        "text_field": "translation",
        "texts_language": language,
    }
