"""Publish a finished run: model, adapters, card and results, into a folder or on the Hub; or a teacher cache.

``hf-optical publish --run OUT --dry_run FOLDER`` builds it for inspection; ``--repo_id owner/name`` publishes it,
private unless ``--public`` is given. The token comes from HF_TOKEN or `hf auth login`. Running it again updates the
repository. ``--teacher_cache FOLDER`` in place of ``--run`` publishes a teacher's vectors as a data set. ``--space
FOLDER --documents FILE`` builds a Gradio app for the published model, beside a dry run or alone, and sends nothing.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from hf_optical.commands.options.publish import PublishConfig
from hf_optical.data.languages import normalize
from hf_optical.data.search_documents import read_search_documents
from hf_optical.errors import InputError
from hf_optical.publishing.card_text import without_licence
from hf_optical.publishing.hub import push
from hf_optical.publishing.layout import PROVENANCE_FILE, read_results
from hf_optical.publishing.provenance import YOUR_TEACHER, find_teacher, teacher_folder
from hf_optical.publishing.publish import Publication, build
from hf_optical.publishing.samples import read_sample
from hf_optical.publishing.space import SETTINGS, Space, build_space

_OF_A_CACHE = ("teacher_cache", "repo_id", "dry_run", "public", "revision", "license")


def main(config: PublishConfig) -> None:
    """Build the repository, and upload it unless this is a dry run."""
    if config.space:
        _space(config)
        if not config.dry_run:
            return
    if not config.dry_run and not config.repo_id:
        raise InputError("there is no place to publish to", "add --dry_run FOLDER, or --repo_id owner/name")
    if bool(config.run) == bool(config.teacher_cache):
        raise InputError("one thing is published at a time", "give either --run OUT or --teacher_cache FOLDER")
    make, send = _of_cache(config) if config.teacher_cache else _of_run(config)
    if config.run and not config.dry_run:
        _require_teacher_id(config)
    if config.dry_run:
        folder = make(config.dry_run)
        print(f"Built: {folder}. Nothing was sent; look at {folder / 'README.md'}")
        if config.run:
            _say_unstated_licences(config, folder)
            print(f"Send it with\n  {_sending(config)}")
        return
    # Built on the disk of the cache, because a cache may be many gigabytes.
    beside = Path(config.teacher_cache).resolve().parent if config.teacher_cache else None
    with TemporaryDirectory(dir=beside, prefix=".publishing-") as scratch:
        folder = make(Path(scratch) / "repository")
        if config.run:
            _say_unstated_licences(config, folder)
        url = send(folder, str(config.repo_id), private=not config.public, revision=config.revision)
    print(f"Published: {url}")


def _say_unstated_licences(config: PublishConfig, folder: Path) -> None:
    """Say which training files have no licence in the card, and how to state it."""
    results, _ = read_results(Path(config.run or ""))
    data = json.loads((folder / PROVENANCE_FILE).read_text(encoding="utf-8"))["data"]
    if files := ", ".join(str(row.get("path")) for row in without_licence(data, results)):
        print(
            f"The card says of {files} that the licence is not stated: if you know it, add --data_license NAME (or "
            "give the pairs a column license before training)"
        )


def _sending(config: PublishConfig) -> str:
    """Return the command that sends what a dry run built, with the options that the card still lacks."""
    given = vars(config) | {"repo_id": config.repo_id or "OWNER/NAME", "license": config.license or "LICENCE"}
    if _nameless_teacher(config):
        given["teacher_id"] = "OWNER/TEACHER"
    words = ["hf-optical", "publish"]
    for name, value in given.items():
        if value != vars(PublishConfig())[name] and name not in ("dry_run", "space", "documents"):
            several = value if isinstance(value, list) else [value]
            words += [f"--{name}", *([] if value is True else map(str, several))]
    return shlex.join(words)


def _of_run(config: PublishConfig) -> tuple[Callable[..., Path], Callable[..., str]]:
    """Build and upload the repository of a run."""
    place = Path(config.run or "")
    publication = Publication(
        run=place,
        repo_id=config.repo_id or f"your-name/{place.resolve().name}",
        teacher_id=config.teacher_id,
        teacher_revision=config.teacher_revision,
        licence=config.license,
        evaluations=[Path(folder) / "results.json" for folder in config.evaluations],
        data=config.data,
        data_licence=config.data_license,
        texts=_texts(config, place),
        trim_texts=[text for path in config.trim for text in read_sample(path, config.text_fields)],
        trim_min_count=config.trim_min_count,
        trim_evaluations=config.trim_eval,
        limits=[line for path in config.limits for line in read_sample(path)],
    )
    return partial(build, publication, show_progress=True), push


def _space(config: PublishConfig) -> None:
    """Build the folder of a Space and print how to try and upload it."""
    if not config.run:
        raise InputError("is an app for the student of a run", "add --run OUT", field="space")
    if not config.repo_id:
        raise InputError("the app does not know the published model", "add --repo_id owner/name, as published")
    if not config.documents:
        raise InputError("the app has nothing to search", "add --documents FILE: English, with id and text")
    space = Space(
        Path(config.run), config.repo_id, read_search_documents(config.documents),
        teacher_id=config.teacher_id, teacher_revision=config.teacher_revision, licence=config.license,
    )  # fmt: skip
    folder = build_space(space, str(config.space))
    place, model = shlex.quote(str(folder)), shlex.quote(str(Path(config.run) / "model"))
    print(
        f"Built: {folder}, a Gradio app over {len(space.documents):,} documents. Nothing was sent. Try it with\n"
        f"  pip install gradio -r {place}/requirements.txt\n"
        f"  MODEL={model} TEACHER={shlex.quote(_teacher_here(config))} python {place}/app.py"
    )
    if _nameless_teacher(config):
        print(
            f"It cannot be sent yet: the teacher of the run was a folder, which a Space cannot load ({YOUR_TEACHER!r} "
            f"stands for it in {folder / SETTINGS}). Once the teacher is on the Hub, build this again with "
            "--teacher_id owner/name."
        )
        return
    sent = f"  hf upload {config.repo_id}-search {place} . --repo-type space"
    print(f"and once the model is published, send it:\n{sent}")


def _teacher_here(config: PublishConfig) -> str:
    """Return where this machine loads the run's teacher from: its folder if that is still there, or else its id."""
    results, _ = read_results(Path(config.run or ""))
    name, record = str((results.get("config") or {}).get("teacher") or ""), results.get("teacher") or {}
    folder = teacher_folder(name, record["sha256"]) if record.get("sha256") else None
    teacher = find_teacher(name, hub_id=config.teacher_id, record=record)
    return str(folder.resolve()) if folder is not None else teacher.place


def _require_teacher_id(config: PublishConfig) -> None:
    """Ask for the id of a teacher that was a folder: what is published names a model that others can load."""
    if folder := _nameless_teacher(config):
        raise InputError(
            f"the teacher of the run was the folder {folder!r}, which nobody else has",
            "name its Hub id: --teacher_id owner/name; --dry_run FOLDER builds the repository without",
            field="teacher_id",
        )


def _nameless_teacher(config: PublishConfig) -> str | None:
    """Return the folder that was the run's teacher, if its Hub id is not known."""
    results, _ = read_results(Path(config.run or ""))
    name = str((results.get("config") or {}).get("teacher") or "")
    teacher = find_teacher(name, hub_id=config.teacher_id, record=results.get("teacher"))
    return None if teacher.hub_id is not None or teacher.vectors_only else teacher.id


def _of_cache(config: PublishConfig) -> tuple[Callable[..., Path], Callable[..., str]]:
    """Build and upload the data set of a teacher cache."""
    from hf_optical.teacher_cache import build_dataset, publish

    usual = vars(PublishConfig())
    for name, value in vars(config).items():
        if name not in _OF_A_CACHE and value != usual[name]:
            raise InputError("does not apply to a teacher cache", "leave it out", field=name)
    if not config.license:
        raise InputError(
            "is not given", "name the licence of the texts, which can be reconstructed from their ids", field="license"
        )
    return partial(build_dataset, config.teacher_cache or "", licence=config.license, repo_id=config.repo_id), publish


def _texts(config: PublishConfig, place: Path) -> dict[str, list[str]]:
    if not config.texts:
        return {}
    language = (read_results(place)[0].get("config") or {}).get("language")
    if not language:
        raise InputError("the run does not state its language", "leave --texts out", path=place)
    return {normalize(language): read_sample(config.texts, config.text_fields)}
