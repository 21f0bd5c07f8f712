"""References without training, computed once per language: teacher on the raw query, BM25, translate-test, ceiling."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hf_optical.comparison.matrix import SHARED, RunSpec, listed
from hf_optical.data.benchmarks import retrieval_folder
from hf_optical.data.fingerprint import file_fingerprint
from hf_optical.data.languages import normalize
from hf_optical.data.retrieval import RetrievalSet, read_retrieval_set
from hf_optical.encoders.models import load_encoder
from hf_optical.errors import InputError
from hf_optical.evaluation.bm25 import TOKENISATIONS, evaluate_bm25
from hf_optical.evaluation.retrieval import RetrievalScores, evaluate_retrieval, queries_to_score
from hf_optical.places import distinct_names
from hf_optical.results.files import RESULTS_FILE, plain, write_json, write_results
from hf_optical.results.records import Evaluation
from hf_optical.results.table_rows import BM25, CEILING, MEANINGS, OFF_THE_SHELF, RAW, TRANSLATE
from hf_optical.runs.shared_folder import SharedFolder

REFERENCES = {row: MEANINGS[row] for row in (RAW, BM25, OFF_THE_SHELF, TRANSLATE, CEILING)}
_WITHOUT_TEACHER = (BM25, OFF_THE_SHELF)
_MARKER = "reference.json"


@dataclass(frozen=True)
class _Space:
    """A space in which vectors are compared: teacher and interaction."""

    teacher: str
    interaction: str | None
    label: str


def compute_references(
    cells: Sequence[RunSpec],
    output_dir: str | Path,
    names: Sequence[str] = (RAW, BM25, CEILING),
    *,
    translators: Mapping[str, str] | None = None,
    encoder: str | None = None,
    bm25_tokenisation: str = "words",
    show_progress: bool = False,
) -> dict[str, list[Path]]:
    """Score the references of every language; finished ones with the same settings and data are kept.

    Args:
        cells: The runs, which determine teachers, sets and interactions.
        output_dir: Folder of the comparison; each reference writes a folder under ``references``.
        names: Names from `REFERENCES`. ``translate`` is computed for the languages that have a translator.
        translators: Folder or id of a translation model by language code; ``all`` for every language.
        encoder: Folder or id of the multilingual encoder of ``off_the_shelf``.
        bm25_tokenisation: See :func:`~hf_optical.evaluation.bm25.evaluate_bm25`.
        show_progress: Whether to show progress bars.

    Returns:
        The folders by language. If arms differ in teacher or interaction, references of a teacher are computed for
        each, under names such as ``raw (maxsim)``.

    Raises:
        InputError: A reference is unknown, or ``translate`` has no translator.
    """
    for name in names:
        if name not in REFERENCES:
            raise InputError(f"{name!r} is not a reference", f"use some of {', '.join(REFERENCES)}", field="references")
    models = {code if code == "all" else normalize(code): model for code, model in (translators or {}).items()}
    if TRANSLATE in names and not models:
        raise InputError(
            "'translate' needs a translation model", "name its folder, by language or for 'all'", field="translators"
        )
    if TRANSLATE not in names and models:
        names = [*names, TRANSLATE]
    if OFF_THE_SHELF in names and not encoder:
        raise InputError("'off_the_shelf' needs a multilingual encoder", "name its folder or id", field="encoder")
    if OFF_THE_SHELF not in names and encoder:
        names = [*names, OFF_THE_SHELF]
    # A run of several languages is measured by its own rows, because no reference covers all of its languages.
    cells = [cell for cell in cells if "+" not in cell.language]
    titles = {bool(cell.options.get("titles")) for cell in cells}
    if len(titles) > 1:
        raise InputError("some arms use titles and some do not", "set titles under common", field="titles")
    work = _Work(
        Path(output_dir) / "references",
        models,
        bm25_tokenisation,
        encoder,
        show_progress,
        titles=titles == {True},
        on_problem="warn" if any(cell.options.get("on_problem") == "warn" for cell in cells) else "error",
    )
    found: dict[str, list[Path]] = {}
    jobs = [
        (language, space, name)
        for language, spaces in _spaces(cells).items()
        for space in spaces
        for name in names
        if (name != TRANSLATE or language in models or "all" in models)
        and (name not in _WITHOUT_TEACHER or space is spaces[0])
    ]
    sets = {cell.language: list(dict.fromkeys(listed(cell.options.get("eval") or []))) for cell in cells}
    for language, space, name in tqdm(jobs, desc="references", disable=not show_progress):
        found.setdefault(language, []).append(work.folder(language, space, name, sets[language]))
    return found


def found_references(cells: Sequence[RunSpec], output_dir: str | Path) -> dict[str, list[Path]]:
    """Return the folders of references that an earlier call computed, by language."""
    root = Path(output_dir) / "references"
    languages = dict.fromkeys(cell.language for cell in cells)
    return {
        language: sorted(file.parent for file in (root / language).glob(f"*/{RESULTS_FILE}")) for language in languages
    }


class _Work:
    """Computes references one by one; teachers, retrieval sets and document vectors are kept in between."""

    def __init__(
        self,
        root: Path,
        translators: Mapping[str, str],
        tokenisation: str,
        encoder: str | None,
        show_progress: bool,
        *,
        titles: bool,
        on_problem: Any = "error",
    ) -> None:
        self.on_problem = on_problem
        self.titles = titles
        self.root, self.translators, self.tokenisation = root, translators, tokenisation
        self.encoder = encoder
        self.show_progress = show_progress
        # The folder that the runs share, because they need the teacher's document vectors too.
        self.documents = SharedFolder(str(root.parent / SHARED)).documents()
        self._teacher: tuple[str, Any] | None = None

    def folder(self, language: str, space: _Space, name: str, sets: Sequence[str]) -> Path:
        alone = name in _WITHOUT_TEACHER
        label = name if alone else f"{name}{space.label}"
        folder = self.root / language / label
        translator = self.translators.get(language, self.translators.get("all")) if name == TRANSLATE else None
        settings = plain(
            {
                "reference": label,
                "teacher": None if alone else space.teacher,
                "interaction": None if alone else space.interaction,
                **({"encoder": self.encoder} if name == OFF_THE_SHELF else {}),
                "translator": translator,
                "tokenisation": TOKENISATIONS[self.tokenisation][1] if name == BM25 else None,
                "data": [file_fingerprint(retrieval_folder(path)) for path in sets],
                **({"titles": True} if self.titles else {}),
            }
        )
        marker = folder / _MARKER
        if marker.is_file() and (folder / RESULTS_FILE).is_file():
            if json.loads(marker.read_text(encoding="utf-8")) == json.loads(json.dumps(settings)):
                return folder
            (folder / RESULTS_FILE).unlink()  # removed, because it has other settings
        started = time.time()
        folder.mkdir(parents=True, exist_ok=True)
        write_json(marker, settings)
        names = distinct_names(list(map(retrieval_folder, sets)), "eval")
        items = [
            read_retrieval_set(path, language, name=name, use_titles=self.titles, on_problem=self.on_problem)
            for path, name in zip(sets, names, strict=True)
        ]
        score = self._scorer(name, language, space, translator, folder)
        scores = [found for item in items if (found := score(item)) is not None]
        write_results(
            folder,
            evaluations=[Evaluation(s.set, s.language, s.n, scores=s.metrics) for s in scores],
            per_query={f"{s.set}/{s.language}": {label: s.per_query} for s in scores},
            data=settings["data"],
            started=started,
            config=settings,
        )
        return folder

    def _scorer(
        self, name: str, language: str, space: _Space, translator: str | None, folder: Path
    ) -> Callable[[RetrievalSet], RetrievalScores | None]:
        if name == BM25:
            return lambda item: evaluate_bm25(item, tokenisation=self.tokenisation)
        if name == OFF_THE_SHELF:
            encoder: Any = load_encoder(str(self.encoder))
            return lambda item: evaluate_retrieval(
                encoder, item, document_cache=self.documents, show_progress=self.show_progress
            )
        if name == RAW:
            return lambda item: self._dense(space, item, None)
        if name == CEILING:
            return lambda item: self._dense(space, item, item.english_queries) if item.english_queries else None
        from hf_optical.evaluation.translate_test import Translator, translations

        translate = Translator(str(translator), language)

        def score(item: RetrievalSet) -> RetrievalScores:
            english = translations(translate, queries_to_score(item), show_progress=self.show_progress)
            write_json(folder / f"{item.name}.translations.json", english)
            return self._dense(space, item, english)

        return score

    def _dense(self, space: _Space, item: RetrievalSet, queries: Mapping[str, str] | None) -> RetrievalScores:
        if self._teacher is None or self._teacher[0] != space.teacher:
            self._teacher = (space.teacher, load_encoder(space.teacher))
        teacher: Any = self._teacher[1]
        return evaluate_retrieval(
            teacher,
            item,
            teacher,
            queries=queries,
            interaction=space.interaction,  # type: ignore[arg-type]
            batch_size=64,
            document_cache=self.documents,
            show_progress=self.show_progress,
        )


def _spaces(cells: Sequence[RunSpec]) -> dict[str, list[_Space]]:
    """List the different teachers and interactions of each language; the first has no label."""
    found: dict[str, dict[tuple[str, str | None], _Space]] = {}
    teachers = list(dict.fromkeys(str(cell.options.get("teacher")) for cell in cells))
    named = dict(zip(teachers, distinct_names(teachers, "teacher"), strict=True))
    for cell in cells:
        teacher, interaction = str(cell.options.get("teacher")), cell.options.get("interaction")
        spaces = found.setdefault(cell.language, {})
        if (teacher, interaction) not in spaces:
            told = [interaction or "own interaction"]
            if any(other != teacher for other, _ in spaces):
                told.append(named[teacher])
            spaces[teacher, interaction] = _Space(teacher, interaction, f" ({', '.join(told)})" if spaces else "")
    return {language: list(spaces.values()) for language, spaces in found.items()}
