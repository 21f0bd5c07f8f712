"""The examination: one reading of the file, then what only the whole file shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from hf_optical.data.column_content import content_of
from hf_optical.data.languages import script_of
from hf_optical.data.sources import PairSource
from hf_optical.data.swapped import swapped
from hf_optical.doctor.checks import Checks
from hf_optical.doctor.encoding import can_repair
from hf_optical.doctor.kinds import bit_of, chosen_kinds
from hf_optical.doctor.lengths import length_scores
from hf_optical.doctor.lexical import Stems, joined, stems_of
from hf_optical.doctor.marks import MarkedWords
from hf_optical.doctor.misaligned import LEAST_AUC, LEAST_PAIRS, alignment, undecided
from hf_optical.doctor.near import first_seen, near_duplicates, pair_keys, signatures
from hf_optical.doctor.overlap import EvaluationIndex
from hf_optical.doctor.reading import Bitext, Chunk, open_bitext
from hf_optical.doctor.rows import Limits, look
from hf_optical.doctor.shifted import shifted_rows
from hf_optical.doctor.summary import sum_up
from hf_optical.doctor.verdict import Histogram, Verdict
from hf_optical.errors import InputError

__all__ = ["Checks", "Examination", "examine"]

_HELD_CHARACTERS = 32_000_000
_STEMS_HELD = 2_000_000  # rows whose stems are kept, about 100 bytes each

RowCheck = Callable[[Chunk], dict[int, tuple[str, str]]]
"""An optional check of a chunk: place to kind and detail."""


@dataclass
class Examination:
    """The findings, and for each row what it has.

    Attributes:
        bitext: What was read.
        verdict: The findings in sum.
        numbers: Row numbers in the file, ``(n,)``.
        flags: uint32 bits of kinds, ``(n,)``.
        keys: uint64 of each pair, to find it again in other files.
        details: Row place and kind to what was found, for the rows where a sentence says more than the kind.
        drop: The bits that cleaning drops.
        wrong_way: What is wrong and the remedy, where English seems to be in the other column.
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
        """The rows once more: from memory where they fitted, else from the file."""
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
    """Examine one bitext; nothing in it stops the examination but a file that cannot be read at all.

    For every row some 100 to 250 bytes are kept (numbers, hashes, signature, stems), and the texts of up to 32 million
    characters; a larger file is read a second time where texts are needed again.

    Args:
        source: As in :func:`hf_optical.data.bitext.read_bitext`, one of them.
        source_field: The English column; guessed if not given.
        translation_field: The other, likewise.
        language: Of the translations, any code; else what the file says of it.
        checks: What is checked, and how strictly.
        index: The evaluation set's texts, to find those that the bitext has.
        earlier: Keys of the pairs of files that were examined before.
        row_checks: Further checks of rows, such as of their language.

    Returns:
        The examination.

    Raises:
        InputError: The file cannot be read, or its columns are unclear.

    Example:
        >>> rows = [{"en": "Good morning", "sw": "Habari ya asubuhi"}, {"en": "Thank you", "sw": "Thank you"}]
        >>> examine(rows).verdict.counts["copy"]
        1
    """
    started, checks = time.perf_counter(), checks or Checks()
    drop = chosen_kinds(checks.drop)
    bitext = open_bitext(source, source_field=source_field, translation_field=translation_field, language=language)
    facts = _Facts(checks, index, row_checks or [])
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
        verdict.skipped["script of the translations"] = "no language is known; give --language"
    if not can_repair():
        verdict.skipped["mojibake"] = 'pip install "hf-optical[doctor]"'
    done = facts.finish(verdict, earlier)
    examination = Examination(bitext, verdict, done.numbers, done.flags, done.keys, facts.details, drop, wrong_way)
    examination._held = facts.held
    sum_up(examination, lambda kind: facts.checked(kind, verdict))
    verdict.seconds = round(time.perf_counter() - started, 3)
    return examination


def _sides_without_text(chunk: Chunk) -> list[str]:
    """A note for each side that holds identifiers or numbers: a column named by mistake."""
    sides = {"English": chunk.source, "translation": chunk.translation}
    found = {name: content_of(texts) for name, texts in sides.items()}
    return [
        f"The {name} side holds {what}, not text: is it the right column?"
        for name, what in found.items()
        if what in ("codes", "numbers")
    ]


def _with_progress(bitext: Bitext, shown: bool) -> Iterator[Chunk]:
    from tqdm.auto import tqdm

    with tqdm(desc=bitext.name, unit=" rows", unit_scale=True, disable=not shown) as bar:
        for chunk in bitext.chunks():
            yield chunk
            bar.update(len(chunk))


@dataclass
class _Columns:
    numbers: np.ndarray
    flags: np.ndarray
    lengths: np.ndarray
    keys: np.ndarray
    signatures: np.ndarray


class _Facts:
    """Facts of all rows, chunk by chunk, then of the whole file."""

    def __init__(self, checks: Checks, index: EvaluationIndex | None, row_checks: list[RowCheck]) -> None:
        self.checks, self.index, self.row_checks = checks, index, row_checks
        self.details: dict[tuple[int, str], str] = {}
        self.held: list[Chunk] | None = []
        self.rows = 0
        self._characters = 0
        self._parts: list[_Columns] = []
        self._stems: tuple[list[Stems], list[Stems]] = ([], [])
        self._marked = MarkedWords()

    def add(self, chunk: Chunk, language: str | None) -> None:
        """Take in a chunk."""
        limits = Limits(script_of(language) if language else None, max_words=self.checks.max_words)
        found = look(chunk, limits, self.index)
        for check in self.row_checks:
            for place, (kind, detail) in check(chunk).items():
                found.mark(place, kind, detail)
        signature = signatures(*found.words) if self.checks.near else np.zeros((len(chunk), 0), np.uint8)
        self._parts.append(
            _Columns(np.array(chunk.numbers), found.flags, found.lengths, pair_keys(*found.words), signature)
        )
        if self.checks.misaligned and self.rows < _STEMS_HELD:
            for kept, words in zip(self._stems, found.words, strict=True):
                kept.append(stems_of(words))
        self._keep_details(found.details)
        self._marked.add(text for text in chunk.translation if isinstance(text, str))
        self.rows += len(chunk)
        self._characters += sum(map(len, chunk.source)) + sum(map(len, chunk.translation))
        if self.held is not None:
            self.held.append(chunk)
            if self._characters > _HELD_CHARACTERS:
                self.held = None

    def checked(self, kind: str, verdict: Verdict) -> bool:
        """Whether a kind was looked for."""
        if kind in ("language", "teacher"):
            return any(getattr(check, "kind", None) == kind for check in self.row_checks)
        if kind.startswith("eval_"):
            return self.index is not None
        if kind == "near_duplicate":
            return self.checks.near
        return kind not in verdict.skipped

    def _keep_details(self, details: dict[tuple[int, str], str]) -> None:
        # A sentence for each defect would grow with the file; past a million the kind must do.
        if len(self.details) < 1_000_000:
            self.details.update({(self.rows + row, kind): text for (row, kind), text in details.items()})

    def finish(self, verdict: Verdict, earlier: np.ndarray | None) -> _Columns:
        """Run the checks that need the whole file."""
        names = ("numbers", "flags", "lengths", "keys", "signatures")
        done = _Columns(*(np.concatenate([getattr(part, name) for part in self._parts]) for name in names))
        verdict.rows = self.rows
        stems = sum(side.buckets.nbytes + side.ends.nbytes for kept in self._stems for side in kept)
        own = sum(getattr(done, name).nbytes for name in names)
        verdict.bytes_per_row = round((own + stems) / max(self.rows, 1), 1)
        readable = done.flags & (bit_of("unreadable") | bit_of("empty")) == 0
        self._duplicates(done, readable, earlier)
        self._lengths(done, readable, verdict)
        rows, said, verdict.doubts[:] = shifted_rows(done.lengths * readable[:, None], done.numbers)
        done.flags[rows] |= np.uint32(bit_of("misaligned"))
        self.details.update({(row, "misaligned"): text for row, text in zip(rows.tolist(), said, strict=True)})
        if self.checks.misaligned:
            self._misaligned(done, verdict)
        else:
            verdict.skipped["misaligned"] = "turned off"
        return done

    def _duplicates(self, done: _Columns, readable: np.ndarray, earlier: np.ndarray | None) -> None:
        first = first_seen(done.keys, earlier)
        again = np.flatnonzero(readable & (first != np.arange(len(first))))
        done.flags[again] |= np.uint32(bit_of("duplicate"))
        for row in again:
            where = "a file before" if first[row] < 0 else f"row {done.numbers[first[row]]}"
            self.details[int(row), "duplicate"] = f"as in {where}"
        if self.checks.near:
            rows, original = near_duplicates(
                done.signatures, np.flatnonzero(readable & (first == np.arange(len(first))))
            )
            done.flags[rows] |= np.uint32(bit_of("near_duplicate"))
            for row, other in zip(rows, original, strict=True):
                self.details[int(row), "near_duplicate"] = f"nearly as in row {done.numbers[other]}"

    def _lengths(self, done: _Columns, readable: np.ndarray, verdict: Verdict) -> None:
        lengths = done.lengths * readable[:, None]
        scores, ratio, spread = length_scores(lengths[:, 0], lengths[:, 1], done.flags == 0)
        for row in np.flatnonzero(np.abs(scores) > self.checks.length_limit):
            done.flags[row] |= np.uint32(bit_of("length_ratio"))
            self.details[int(row), "length_ratio"] = (
                f"{lengths[row, 0]} characters against {lengths[row, 1]} (usual ratio {ratio:.2f}; "
                f"{abs(scores[row]):.1f} deviations off)"
            )
        if note := self._marked.note():
            verdict.notes.append(note)
        verdict.notes.append(f"Usual length of a translation: {ratio:.2f} times the English (spread {spread:.0%}).")
        verdict.histograms.append(Histogram.of("Length ratio, deviations from the usual", np.clip(scores, -8, 8)))
        for side, values in zip(("English", "Translation"), lengths.T, strict=True):
            verdict.histograms.append(Histogram.of(f"{side}: characters", np.minimum(values, 600)))

    def _misaligned(self, done: _Columns, verdict: Verdict) -> None:
        sides = [joined(kept) for kept in self._stems]
        scored = len(sides[0].ends) - 1
        kinds = ("unreadable", "empty", "encoding", "copy", "script", "language", "misaligned")  # the last: shifted
        broken = sum(map(bit_of, kinds))
        sound = (done.flags[:scored] & np.uint32(broken)) == 0
        found = alignment(sides[0], sides[1], done.lengths[:scored], sound) if scored else None
        if found is None:
            verdict.skipped["misaligned"] = f"fewer than {LEAST_PAIRS} pairs to learn a lexicon from"
            if self.rows >= LEAST_PAIRS and not verdict.doubts:
                verdict.doubts.append(
                    f"whether {self.rows:,} pairs belong together was not checked: too few have words."
                )
            return
        if scored < self.rows:
            verdict.skipped[f"misaligned, after row {scored}"] = "the lexical check stops there"
        probability = found.mixture.probability
        certain = found.mixture.auc >= LEAST_AUC
        if not certain:
            verdict.skipped["misaligned"] = (
                "the lexicon learnt from this file does not tell true pairs from random ones"
            )
            verdict.doubts.append(undecided(len(found.rows), found.mixture.auc, found.mixture.share))
        for place in np.flatnonzero(probability >= self.checks.misaligned_above) if certain else ():
            row = int(found.rows[place])
            done.flags[row] |= np.uint32(bit_of("misaligned"))
            self.details[row, "misaligned"] = f"a random pair with probability {probability[place]:.2f}"
        verdict.notes.append(
            f"Lexical check: about {found.mixture.share:.1%} of the pairs share no more than random ones; it ranks a "
            f"pair above a random one {found.mixture.auc:.1%} of the time, and is trusted from {LEAST_AUC:.0%}."
        )
        low, high = np.quantile(np.concatenate([found.scores, found.shuffled]), [0.002, 0.998])
        edges = np.linspace(low, high, 41)
        verdict.histograms.append(Histogram.of("Lexical score", found.scores, edges, found.shuffled, "random pairs"))
