"""A teacher of which there are vectors only: an index whose model is out of reach."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hf_optical.encoders.teachers import TeacherStandIn
from hf_optical.encoders.token_view import TokenView
from hf_optical.errors import InputError, NonFiniteError
from hf_optical.teacher_cache.identity import text_key


class VectorReader:
    """Finds the vectors of texts; the collator's side of a `VectorTeacher`.

    Args:
        texts: The texts.
        vectors: Theirs, ``(n, d)``.
        folder: Where they are from, for messages.

    Raises:
        InputError: Numbers of texts and vectors differ, or there are none.
        NonFiniteError: A vector is not finite.
    """

    def __init__(self, texts: Sequence[str], vectors: np.ndarray, folder: str | Path = "the index") -> None:
        if not len(texts) or len(texts) != len(vectors):
            raise InputError(f"found {len(texts)} texts and {len(vectors)} vectors", "give one vector for each text")
        if not np.isfinite(vectors).all():
            raise NonFiniteError("a vector of the teacher is not finite. Remedy: encode its text again")
        self.folder = Path(folder)
        self.vectors = torch.from_numpy(np.array(vectors, dtype=np.float32))
        self._rows = {text_key(text): row for row, text in enumerate(texts)}

    def find(self, texts: Sequence[str]) -> Tensor:
        """The row of each text, ``(n,)``; -1 where there is none."""
        return torch.tensor([self._rows.get(text_key(text), -1) for text in texts], dtype=torch.long)

    def check_reading(self, prompt: str | None, max_length: int | None) -> None:
        """Nothing to check: under which prompt the vectors were made is not known."""

    def features(self, rows: Tensor) -> dict[str, Tensor]:
        """One token per text, which stands for its vector: ids and mask, ``(B, 1)`` each."""
        return {
            "input_ids": torch.zeros(len(rows), 1, dtype=torch.long),
            "attention_mask": torch.ones(len(rows), 1, dtype=torch.long),
        }


class VectorTeacher(TeacherStandIn):
    """Stands in for a teacher that nobody has, by the sentence vectors of the bitext's English.

    The terms of an objective that compare sentence vectors work (``rank``, ``mse``, ``cos``, ``nce``, ``self_nce``);
    those that compare tokens are refused, for an index has none.

    Args:
        texts: The English of the bitext.
        vectors: Its vectors in the index's space, ``(n, d)``: the index's own, or what a map foretells.
        bank: Vectors of the index's documents, ``(N, d)``, which the term ``rank`` ranks.
        tokenizer: The student's, which messages are written with.
        source: Where the vectors are from, for messages.

    Example:
        ::

            teacher = VectorTeacher(rows["source"], vectors, bank=bank, tokenizer=student.tokenizer)
            trainer = OTDistillationTrainer(student, args, rows, teacher=teacher)   # args.objective == "rank"
    """

    gives_tokens = False

    def __init__(
        self,
        texts: Sequence[str],
        vectors: np.ndarray,
        *,
        bank: np.ndarray,
        tokenizer: Any,
        source: str | Path = "the index",
    ) -> None:
        super().__init__()
        self.online = None
        self.reader = VectorReader(texts, vectors, source)
        self.default_prompt_name = None
        self._tokenizer = tokenizer
        self._bank = torch.nn.functional.normalize(torch.from_numpy(np.array(bank, dtype=np.float32)), dim=-1)
        if self._bank.shape[1] != self.reader.vectors.shape[1]:
            raise InputError(
                f"the bank's vectors have {self._bank.shape[1]} numbers and the texts' {self.reader.vectors.shape[1]}",
                "take both from the same index",
            )

    @property
    def tokenizer(self) -> Any:
        """The student's: the teacher's own is not known."""
        return self._tokenizer

    @property
    def prompts(self) -> dict[str, str]:
        """None that are known."""
        return {}

    @property
    def late_interaction(self) -> bool:
        """One vector per text."""
        return False

    @property
    def vector_widths(self) -> dict[str, int]:
        """Width of the sentence vectors; there are no others."""
        return {"sentence_embedding": int(self.reader.vectors.shape[1])}

    def bank(self, size: int, seed: int) -> Tensor:
        """Unit vectors of at most so many documents, drawn with the seed, ``(N, d)``."""
        if len(self._bank) <= size:
            return self._bank
        drawn = np.sort(np.random.default_rng(seed).permutation(len(self._bank))[:size])
        return self._bank[torch.from_numpy(drawn)]

    def token_view(self, rows: Tensor) -> TokenView:
        """Sentence vectors of texts; as tokens one that is the same vector."""
        sentence = self.reader.vectors[rows.cpu()].to(rows.device)
        mask = torch.ones(len(rows), 1, dtype=torch.bool, device=rows.device)
        ids = torch.zeros(len(rows), 1, dtype=torch.long, device=rows.device)
        return TokenView(sentence[:, None], mask, mask, torch.zeros_like(mask), sentence, ids)

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Refused: there is no model that could read a text.

        Raises:
            InputError: Always.
        """
        raise InputError(
            "the teacher's model is not here, only vectors of its index, and the batch was not made from them",
            "make batches with OTDistillationDataCollator.for_models(student, teacher)",
        )

    def extra_repr(self) -> str:
        """Size."""
        return f"{len(self.reader.vectors)} texts, bank of {len(self._bank)}"
