"""Teacher of which only the vectors of an index are available, and not the model."""

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
    """Reader of the vectors of a :class:`VectorTeacher`, which the collator uses as it uses a cache's reader.

    Args:
        texts: The n texts.
        vectors: Their vectors, ``(n, d)``.
        folder: Origin of the vectors, for messages.

    Raises:
        InputError: The numbers of texts and vectors differ, or there are none.
        NonFiniteError: A vector is not finite.
    """

    def __init__(self, texts: Sequence[str], vectors: np.ndarray, folder: str | Path = "the index") -> None:
        if not len(texts) or len(texts) != len(vectors):
            raise InputError(f"found {len(texts)} texts and {len(vectors)} vectors", "give one vector per text")
        if not np.isfinite(vectors).all():
            raise NonFiniteError("a vector of the teacher is not finite. Remedy: encode its text again")
        self.folder = Path(folder)
        self.vectors = torch.from_numpy(np.array(vectors, dtype=np.float32))
        self._rows = {text_key(text): row for row, text in enumerate(texts)}

    def find(self, texts: Sequence[str]) -> Tensor:
        """Return the row of each text, ``(n,)``; -1 for texts without a vector."""
        return torch.tensor([self._rows.get(text_key(text), -1) for text in texts], dtype=torch.long)

    def check_reading(self, prompt: str | None, max_length: int | None) -> None:
        """Accept any settings, because the prompt and length with which the vectors were made are not known."""

    def features(self, rows: Tensor) -> dict[str, Tensor]:
        """Return ids and mask of one placeholder token per text, ``(B, 1)`` each."""
        return {
            "input_ids": torch.zeros(len(rows), 1, dtype=torch.long),
            "attention_mask": torch.ones(len(rows), 1, dtype=torch.long),
        }


class VectorTeacher(TeacherStandIn):
    """Teacher without a model, given by sentence vectors of the bitext's English sentences.

    Terms of an objective that compare sentence vectors can be used (``rank``, ``mse``, ``cos``, ``nce``,
    ``self_nce``). Terms that compare tokens are refused, because an index has no token vectors.

    Args:
        texts: The n English sentences of the bitext.
        vectors: Their vectors in the index's space, ``(n, d)``, from the index or predicted by a map.
        bank: Vectors of the index's documents, ``(N, d)``, which the term ``rank`` ranks.
        tokenizer: Tokenizer of the student, for messages.
        source: Origin of the vectors, for messages.

    Raises:
        InputError: The numbers of texts and vectors differ, or the widths of vectors and bank differ.
        NonFiniteError: A vector is not finite.

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
                f"the bank's vectors have {self._bank.shape[1]} dimensions and the texts' vectors "
                f"{self.reader.vectors.shape[1]}",
                "take both from the same index",
            )

    @property
    def tokenizer(self) -> Any:
        """The student's tokenizer, because the teacher's is not available."""
        return self._tokenizer

    @property
    def prompts(self) -> dict[str, str]:
        """The teacher's prompts, none of which are known."""
        return {}

    @property
    def late_interaction(self) -> bool:
        """Whether the teacher is a late-interaction model; always false."""
        return False

    @property
    def vector_widths(self) -> dict[str, int]:
        """Width of the sentence vectors, the only vectors of this teacher."""
        return {"sentence_embedding": int(self.reader.vectors.shape[1])}

    def bank(self, size: int, seed: int) -> Tensor:
        """Return unit vectors of documents, ``(N, d)``: all, or ``size`` of them drawn with the seed."""
        if len(self._bank) <= size:
            return self._bank
        drawn = np.sort(np.random.default_rng(seed).permutation(len(self._bank))[:size])
        return self._bank[torch.from_numpy(drawn)]

    def token_view(self, rows: Tensor) -> TokenView:
        """Return a view of rows, ``(B,)``, in which the sentence vector is also the only token vector."""
        sentence = self.reader.vectors[rows.cpu()].to(rows.device)
        mask = torch.ones(len(rows), 1, dtype=torch.bool, device=rows.device)
        ids = torch.zeros(len(rows), 1, dtype=torch.long, device=rows.device)
        return TokenView(sentence[:, None], mask, mask, torch.zeros_like(mask), sentence, ids)

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Raise an error, because there is no model that could encode a text.

        Raises:
            InputError: Always.
        """
        raise InputError(
            "only vectors of the teacher's index are given and not its model, and the batch was not made from them",
            "make batches with OTDistillationDataCollator.for_models(student, teacher)",
        )

    def extra_repr(self) -> str:
        """Describe the numbers of texts and of documents in ``repr``."""
        return f"{len(self.reader.vectors)} texts, bank of {len(self._bank)}"
