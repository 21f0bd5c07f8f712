"""Unicode normalization (form C) as the first step of a student's tokenizer, so that equal text gives equal tokens."""

from __future__ import annotations

import json
from typing import Any

from sentence_transformers.base.modules import Transformer
from transformers import PreTrainedTokenizerBase

from hf_optical.encoders.parts import rebuilt_tokenizer, tokenizer_of

__all__ = ["composed_first", "generic_class", "read_one_form"]

_FORMS = ("NFC", "NFKC", "NFD", "NFKD")


def composed_first(spec: dict[str, Any] | None) -> dict[str, Any]:
    """Add form C before all steps of a normalizer's JSON, unless one of the steps normalises text already.

    Args:
        spec: The ``normalizer`` entry of a tokenizer's JSON, or ``None``.

    Returns:
        The new entry.

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
    """Return whether a step makes canonically equal text equal."""
    if step["type"] == "BertNormalizer":  # it decomposes text and removes marks if it strips accents
        stripped = step.get("strip_accents")
        return bool(step.get("lowercase") if stripped is None else stripped)
    return step["type"] in _FORMS


def generic_class(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Return settings with which transformers loads the tokenizer's backend unchanged.

    The class of BERT's tokenizer builds a new normalizer from its own options when it is loaded (transformers 5), so
    that an added step would be lost without a warning.
    """
    return {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": list(tokenizer.model_input_names)}


def read_one_form(module: Transformer) -> Transformer:
    """Add the normalization to the tokenizer of a student's module, in place, and return the module.

    A slow tokenizer, which has no backend of `tokenizers`, is not changed.
    """
    tokenizer = tokenizer_of(module)
    if not getattr(tokenizer, "is_fast", False):
        return module
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    normalizer = composed_first(spec["normalizer"])
    if normalizer != spec["normalizer"]:
        module.processor = rebuilt_tokenizer(tokenizer, {**spec, "normalizer": normalizer}, **generic_class(tokenizer))
    return module
