"""Sentences as the front of an encoder reads them: pooled vectors before any head, and the tokens of the text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from hf_optical.encoders.prompts import with_text_start
from hf_optical.encoders.teachers import query_prompt
from hf_optical.encoders.token_view import boundary_token_ids, encode_tokens
from hf_optical.students.space_map import TokenBlock

# A linear map of the tokens is one of the pooled vector too where the pool is an average of tokens.
_AVERAGES = ("mean", "cls", "lasttoken", "weightedmean")
_BATCH = 32


@dataclass
class Reading:
    """Sentences as one model reads them.

    Attributes:
        pooled: ``(n, d)``, float32.
        tokens: Of each sentence the tokens of the text, without special tokens and prompt, ``(t, d)`` in float16; empty
            where they were not asked for.
    """

    pooled: Tensor
    tokens: list[Tensor]

    def select(self, rows: Sequence[int]) -> Reading:
        """The reading of some of the sentences."""
        return Reading(self.pooled[list(rows)], [self.tokens[row] for row in rows] if self.tokens else [])

    def unit(self) -> Reading:
        """With pooled vectors of length 1, and the tokens in the same proportion."""
        lengths = self.pooled.norm(dim=1).clamp_min(1e-12)
        tokens = [rows / float(length) for rows, length in zip(self.tokens, lengths, strict=False)]
        return Reading(self.pooled / lengths[:, None], tokens)


class Front:
    """A transformer with a pool: what a map into another space, or out of one, is attached to.

    Args:
        transformer: The model's first module; shared, not copied.
        pooling: The pool, over the transformer's own width.
        prompt: Put before every text.
        device: Where it reads.
        max_length: Tokens per text.
    """

    def __init__(
        self, transformer: Transformer, pooling: Pooling, prompt: str | None, device: Any, max_length: int = 128
    ) -> None:
        self.pooling, self.prompt = pooling, prompt
        self._max_length = min(max_length, transformer.max_seq_length or max_length)
        # The container takes its modules to its device and names them; their weights stay the model's own.
        self._model = SentenceTransformer(modules=[transformer, pooling], device=str(device)).eval()

    @torch.no_grad()
    def read(self, texts: Sequence[str], *, tokens: bool = False, progress: str | None = None) -> Reading:
        """Read sentences, longest first.

        Args:
            texts: The sentences.
            tokens: Keep the token vectors too.
            progress: Name of a bar; none where ``None``.
        """
        from tqdm.auto import tqdm

        order = np.argsort([-len(text) for text in texts], kind="stable")
        boundary = boundary_token_ids(self._model)
        pooled: Tensor | None = None
        kept: dict[int, Tensor] = {}
        for start in tqdm(range(0, len(order), _BATCH), desc=progress, disable=progress is None):
            places = order[start : start + _BATCH]
            features = self._model.preprocess(
                [texts[place] for place in places], prompt=self.prompt, max_length=self._max_length
            )
            features = with_text_start(features, self._model.tokenizer, self.prompt)
            features = {
                key: value.to(self._model.device) if isinstance(value, Tensor) else value
                for key, value in features.items()
            }
            view = encode_tokens(self._model, features, boundary, late_interaction=False)
            if pooled is None:
                pooled = torch.empty(len(texts), view.sentence.shape[-1])
            pooled[torch.from_numpy(places)] = view.sentence.float().cpu()
            if tokens:
                content = view.text & ~view.special
                content = torch.where(content.any(1, keepdim=True), content, view.mask)
                kept |= {
                    int(place): row[mask].half().cpu()
                    for place, row, mask in zip(places, view.tokens, content, strict=True)
                }
        assert pooled is not None
        return Reading(pooled, [kept[place] for place in range(len(texts))] if tokens else [])


def student_front(transformer: Transformer, pooling: Pooling | None, prompt: str | None, device: Any) -> Front:
    """The front of a student-to-be, with a pool that is an average of its tokens.

    Args:
        transformer: The student's.
        pooling: The pool that it was trained with, or the teacher's; the mean is taken in place of one that is no
            average, and of none. The untrained first token of a masked language model says nothing.
        prompt: Under which it reads queries.
        device: Where it reads.
    """
    mode = pooling.pooling_mode if pooling is not None and pooling.pooling_mode in _AVERAGES else "mean"
    include = pooling.include_prompt if pooling is not None else True
    return Front(transformer, Pooling(_width(transformer), str(mode), include), prompt, device)


def teacher_front(teacher: Any) -> tuple[Front, Callable[[Tensor], Tensor]]:
    """The teacher up to its pool, and what comes after it: pooled vectors ``(n, d)`` to final ones ``(n, d')``.

    Of a late-interaction teacher the front is its transformer with a mean over the tokens, and nothing comes after.
    """
    modules = list(teacher._modules.values())
    places = [place for place, module in enumerate(modules) if isinstance(module, Pooling)]
    if not places:
        pooling, later = Pooling(_width(modules[0]), "mean"), []
    else:
        pooling, later = modules[places[0]], modules[places[0] + 1 :]
    front = Front(modules[0], pooling, query_prompt(teacher), teacher.device)
    return front, lambda pooled: _through(later, pooled.to(teacher.device)).cpu()


def token_blocks(x: Reading, y: Reading, size: int = _BATCH) -> Iterator[TokenBlock]:
    """Batches of both readings' tokens, padded, the longest sentences first."""
    order = np.argsort([-len(rows) for rows in x.tokens], kind="stable")
    for start in range(0, len(order), size):
        block: list[Tensor] = []
        for reading in (x, y):
            rows = [reading.tokens[place] for place in order[start : start + size]]
            lengths = torch.tensor([len(row) for row in rows])
            padded = pad_sequence([row.float() for row in rows], batch_first=True)
            block += [padded, torch.arange(padded.shape[1]) < lengths[:, None]]
        yield block[0], block[1], block[2], block[3]


@torch.no_grad()
def _through(modules: Sequence[nn.Module], pooled: Tensor) -> Tensor:
    features: dict[str, Any] = {"sentence_embedding": pooled.float()}
    for module in modules:
        features = module(features)
    return features["sentence_embedding"].float()


def _width(transformer: Any) -> int:
    return int(transformer.get_embedding_dimension())
