"""Language adapters in training: the language of each row, checkpoints, and evaluation in one language."""

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
"""Column of a training set with each row's language, for sets whose name does not state it."""


class RowLanguages:
    """Function that finds the adapter of a training row by its column ``language``, or by the name of its data set.

    Args:
        languages: FLORES codes of the adapters that are trained.

    Example:
        >>> rows = RowLanguages(["swh_Latn", "som_Latn"])
        >>> rows({"source": "a"}, "bitext/eng_Latn-swh_Latn"), rows({"language": "so"}, "bitext/mixed")
        ('swh_Latn', 'som_Latn')
    """

    def __init__(self, languages: Any) -> None:
        self.languages = tuple(languages)

    def __call__(self, row: Mapping[str, Any], name: str | None) -> str:
        """Return the name of the adapter of one row.

        Args:
            row: The row.
            name: Name of its data set, such as ``bitext/eng_Latn-swh_Latn``.

        Raises:
            InputError: Neither the row nor the name states the language, or no adapter of this language is trained.
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
                "language adapters are trained, but neither the name of the data set nor its rows state the language",
                "name the set like 'bitext/eng_Latn-swh_Latn', or add a column 'language'",
                path=name,
            )
        if language not in self.languages:
            raise InputError(
                f"the rows are in {language}, for which no adapter is trained",
                f"add one with adapters.add({language!r}); adapters are trained for: "
                f"{', '.join(self.languages) or 'no language'}",
                path=name,
            )
        return language

    def check(self, data: Any) -> None:
        """Check the languages of whole data sets before training; rows of streams are checked when they are read.

        Args:
            data: A data set, or data sets by name.

        Raises:
            InputError: As when called with a row.
        """
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
    """Return the only language besides English in the name of a training set; ``None`` if there are none or several.

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
    """Save all adapters into a checkpoint, with the hash of the base, which training does not change."""
    from hf_optical.adapters.files import write_adapters

    write_adapters(adapters, Path(folder), {})


def load_checkpoint(adapters: LanguageAdapters, folder: str | Path) -> None:
    """Restore the weights of a checkpoint exactly.

    Raises:
        InputError: The checkpoint has other languages or shapes, or belongs to a base with other weights.
    """
    from hf_optical.adapters.files import read_adapter
    from hf_optical.adapters.repositories import open_repository

    repository = open_repository(folder)
    if set(repository.languages) != set(adapters.languages):
        raise InputError(
            f"the checkpoint has adapters for {', '.join(repository.languages) or 'no language'}, "
            f"and the model for {', '.join(adapters.languages) or 'no language'}",
            "add the same languages in the same way as for the first run",
            path=folder,
        )
    repository.check_base(adapters)
    for language in adapters.languages:
        adapters.load_state(language, read_adapter(repository, language)[1])


class LanguageEvaluator(BaseEvaluator):
    """Evaluator that encodes all texts through one language's adapter, during and after training.

    Args:
        evaluator: Any evaluator of sentence-transformers.
        adapters: Language adapters of the model.
        language: Language of the adapter, any code; ``None`` for the base.
    """

    def __init__(self, evaluator: Any, adapters: LanguageAdapters, language: str | None) -> None:
        super().__init__()
        self.evaluator, self.adapters, self.language = evaluator, adapters, language
        self.primary_metric = getattr(evaluator, "primary_metric", None)
        self.greater_is_better = getattr(evaluator, "greater_is_better", True)

    def __call__(self, model: Any, *args: Any, **options: Any) -> Any:
        """Run the inner evaluator and return its result."""
        with self.adapters.use(self.language):
            result = self.evaluator(model, *args, **options)
        # Evaluators with a name prefix their metric with it in their first call.
        self.primary_metric = getattr(self.evaluator, "primary_metric", None)
        return result

    @property
    def description(self) -> str:
        """Description of the inner evaluator, followed by the language."""
        inner = getattr(self.evaluator, "description", type(self.evaluator).__name__)
        return f"{inner} ({self.language or 'base'})"
