"""Building of a Space's folder: the app, its settings, documents, requirements, and a card with the Hub's metadata."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_optical.data.languages import language_name
from hf_optical.encoders.token_means import FILE as MEANS
from hf_optical.errors import InputError
from hf_optical.publishing.card import CardFacts
from hf_optical.publishing.layout import ADAPTERS, CARD_FILE, publication_folder, read_results
from hf_optical.publishing.provenance import find_teacher
from hf_optical.results.files import write_json

SETTINGS = "space.json"
MOST = 5_000
"""Largest number of documents of a Space, which encodes them on two CPU cores whenever it starts."""

_SDK = "6.31.0"  # version of gradio with which the app was tested


@dataclass(frozen=True)
class Space:
    """Options of a Space.

    Args:
        run: Output folder of a finished run.
        repo_id: Hub id of the published model, ``owner/name``.
        documents: English documents to search in, text by id.
        teacher_id: The teacher's Hub id, if the run was given a folder.
        teacher_revision: The teacher's commit; by default looked up in the local cache of the Hub.
        licence: Licence of the app, as the Hub writes it.
    """

    run: Path
    repo_id: str
    documents: Mapping[str, str]
    teacher_id: str | None = None
    teacher_revision: str | None = None
    licence: str | None = None


def build_space(space: Space, folder: str | Path) -> Path:
    """Write a Gradio app for the student of a run into a folder; after an error the folder is unchanged.

    The app loads the published model and its teacher with plain sentence-transformers, without this package.

    Args:
        space: Options of the Space.
        folder: A missing or empty folder, or one that holds an earlier build.

    Returns:
        The folder: ``app.py``, ``space.json``, ``documents.jsonl``, ``requirements.txt``, ``README.md``, and
        ``token_means.json`` if the student has one.

    Raises:
        InputError: The run is not finished, its student has several vectors per text, it was trained on vectors of an
            index without the teacher's model, or there are no documents or too many.
    """
    results, _ = read_results(space.run)
    _check(space, results)
    config = results.get("config") or {}
    teacher = find_teacher(
        str(config.get("teacher") or "unknown"), hub_id=space.teacher_id, revision=space.teacher_revision,
        record=results.get("teacher"),
    )  # fmt: skip
    if teacher.vectors_only:
        raise InputError(
            "the run was trained on the vectors of an index alone, and a Space has to load the index's model",
            "build the Space for a run that was trained with the model",
        )
    adapter = _adapter(space.run)
    languages = CardFacts(space.repo_id, results, teacher).languages or ([adapter] if adapter else [])
    language = " or ".join(language_name(code) for code in languages) or "your language"
    settings = {
        "title": f"Search in {language}",
        "language": language,
        "model": space.repo_id,
        "adapter": f"{ADAPTERS}/{adapter}" if adapter else None,
        "teacher": teacher.place,
        "teacher_revision": teacher.revision,
        "means_of": adapter or (languages[0] if len(languages) == 1 else None),  # whose mean token plans take off
    }
    means = space.run / "model" / MEANS
    with publication_folder(folder, marks=("app.py", SETTINGS)) as scratch:
        shutil.copyfile(Path(__file__).with_name("app.py"), scratch / "app.py")
        write_json(scratch / SETTINGS, settings)
        if means.is_file():
            shutil.copyfile(means, scratch / MEANS)
        lines = [json.dumps({"id": name, "text": text}, ensure_ascii=False) for name, text in space.documents.items()]
        (scratch / "documents.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        needed = ["sentence-transformers>=6.2", *(["peft>=0.18"] if adapter else [])]
        (scratch / "requirements.txt").write_text("\n".join(needed) + "\n", encoding="utf-8")
        models = [space.repo_id, *([teacher.hub_id] if teacher.hub_id else [])]
        (scratch / CARD_FILE).write_text(_card(settings, models, space.licence), encoding="utf-8")
    return Path(folder)


def _check(space: Space, results: Mapping[str, Any]) -> None:
    """Raise an error if there are no documents or too many, or if the run has no dense student."""
    if not space.documents:
        raise InputError("there is nothing to search", "add --documents FILE, English texts with id and text")
    if len(space.documents) > MOST:
        raise InputError(
            f"there are {len(space.documents):,} documents, and a Space encodes them whenever it starts",
            f"give {MOST:,} at most, such as the first ones of the file",
            field="documents",
        )
    modules = space.run / "model" / "modules.json"
    if not modules.is_file():
        problem = "the folder holds no sentence-transformers model"
        raise InputError(problem, "give the folder of a finished run", path=space.run)
    if "MultiVectorMask" in modules.read_text(encoding="utf-8"):
        raise InputError(
            "the student is a late-interaction model, which the app does not support",
            "build the Space for a dense student",
        )


def _adapter(run: Path) -> str | None:
    """Return the language code of the run's first adapter, or ``None`` if it has none."""
    for source in (run / ADAPTERS, run / "model" / ADAPTERS):
        found = sorted(path.name for path in source.iterdir() if path.is_dir()) if source.is_dir() else []
        if found:
            return found[0]
    return None


def _card(settings: Mapping[str, Any], models: list[str], licence: str | None) -> str:
    from huggingface_hub import SpaceCardData

    data = SpaceCardData(
        title=settings["title"], sdk="gradio", sdk_version=_SDK, python_version="3.11", app_file="app.py",
        license=licence, models=models, emoji="🔎", colorFrom="green", colorTo="gray",
        tags=["cross-lingual-retrieval", "hf-optical"],
    )  # fmt: skip
    return (
        f"---\n{data.to_yaml(line_break=chr(10)).strip()}\n---\n\n# {settings['title']}\n\n"
        f"Type a question in {settings['language']}. `{settings['model']}` reads it and searches an index of English "
        f"documents that `{settings['teacher']}` has made. The page shows the results of the teacher alone beside "
        "those of the student, and the words of question and document that match by transport between their tokens.\n\n"
        "To run it on your own machine, with models from folders if you like:\n\n"
        "```bash\npip install gradio -r requirements.txt\n"
        f"MODEL=outputs/run/model TEACHER={settings['teacher']} python app.py\n```\n"
    )
