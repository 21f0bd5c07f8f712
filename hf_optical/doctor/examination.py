"""Examination of a bitext file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hf_optical.data.column_content import content_of
from hf_optical.data.sources import PairSource
from hf_optical.data.swapped import swapped
from hf_optical.doctor.checks import Checks
from hf_optical.doctor.encoding import can_repair
from hf_optical.doctor.facts import Facts, RowCheck
from hf_optical.doctor.kinds import chosen_kinds
from hf_optical.doctor.overlap import EvaluationIndex
from hf_optical.doctor.reading import Bitext, Chunk, open_bitext
from hf_optical.doctor.summary import sum_up
from hf_optical.doctor.verdict import Verdict
from hf_optical.errors import InputError, pip_install

__all__ = ["Checks", "Examination", "examine"]


@dataclass
class Examination:
    """Result of an examination: the verdict and the defects of every row.

    Attributes:
        bitext: The bitext.
        verdict: Summary of the findings.
        numbers: Row numbers in the file, ``(n,)``.
        flags: Bits of the kinds of defects of each row, uint32 ``(n,)``.
        keys: Hash of each pair, uint64 ``(n,)``, to find duplicates in other files.
        details: Description of what was found, by index of the row and kind.
        drop: Bits of the kinds that cleaning drops.
        wrong_way: Problem and remedy if the columns seem to be swapped, else ``None``.
    """

    bitext: Bitext
    verdict: Verdict
    numbers: np.ndarray
    flags: np.ndarray
    keys: np.ndarray
    details: dict[tuple[int, str], str]
    drop: int
    wrong_way: tuple[str, str] | None = None
    _held: list[Chunk] | None = None

    def chunks(self) -> Iterator[Chunk]:
        """Iterate over the rows again, from memory if they were kept and otherwise from the file."""
        return iter(self._held) if self._held is not None else self.bitext.chunks()


def examine(
    source: PairSource,
    *,
    source_field: str | None = None,
    translation_field: str | None = None,
    language: str | None = None,
    checks: Checks | None = None,
    index: EvaluationIndex | None = None,
    earlier: np.ndarray | None = None,
    row_checks: list[RowCheck] | None = None,
) -> Examination:
    """Examine one bitext. Bad rows are reported and do not stop the examination.

    Some 100 to 250 bytes are kept for every row (numbers, hashes, signature, stems), and the texts if they have at most
    32 million characters. A larger file is read a second time if texts are needed again.

    Args:
        source: A single source as in :func:`hf_optical.data.bitext.read_bitext`.
        source_field: The English column. By default it is guessed.
        translation_field: The column of the translations. By default it is guessed.
        language: Language of the translations, any code. By default it is taken from the file if possible.
        checks: Checks to run and their thresholds. Default: :class:`Checks` with its defaults.
        index: Texts of an evaluation set, to find those that the bitext contains. By default this is not checked.
        earlier: Keys of the pairs of files that were examined before, to find duplicates.
        row_checks: Further checks of rows, such as of their language.

    Returns:
        The examination.

    Raises:
        InputError: The file cannot be read or has no rows, or its columns are unclear.

    Example:
        >>> rows = [{"en": "Good morning", "sw": "Habari ya asubuhi"}, {"en": "Thank you", "sw": "Thank you"}]
        >>> examine(rows).verdict.counts["copy"]
        1
    """
    started, checks = time.perf_counter(), checks or Checks()
    drop = chosen_kinds(checks.drop)
    bitext = open_bitext(source, source_field=source_field, translation_field=translation_field, language=language)
    facts = Facts(checks, index, row_checks or [])
    wrong_way, no_text = None, list[str]()
    for chunk in _with_progress(bitext, checks.progress):
        if not facts.rows:
            wrong_way = swapped(
                list(zip(chunk.source, chunk.translation, strict=True)),
                bitext.columns.source,
                bitext.columns.translation,
            )
            no_text = _sides_without_text(chunk)
        facts.add(chunk, bitext.language)
    if not facts.rows:
        raise InputError("the file has no rows", "give a file with at least one pair", path=bitext.name)
    verdict = Verdict(bitext.name, language=bitext.language)
    verdict.notes += no_text
    if wrong_way:
        verdict.notes.append("The columns seem to be the wrong way round: {}; {}.".format(*wrong_way))
    if bitext.language is None:
        verdict.skipped["script of the translations"] = "the language is not known; give --language"
    if not can_repair():
        verdict.skipped["mojibake"] = f"ftfy is not installed: {pip_install('doctor')}"
    done = facts.finish(verdict, earlier)
    examination = Examination(bitext, verdict, done.numbers, done.flags, done.keys, facts.details, drop, wrong_way)
    examination._held = facts.held
    sum_up(examination, lambda kind: facts.checked(kind, verdict))
    verdict.seconds = round(time.perf_counter() - started, 3)
    return examination


def _sides_without_text(chunk: Chunk) -> list[str]:
    """Return a note for each side that holds identifiers or numbers, whose column may have been named by mistake."""
    sides = {"English": chunk.source, "translation": chunk.translation}
    found = {name: content_of(texts) for name, texts in sides.items()}
    return [
        f"The {name} side holds {what}, not text: is it the right column?"
        for name, what in found.items()
        if what in ("codes", "numbers")
    ]


def _with_progress(bitext: Bitext, shown: bool) -> Iterator[Chunk]:
    """Yield the chunks of a bitext and show a progress bar if wanted."""
    from tqdm.auto import tqdm

    with tqdm(desc=bitext.name, unit=" rows", unit_scale=True, disable=not shown) as bar:
        for chunk in bitext.chunks():
            yield chunk
            bar.update(len(chunk))
