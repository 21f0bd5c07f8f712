"""Identity of a teacher cache: everything besides the texts on which its vectors depend."""

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
"""Types in which token vectors can be stored; float32 is meant for checks."""
KEY_BYTES = 16
_PROBE = ["The goat sleeps under the tree."]


@dataclass(frozen=True)
class CacheIdentity:
    """Settings that must agree for a cached vector to equal the teacher's.

    Attributes:
        teacher: Digest of the teacher's weights, modules and settings.
        tokenizer: Digest of its tokenizer's vocabulary and rules.
        prompt: Prompt before every text; the teacher reads its tokens, but their vectors are not stored.
        max_length: Number of tokens at which a text is truncated; ``None`` for the model's own limit, which is part of
            ``teacher``.
        special_tokens: Ids of the special tokens at the boundaries of a text.
        late_interaction: Whether the teacher is a late-interaction model.
        width: Width of a token vector.
        sentence_width: Width of a sentence vector.
        vocabulary: Number of tokens of the tokenizer.
        dtype: Type of the stored token vectors: ``float16``, ``int8`` or ``float32``.
        text_start: Number of tokens of the prompt, which are left out.

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
        """Digest of the whole identity, 32 hexadecimal digits."""
        described = asdict(self)
        if not self.text_start:  # caches without a prompt keep the digest of versions without this field
            del described["text_start"]
        content = json.dumps(described, sort_keys=True).encode()
        return hashlib.blake2b(content, digest_size=16).hexdigest()

    def differences(self, wanted: CacheIdentity) -> list[str]:
        """Describe every field that differs from another identity."""
        return [
            f"{item.name} (here {mine!r}, asked for {other!r})"
            for item in fields(self)
            if (mine := getattr(self, item.name)) != (other := getattr(wanted, item.name))
        ]

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> CacheIdentity:
        """Read an identity from JSON.

        Raises:
            TypeError: The fields are not those of an identity, or the dtype or the width is not valid.
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
        teacher: The teacher, with its weights.
        prompt: Prompt before the English texts.
        max_length: Largest number of tokens per text; ``None`` for the model's own limit.
        dtype: ``"float16"``, ``"int8"`` or ``"float32"``.

    Raises:
        InputError: The dtype is another one, or the model has no token vectors.
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
    """Tokenize texts for the teacher as the collator does, and move the features to the teacher's device."""
    from hf_optical.encoders.teachers import is_late_interaction

    options: dict[str, Any] = {"prompt": prompt, "task": "query" if is_late_interaction(teacher) else None}
    if max_length is not None:
        options["max_length"] = max_length
    features = with_text_start(teacher.preprocess(texts, **options), teacher.tokenizer, prompt)
    return {
        name: value.to(teacher.device) if isinstance(value, torch.Tensor) else value for name, value in features.items()
    }


def text_key(text: str) -> bytes:
    """Hash a text to the 16 bytes by which a cache finds its vectors.

    Example:
        >>> text_key("a") == text_key("a"), text_key("a") == text_key("b"), len(text_key(""))
        (True, False, 16)
    """
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def _digest(content: Any) -> str:
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()
