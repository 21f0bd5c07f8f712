"""Identity of a teacher cache: everything besides the texts that decides the vectors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from sentence_transformers.base.model import BaseModel

from hf_optical.batching.collation import tokenizer_parts
from hf_optical.encoders.prompts import text_start, with_text_start
from hf_optical.errors import InputError

DTYPES = ("float16", "int8", "float32")
"""How token vectors can be kept; float32 is for checks."""
KEY_BYTES = 16
_PROBE = ["The goat sleeps under the tree."]


@dataclass(frozen=True)
class CacheIdentity:
    """Settings that must agree for a cached vector to stand for the teacher's.

    Attributes:
        teacher: Digest of the teacher's weights, modules and settings.
        tokenizer: Digest of its tokenizer's vocabulary and rules.
        prompt: Put before every text; its tokens are read by the teacher, and not kept.
        max_length: Tokens at which a text is cut; ``None``: the model's own limit, which is in ``teacher``.
        special_tokens: Ids of the tokens that stand around a text.
        late_interaction: Whether the teacher scores token by token.
        width: Of a token vector.
        sentence_width: Of a sentence vector.
        vocabulary: Number of the tokenizer's tokens.
        dtype: Of the token vectors as kept: ``float16``, ``int8`` or ``float32``.
        text_start: How many of a text's tokens are the prompt's, and left out.

    Example:
        >>> one = CacheIdentity("a", "t", None, 128, (101, 102), False, 384, 384, 30_522, "int8")
        >>> one.differences(CacheIdentity("b", "t", None, 64, (101, 102), False, 384, 384, 30_522, "int8"))
        ["teacher (here 'a', asked for 'b')", 'max_length (here 128, asked for 64)']
    """

    teacher: str
    tokenizer: str
    prompt: str | None
    max_length: int | None
    special_tokens: tuple[int, ...]
    late_interaction: bool
    width: int
    sentence_width: int
    vocabulary: int
    dtype: str
    text_start: int = 0

    @property
    def digest(self) -> str:
        """32 hexadecimal digits over the whole identity."""
        described = asdict(self)
        if not self.text_start:  # caches without a prompt, of before this was noted, are the same
            del described["text_start"]
        content = json.dumps(described, sort_keys=True).encode()
        return hashlib.blake2b(content, digest_size=16).hexdigest()

    def differences(self, wanted: CacheIdentity) -> list[str]:
        """Describe what differs from another identity."""
        return [
            f"{item.name} (here {mine!r}, asked for {other!r})"
            for item in fields(self)
            if (mine := getattr(self, item.name)) != (other := getattr(wanted, item.name))
        ]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> CacheIdentity:
        """Read an identity from JSON.

        Raises:
            TypeError: Other fields than these, or a dtype that does not exist.
        """
        found = cls(**{**content, "special_tokens": tuple(content.get("special_tokens", ()))})
        if found.dtype not in DTYPES or found.width < 1:
            raise TypeError(f"dtype {found.dtype!r}, width {found.width!r}")
        return found


def identity_of(
    teacher: BaseModel,
    *,
    prompt: str | None = None,
    max_length: int | None = None,
    dtype: str = "float16",
) -> CacheIdentity:
    """Compute the identity of this teacher's cache.

    Args:
        teacher: The model, with its weights.
        prompt: Under which it reads the English.
        max_length: Tokens per text; the model's own limit where ``None``.
        dtype: ``"float16"``, ``"int8"`` or ``"float32"``.

    Raises:
        InputError: Another dtype, or a model without token vectors.
    """
    from hf_optical.encoders.teachers import is_late_interaction
    from hf_optical.encoders.token_view import boundary_token_ids, encode_tokens
    from hf_optical.evaluation.document_cache import fingerprint

    if dtype not in DTYPES:
        raise InputError(f"is {dtype!r}", f"use one of {', '.join(DTYPES)}", field="teacher_cache_dtype")
    late, special = is_late_interaction(teacher), boundary_token_ids(teacher)
    training = teacher.training
    with torch.no_grad():
        features = read_as_query(teacher.eval(), _PROBE, prompt, max_length)
        view = encode_tokens(teacher, features, special, late_interaction=late)
    teacher.train(training)
    return CacheIdentity(
        teacher=fingerprint(teacher),
        tokenizer=_digest(tokenizer_parts(teacher)),
        prompt=prompt or None,
        max_length=max_length,
        special_tokens=tuple(special.tolist()),
        late_interaction=late,
        width=view.tokens.shape[-1],
        sentence_width=view.sentence.shape[-1],
        vocabulary=len(teacher.tokenizer),
        dtype=dtype,
        text_start=0 if late else text_start(teacher.tokenizer, prompt),
    )


def read_as_query(teacher: Any, texts: list[str], prompt: str | None, max_length: int | None) -> dict[str, Any]:
    """Make features of texts, as the collator makes them for the teacher, on its device."""
    from hf_optical.encoders.teachers import is_late_interaction

    options: dict[str, Any] = {"prompt": prompt, "task": "query" if is_late_interaction(teacher) else None}
    if max_length is not None:
        options["max_length"] = max_length
    features = with_text_start(teacher.preprocess(texts, **options), teacher.tokenizer, prompt)
    return {
        name: value.to(teacher.device) if isinstance(value, torch.Tensor) else value for name, value in features.items()
    }


def text_key(text: str) -> bytes:
    """Hash a text to 16 bytes; with the cache's identity they address its vectors.

    Example:
        >>> text_key("a") == text_key("a"), text_key("a") == text_key("b"), len(text_key(""))
        (True, False, 16)
    """
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def _digest(content: Any) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()
