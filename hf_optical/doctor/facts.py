"""Collection of the facts of all rows of a bitext, and the checks that need the whole file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hf_optical.data.languages import script_of
from hf_optical.doctor.checks import Checks
from hf_optical.doctor.kinds import bit_of
from hf_optical.doctor.lengths import length_scores
from hf_optical.doctor.lexical import Stems, joined, stems_of
from hf_optical.doctor.marks import MarkedWords
from hf_optical.doctor.misaligned import LEAST_AUC, LEAST_PAIRS, alignment, undecided
from hf_optical.doctor.near import first_seen, near_duplicates, pair_keys, signatures
from hf_optical.doctor.overlap import EvaluationIndex
from hf_optical.doctor.reading import Chunk
from hf_optical.doctor.rows import Limits, look
from hf_optical.doctor.shifted import shifted_rows
from hf_optical.doctor.verdict import Histogram, Verdict

__all__ = ["Facts", "RowCheck", "RowColumns"]

_HELD_CHARACTERS = 32_000_000  # number of characters up to which the texts are kept in memory
_STEMS_HELD = 2_000_000  # number of rows whose stems are kept, at about 100 bytes each

RowCheck = Callable[[Chunk], dict[int, tuple[str, str]]]
"""Function for an optional check of a chunk, which returns kind and detail of a defect by the row's index."""


@dataclass
class RowColumns:
    """Facts of rows as columns.

    Attributes:
        numbers: Row numbers in the file, ``(n,)``.
        flags: Bits of kinds of defects, uint32 ``(n,)``.
        lengths: Visible characters of both sides, int32 ``(n, 2)``.
        keys: Hash of each pair, uint64 ``(n,)``.
        signatures: MinHash signature of each pair, uint8 ``(n, 32)``; ``(n, 0)`` if near-duplicates are not checked.
    """

    numbers: np.ndarray
    flags: np.ndarray
    lengths: np.ndarray
    keys: np.ndarray
    signatures: np.ndarray


class Facts:
    """Collector of the facts of all rows: first chunk by chunk, then by checks that need the whole file.

    Args:
        checks: Checks to run and their thresholds.
        index: Texts of an evaluation set, or ``None``.
        row_checks: Further checks of rows.
    """

    def __init__(self, checks: Checks, index: EvaluationIndex | None, row_checks: list[RowCheck]) -> None:
        self.checks, self.index, self.row_checks = checks, index, row_checks
        self.details: dict[tuple[int, str], str] = {}
        self.held: list[Chunk] | None = []
        self.rows = 0
        self._characters = 0
        self._parts: list[RowColumns] = []
        self._stems: tuple[list[Stems], list[Stems]] = ([], [])
        self._marked = MarkedWords()

    def add(self, chunk: Chunk, language: str | None) -> None:
        """Check the rows of a chunk and collect their facts."""
        limits = Limits(script_of(language) if language else None, max_words=self.checks.max_words)
        found = look(chunk, limits, self.index)
        for check in self.row_checks:
            for place, (kind, detail) in check(chunk).items():
                found.mark(place, kind, detail)
        signature = signatures(*found.words) if self.checks.near else np.zeros((len(chunk), 0), np.uint8)
        self._parts.append(
            RowColumns(np.array(chunk.numbers), found.flags, found.lengths, pair_keys(*found.words), signature)
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
        """Return whether the examination looked for a kind of defect."""
        if kind in ("language", "teacher"):
            return any(getattr(check, "kind", None) == kind for check in self.row_checks)
        if kind.startswith("eval_"):
            return self.index is not None
        if kind == "near_duplicate":
            return self.checks.near
        return kind not in verdict.skipped

    def _keep_details(self, details: dict[tuple[int, str], str]) -> None:
        # Details take memory for each defect, so after the first million only the kinds are kept.
        if len(self.details) < 1_000_000:
            self.details.update({(self.rows + row, kind): text for (row, kind), text in details.items()})

    def finish(self, verdict: Verdict, earlier: np.ndarray | None) -> RowColumns:
        """Run the checks that need the whole file, add them to the verdict, and return the facts of all rows."""
        names = ("numbers", "flags", "lengths", "keys", "signatures")
        done = RowColumns(*(np.concatenate([getattr(part, name) for part in self._parts]) for name in names))
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
            verdict.skipped["misaligned"] = "hf-optical doctor does it"
        return done

    def _duplicates(self, done: RowColumns, readable: np.ndarray, earlier: np.ndarray | None) -> None:
        first = first_seen(done.keys, earlier)
        again = np.flatnonzero(readable & (first != np.arange(len(first))))
        done.flags[again] |= np.uint32(bit_of("duplicate"))
        for row in again:
            where = "a file before" if first[row] < 0 else f"row {done.numbers[first[row]]}"
            self.details[int(row), "duplicate"] = f"the same as in {where}"
        if self.checks.near:
            rows, original = near_duplicates(
                done.signatures, np.flatnonzero(readable & (first == np.arange(len(first))))
            )
            done.flags[rows] |= np.uint32(bit_of("near_duplicate"))
            for row, other in zip(rows, original, strict=True):
                self.details[int(row), "near_duplicate"] = f"nearly the same as in row {done.numbers[other]}"

    def _lengths(self, done: RowColumns, readable: np.ndarray, verdict: Verdict) -> None:
        lengths = done.lengths * readable[:, None]
        scores, ratio, spread = length_scores(lengths[:, 0], lengths[:, 1], done.flags == 0)
        for row in np.flatnonzero(np.abs(scores) > self.checks.length_limit):
            done.flags[row] |= np.uint32(bit_of("length_ratio"))
            self.details[int(row), "length_ratio"] = (
                f"{lengths[row, 0]} characters against {lengths[row, 1]} (the usual ratio is {ratio:.2f}; this one is "
                f"{abs(scores[row]):.1f} deviations away)"
            )
        if note := self._marked.note():
            verdict.notes.append(note)
        verdict.notes.append(
            f"The usual length of a translation is {ratio:.2f} times that of the English (spread {spread:.0%})."
        )
        verdict.histograms.append(Histogram.of("Length ratio, deviations from the usual", np.clip(scores, -8, 8)))
        for side, values in zip(("English", "Translation"), lengths.T, strict=True):
            verdict.histograms.append(Histogram.of(f"{side}: characters", np.minimum(values, 600)))

    def _misaligned(self, done: RowColumns, verdict: Verdict) -> None:
        sides = [joined(kept) for kept in self._stems]
        scored = len(sides[0].ends) - 1
        # At this point "misaligned" marks the rows of shifted parts.
        kinds = ("unreadable", "empty", "encoding", "copy", "script", "language", "misaligned")
        broken = sum(map(bit_of, kinds))
        sound = (done.flags[:scored] & np.uint32(broken)) == 0
        found = alignment(sides[0], sides[1], done.lengths[:scored], sound) if scored else None
        if found is None:
            verdict.skipped["misaligned"] = f"there are fewer than {LEAST_PAIRS} pairs to learn a lexicon from"
            if self.rows >= LEAST_PAIRS and not verdict.doubts:
                verdict.doubts.append(
                    f"whether {self.rows:,} pairs belong together was not checked, because too few of them have words "
                    "that occur again."
                )
            return
        if scored < self.rows:
            verdict.skipped[f"misaligned, after row {scored}"] = "the lexical check does not read more rows"
        probability = found.mixture.probability
        certain = found.mixture.auc >= LEAST_AUC
        if not certain:
            verdict.skipped["misaligned"] = (
                "the lexicon learnt from this file does not distinguish true pairs from random ones"
            )
            verdict.doubts.append(undecided(len(found.rows), found.mixture.auc, found.mixture.share))
        for place in np.flatnonzero(probability >= self.checks.misaligned_above) if certain else ():
            row = int(found.rows[place])
            done.flags[row] |= np.uint32(bit_of("misaligned"))
            self.details[row, "misaligned"] = f"a random pair with probability {probability[place]:.2f}"
        verdict.notes.append(
            f"Lexical check: about {found.mixture.share:.1%} of the pairs share no more than random ones. The check "
            f"ranks a pair above a random one {found.mixture.auc:.1%} of the time, and is trusted from {LEAST_AUC:.0%}."
        )
        low, high = np.quantile(np.concatenate([found.scores, found.shuffled]), [0.002, 0.998])
        edges = np.linspace(low, high, 41)
        verdict.histograms.append(Histogram.of("Lexical score", found.scores, edges, found.shuffled, "random pairs"))
