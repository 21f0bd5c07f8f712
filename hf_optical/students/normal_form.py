"""Tokenizers of students read canonically equal text alike, whoever loads them: Unicode's form C comes first."""

from __future__ import annotations

import json
from typing import Any

from sentence_transformers.base.modules import Transformer
from transformers import PreTrainedTokenizerBase

from hf_optical.encoders.parts import rebuilt_tokenizer, tokenizer_of

__all__ = ["composed_first", "generic_class", "read_one_form"]

_FORMS = ("NFC", "NFKC", "NFD", "NFKD")


def composed_first(spec: dict[str, Any] | None) -> dict[str, Any]:
    """A normalizer's JSON with form C before all other steps, unless one of them brings text to one form anyway.

    Args:
        spec: The ``normalizer`` entry of a tokenizer's JSON.

    Example:
        >>> composed_first({"type": "Lowercase"})
        {'type': 'Sequence', 'normalizers': [{'type': 'NFC'}, {'type': 'Lowercase'}]}
        >>> composed_first({"type": "NFKC"}), composed_first(None)
        ({'type': 'NFKC'}, {'type': 'NFC'})
    """
    if spec is None:
        return {"type": "NFC"}
    steps = spec["normalizers"] if spec["type"] == "Sequence" else [spec]
    if any(_one_form(step) for step in steps):
        return spec
    return {"type": "Sequence", "normalizers": [{"type": "NFC"}, *steps]}


def _one_form(step: dict[str, Any]) -> bool:
    if step["type"] == "BertNormalizer":  # decomposes and drops marks where it strips accents
        stripped = step.get("strip_accents")
        return bool(step.get("lowercase") if stripped is None else stripped)
    return step["type"] in _FORMS


def generic_class(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Settings with which transformers reads the backend as it is written.

    The class of BERT's tokenizer makes its normalizer anew from its own options when it is loaded (transformers 5), and
    a step before it would be lost without a word.
    """
    return {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": list(tokenizer.model_input_names)}


def read_one_form(module: Transformer) -> Transformer:
    """Let the tokenizer of a student's module read text in one form; the module itself is changed.

    A tokenizer without a backend in Rust is left as it is.
    """
    tokenizer = tokenizer_of(module)
    if not getattr(tokenizer, "is_fast", False):
        return module
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    normalizer = composed_first(spec["normalizer"])
    if normalizer != spec["normalizer"]:
        module.processor = rebuilt_tokenizer(tokenizer, {**spec, "normalizer": normalizer}, **generic_class(tokenizer))
    return module
