"""Language adapters in training: the adapter of each row, checkpoints, evaluators."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from datasets import Dataset
from sentence_transformers.base.evaluation import BaseEvaluator

from hf_optical.adapters.language_adapters import LanguageAdapters
from hf_optical.data.languages import ENGLISH, UnknownLanguageError, normalize
from hf_optical.errors import InputError

LANGUAGE_COLUMN = "language"
"""Column of a training set that says each row's language, where the name of the set does not."""


class RowLanguages:
    """Adapter of a training row: by its column ``language``, else by its data set's name.

    Args:
        languages: The adapters that are trained.

    Example:
        >>> rows = RowLanguages(["swh_Latn", "som_Latn"])
        >>> rows({"source": "a"}, "bitext/eng_Latn-swh_Latn"), rows({"language": "so"}, "bitext/mixed")
        ('swh_Latn', 'som_Latn')
    """

    def __init__(self, languages: Any) -> None:
        self.languages = tuple(languages)

    def __call__(self, row: Mapping[str, Any], name: str | None) -> str:
        """The adapter of one row.

        Raises:
            InputError: Neither says it, or it has no adapter that is trained.
        """
        given = row.get(LANGUAGE_COLUMN)
        try:
            language = _normal(given) if LANGUAGE_COLUMN in row else language_of(name)
        except (UnknownLanguageError, TypeError) as error:
            raise InputError(
                f"a row's language is {given!r}", "give a code such as 'swh_Latn'", path=name, field=LANGUAGE_COLUMN
            ) from error
        if language is None:
            raise InputError(
                "language adapters are trained and neither the set's name nor its rows say the language",
                "name the set like 'bitext/eng_Latn-swh_Latn', or add a column 'language'",
                path=name,
            )
        if language not in self.languages:
            raise InputError(
                f"the rows are {language}, which has no adapter that is trained",
                f"add one: adapters.add({language!r}); trained are: {', '.join(self.languages) or 'none'}",
                path=name,
            )
        return language

    def check(self, data: Any) -> None:
        """Check whole data sets before training; streams are checked as they come."""
        sets = data.items() if isinstance(data, Mapping) else [(None, data)]
        for name, rows in sets:
            if rows is None or isinstance(rows, str):
                continue
            if LANGUAGE_COLUMN not in (rows.column_names or ()):
                self({}, name)
            elif isinstance(rows, Dataset):
                for value in rows.unique(LANGUAGE_COLUMN):
                    self({LANGUAGE_COLUMN: value}, name)


def language_of(name: str | None) -> str | None:
    """Return the one language besides English in the name of a training set, or ``None``.

    Example:
        >>> language_of("bitext/eng_Latn-swh_Latn"), language_of("mono/som_Latn"), language_of("bitext/mixed")
        ('swh_Latn', 'som_Latn', None)
    """
    found = []
    for part in (name or "").partition("/")[2].split("-"):
        try:
            found.append(_normal(part))
        except UnknownLanguageError:
            continue
    others = list(dict.fromkeys(language for language in found if language != ENGLISH))
    return others[0] if len(others) == 1 else None


@lru_cache(maxsize=1024)
def _normal(code: str) -> str:
    return normalize(code)


def save_checkpoint(adapters: LanguageAdapters, folder: str | Path) -> None:
    """Save all adapters into a checkpoint; the base does not change and is recorded by its hash."""
    from hf_optical.adapters.files import write_adapters

    write_adapters(adapters, Path(folder), {})


def load_checkpoint(adapters: LanguageAdapters, folder: str | Path) -> None:
    """Restore a checkpoint's weights exactly.

    Raises:
        InputError: It holds other languages, other shapes, or belongs to a base with other weights.
    """
    from hf_optical.adapters.files import open_repository, read_adapter

    repository = open_repository(folder)
    if set(repository.languages) != set(adapters.languages):
        raise InputError(
            f"the checkpoint holds adapters for {', '.join(repository.languages) or 'no language'}, "
            f"the model for {', '.join(adapters.languages)}",
            "add the same languages in the same way as for the first run",
            path=folder,
        )
    repository.check_base(adapters)
    for language in adapters.languages:
        adapters.load_state(language, read_adapter(repository, language)[1])


class LanguageEvaluator(BaseEvaluator):
    """Evaluator that uses the model as one language, in and after training.

    Args:
        evaluator: Any evaluator of sentence-transformers.
        adapters: Of the model.
        language: Texts are encoded through its adapter; ``None`` for the base.
    """

    def __init__(self, evaluator: Any, adapters: LanguageAdapters, language: str | None) -> None:
        super().__init__()
        self.evaluator, self.adapters, self.language = evaluator, adapters, language
        self.primary_metric = getattr(evaluator, "primary_metric", None)
        self.greater_is_better = getattr(evaluator, "greater_is_better", True)

    def __call__(self, model: Any, *args: Any, **options: Any) -> Any:
        """The inner evaluator's own result."""
        with self.adapters.use(self.language):
            result = self.evaluator(model, *args, **options)
        # Evaluators with a name put it before their metric when they are first called.
        self.primary_metric = getattr(self.evaluator, "primary_metric", None)
        return result

    @property
    def description(self) -> str:
        """As the inner evaluator's, with the language."""
        inner = getattr(self.evaluator, "description", type(self.evaluator).__name__)
        return f"{inner} ({self.language or 'base'})"
