"""Vectors of the benchmarks that read token by token: encoded once, kept as float16, with what is content marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hf_optical.encoders.content_tokens import content_places, prompt_tokens
from hf_optical.encoders.token_view import boundary_token_ids

_BATCH = 32


@dataclass
class Encoded:
    """Texts as one model reads them.

    Attributes:
        dense: Sentence vectors, (texts, d), float32.
        tokens: Unit token vectors of all texts one after the other, (total, d), float16.
        lengths: Tokens of each text, (texts,).
        content: Which tokens are neither special nor of the prompt, (total,), bool.
    """

    dense: np.ndarray
    tokens: np.ndarray
    lengths: np.ndarray
    content: np.ndarray

    def token_lists(
        self, *, content_only: bool, places: Sequence[int] | None = None, most: int | None = None
    ) -> list[np.ndarray]:
        """One float32 array (tokens, d) per text; of these places, or of the first so many."""
        ends = np.cumsum(self.lengths)
        found = []
        for place in range(len(ends))[:most] if places is None else places:
            rows = slice(ends[place] - self.lengths[place], ends[place])
            tokens = self.tokens[rows].astype(np.float32)
            found.append(tokens[self.content[rows]] if content_only else tokens)
        return found

    def content_mean(self) -> np.ndarray:
        """The mean of all content tokens, (d,), float32."""
        return self.tokens[self.content].mean(axis=0, dtype=np.float64).astype(np.float32)


def encoded(model: Any, texts: Sequence[str], role: str, file: Path, *, bfloat16: bool = False) -> Encoded:
    """Read the vectors of texts from a file, or encode the texts in one pass and write it.

    Args:
        model: A callable that loads the encoder, a ``SentenceTransformer``; not called where the file is there.
        texts: The texts.
        role: ``"query"`` or ``"document"``.
        file: An ``.npz``.
        bfloat16: Encode under autocast, in half the time: unit token vectors then have cosine .9998 with those of
            float32 or more, where they are furthest.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_suffix(".partial.npz")
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            np.savez(scratch, **vars(_encode(model(), list(texts), role)))
        scratch.rename(file)
    with np.load(file) as kept:
        found = Encoded(**{name: kept[name] for name in ("dense", "tokens", "lengths", "content")})
    if len(found.dense) != len(texts):
        raise SystemExit(f"{file} holds {len(found.dense)} texts, not {len(texts)}: remove it, and it is made anew")
    return found


@torch.inference_mode()
def _encode(model: Any, texts: list[str], role: str) -> Encoded:
    boundary, prompt = boundary_token_ids(model), prompt_tokens(model, role)
    encode = model.encode_query if role == "query" else model.encode_document
    order = np.argsort([-len(text) for text in texts], kind="stable")
    dense: list[Any] = [None] * len(texts)
    tokens, content = list(dense), list(dense)
    for start in range(0, len(order), 4 * _BATCH):
        places = order[start : start + 4 * _BATCH]
        outputs = encode([texts[place] for place in places], output_value=None, batch_size=_BATCH)
        for place, output in zip(places, outputs, strict=True):
            mask = output["attention_mask"].bool()
            dense[place] = output["sentence_embedding"].float().numpy()
            units = torch.nn.functional.normalize(output["token_embeddings"][mask].float(), dim=-1)
            tokens[place] = units.to(torch.float16).numpy()
            content[place] = content_places(output["input_ids"], mask, boundary, prompt)[mask].numpy()
    lengths = np.array([len(rows) for rows in tokens], np.int64)
    return Encoded(np.stack(dense), np.concatenate(tokens), lengths, np.concatenate(content))
