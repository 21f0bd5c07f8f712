"""Encoding of sentences by the front of an encoder: vectors pooled before any head, and token vectors."""

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

# Poolings that average tokens: a linear map of the tokens is then a linear map of the pooled vector too.
_AVERAGES = ("mean", "cls", "lasttoken", "weightedmean")
_BATCH = 32


@dataclass
class Reading:
    """Vectors of n sentences from one model.

    Attributes:
        pooled: Pooled vectors, ``(n, d)``, float32.
        tokens: Token vectors of each sentence, without special tokens and prompt, ``(t, d)``, float16; empty if they
            were not requested.
    """

    pooled: Tensor
    tokens: list[Tensor]

    def select(self, rows: Sequence[int]) -> Reading:
        """Return the reading of the sentences with these numbers."""
        return Reading(self.pooled[list(rows)], [self.tokens[row] for row in rows] if self.tokens else [])

    def unit(self) -> Reading:
        """Scale pooled vectors to length 1, and the tokens of a sentence by the same factor as its pooled vector."""
        lengths = self.pooled.norm(dim=1).clamp_min(1e-12)
        tokens = [rows / float(length) for rows, length in zip(self.tokens, lengths, strict=False)]
        return Reading(self.pooled / lengths[:, None], tokens)


class Front:
    """Transformer with a pooling, the part of a model between whose outputs maps are fitted.

    Args:
        transformer: First module of the model, which is shared and not copied.
        pooling: Pooling over the transformer's width.
        prompt: Prompt before every text.
        device: Device on which texts are encoded.
        max_length: Largest number of tokens per text. Default 128.
    """

    def __init__(
        self, transformer: Transformer, pooling: Pooling, prompt: str | None, device: Any, max_length: int = 128
    ) -> None:
        self.pooling, self.prompt = pooling, prompt
        self._max_length = min(max_length, transformer.max_seq_length or max_length)
        # The container moves the modules to its device and shares their weights with the model.
        self._model = SentenceTransformer(modules=[transformer, pooling], device=str(device)).eval()

    @torch.no_grad()
    def read(self, texts: Sequence[str], *, tokens: bool = False, progress: str | None = None) -> Reading:
        """Encode sentences, the longest ones first.

        Args:
            texts: The sentences.
            tokens: Whether to keep token vectors too.
            progress: Name of the progress bar; ``None`` for no bar.

        Returns:
            The vectors, in the order of the texts.
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
    """Return the front of a future student, with a pooling that is an average of tokens.

    Args:
        transformer: Transformer of the student.
        pooling: Pooling with which it was trained, if any. The mean is used if there is none or it is not an average;
            the first token of a masked language model, for instance, was not trained as a sentence vector.
        prompt: Prompt of queries.
        device: Device on which texts are encoded.
    """
    mode = pooling.pooling_mode if pooling is not None and pooling.pooling_mode in _AVERAGES else "mean"
    include = pooling.include_prompt if pooling is not None else True
    return Front(transformer, Pooling(_width(transformer), str(mode), include), prompt, device)


def teacher_front(teacher: Any) -> tuple[Front, Callable[[Tensor], Tensor]]:
    """Split a teacher after its pooling.

    Returns:
        The front up to the pooling, and a differentiable function for the later modules, from pooled vectors
        ``(n, d)`` to final ones ``(n, d')``. For a late-interaction teacher the front pools by the mean of the tokens,
        and the function changes nothing.
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
    """Yield batches of the tokens of two readings of the same sentences, padded, the longest sentences first.

    Yields:
        Tokens ``(B, n, d)`` and mask ``(B, n)`` of ``x``, tokens ``(B, m, e)`` and mask ``(B, m)`` of ``y``.
    """
    order = np.argsort([-len(rows) for rows in x.tokens], kind="stable")
    for start in range(0, len(order), size):
        block: list[Tensor] = []
        for reading in (x, y):
            rows = [reading.tokens[place] for place in order[start : start + size]]
            lengths = torch.tensor([len(row) for row in rows])
            padded = pad_sequence([row.float() for row in rows], batch_first=True)
            block += [padded, torch.arange(padded.shape[1]) < lengths[:, None]]
        yield block[0], block[1], block[2], block[3]


def _through(modules: Sequence[nn.Module], pooled: Tensor) -> Tensor:
    """Apply modules to pooled vectors, ``(n, d)``, and return the sentence vectors, ``(n, d')``."""
    features: dict[str, Any] = {"sentence_embedding": pooled.float()}
    for module in modules:
        features = module(features)
    return features["sentence_embedding"].float()


def _width(transformer: Any) -> int:
    return int(transformer.get_embedding_dimension())
