"""Token counts of texts, used to make batches of similar length."""

from __future__ import annotations

from typing import Any

_BATCH = 1_000  # number of texts per call of the tokenizer


class TokenLengths:
    """Function that counts the tokens of texts, special tokens included.

    Args:
        model: The encoder whose tokenizer is used.
        max_length: Length at which longer texts are truncated in training; they count as this long.

    Example:
        ::

            lengths = TokenLengths(student, max_length=128)
            args.batch_sampler = LengthGroupedBatchSampler.with_options(length_column="translation", length_of=lengths)
    """

    def __init__(self, model: Any, max_length: int | None = None) -> None:
        self._tokenizer = model.tokenizer
        limits = [limit for limit in (max_length, getattr(model, "max_seq_length", None)) if limit]
        self._limit = min(limits, default=None)
        self._known: dict[int, list[int]] = {}  # kept, because a training builds its sampler more than once

    def __call__(self, texts: list[str]) -> list[int]:
        """Return the number of tokens of each text."""
        key = hash(tuple(texts))
        if key not in self._known:
            self._known[key] = self._measured(texts)
        return self._known[key]

    def _measured(self, texts: list[str]) -> list[int]:
        found: list[int] = []
        for start in range(0, len(texts), _BATCH):
            read = self._tokenizer(texts[start : start + _BATCH], truncation=False, padding=False, verbose=False)
            found += [len(line) for line in read["input_ids"]]
        return [min(length, self._limit) for length in found] if self._limit else found

    def __getstate__(self) -> dict[str, Any]:
        """Leave the tokenizer out: training arguments are written into every checkpoint, which already holds one."""
        return {"_tokenizer": None, "_limit": self._limit, "_known": {}}
