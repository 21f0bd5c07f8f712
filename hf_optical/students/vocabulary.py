"""Changes of a tokenizer's vocabulary in its JSON, and checks of the texts from which pieces are learnt.

All functions work on `tokenizers.Tokenizer` and its JSON, without a model. New pieces become part of the tokenizer's
own vocabulary. They are not "added tokens", which are split off before text is segmented into words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hf_optical.errors import InputError

_SUPPORTED_KINDS = ("WordPiece", "Unigram", "BPE")


@dataclass(frozen=True)
class NewPieces:
    """Pieces to add, in the order of their ids.

    Attributes:
        pieces: Pieces in the notation of the tokenizer (``##ing``, ``▁ya``, ``Ġwa``).
        scores: For Unigram, one log-probability per piece, on the scale of the tokenizer's own.
        merges: For BPE, the merges by which the pieces are made.
    """

    pieces: list[str]
    scores: list[float] = field(default_factory=list)
    merges: list[tuple[str, str]] = field(default_factory=list)


def check_texts(texts: Iterable[str] | None) -> Sequence[str]:
    """Check that texts are sentences, and return them as a sequence, which can be read several times.

    Args:
        texts: Sentences of the new language. A sequence (a list, a column of `datasets`) is not copied.

    Returns:
        The texts.

    Raises:
        InputError: There are no texts, or a row is empty or not a text; the message names the row.

    Example:
        >>> check_texts(["habari", "ndiyo"])
        ['habari', 'ndiyo']
    """
    if texts is None or isinstance(texts, str):
        found = "none were given" if texts is None else "one string was given"
        raise InputError(f"new pieces are learnt from sentences, but {found}", "pass texts=[...], a list of sentences")
    rows: Any = texts if hasattr(texts, "__len__") and hasattr(texts, "__getitem__") else list(texts)
    count = 0
    for count, text in enumerate(rows, start=1):
        if not isinstance(text, str) or not text.strip():
            raise InputError(
                f"expected a sentence, found {text!r}", "remove the row or fill it", row=count, field="texts"
            )
    if not count:
        raise InputError("texts is empty", "pass the sentences of the new language (one side of the bitext)")
    return rows


def kind_of(spec: dict[str, Any]) -> str:
    """Return the tokenizer's kind, provided that its vocabulary can be extended.

    Args:
        spec: JSON of the tokenizer.

    Returns:
        ``"WordPiece"``, ``"Unigram"`` or ``"BPE"``.

    Raises:
        InputError: The kind is another one, or it is a BPE tokenizer that does not split text into words.

    Example:
        >>> kind_of({"model": {"type": "WordPiece"}})
        'WordPiece'
    """
    kind = spec["model"].get("type")
    if kind not in _SUPPORTED_KINDS:
        raise InputError(
            f"the teacher's tokenizer is of kind {kind!r}, whose vocabulary cannot be extended",
            f"use a teacher with {', '.join(_SUPPORTED_KINDS)}, or vocabulary='copy' or 'replace'",
        )
    if kind == "BPE" and spec.get("pre_tokenizer") is None:
        raise InputError(
            "the teacher's BPE tokenizer has no pre-tokenizer, and pieces can only be learnt within words",
            "use vocabulary='copy' or 'replace', or a byte-level BPE, WordPiece or Unigram teacher",
        )
    return str(kind)


def extended(spec: dict[str, Any], new: NewPieces) -> dict[str, Any]:
    """Add pieces to a tokenizer's JSON, with ids after all present ones.

    Args:
        spec: JSON of the tokenizer, which is not changed.
        new: The pieces.

    Returns:
        JSON in which every old piece keeps its id and piece ``i`` of ``new`` has id ``size + i``, where ``size`` is one
        more than the largest old id.

    Example:
        >>> spec = {"added_tokens": [], "model": {"type": "WordPiece", "vocab": {"a": 0}}}
        >>> extended(spec, NewPieces(["b"]))["model"]["vocab"]
        {'a': 0, 'b': 1}
    """
    model = dict(spec["model"])
    # When a file is read, added tokens outside the vocabulary get ids after its end. They are therefore written into
    # the vocabulary, in which they keep their ids.
    added = sorted((token["id"], token["content"]) for token in spec.get("added_tokens", []))
    if model["type"] == "Unigram":
        entries = [list(entry) for entry in model["vocab"]]
        have = {entry[0] for entry in entries}
        entries += [[content, 0.0] for _, content in added if content not in have]
        model["vocab"] = entries + [list(entry) for entry in zip(new.pieces, new.scores, strict=True)]
        return {**spec, "model": model}
    vocabulary = {**model["vocab"], **{content: number for number, content in added}}
    size = max(vocabulary.values()) + 1
    model["vocab"] = {**vocabulary, **{piece: size + i for i, piece in enumerate(new.pieces)}}
    if model["type"] == "BPE":
        as_text = bool(model["merges"]) and isinstance(model["merges"][0], str)
        model["merges"] = list(model["merges"]) + [" ".join(m) if as_text else list(m) for m in new.merges]
    return {**spec, "model": model}


def size_of(spec: dict[str, Any]) -> int:
    """Return one more than the largest id in a tokenizer's JSON, including added tokens.

    Args:
        spec: JSON of the tokenizer.

    Returns:
        The number of embedding rows that the tokenizer needs.

    Example:
        >>> size_of({"added_tokens": [{"id": 4, "content": "<x>"}], "model": {"vocab": {"a": 0, "b": 1}}})
        5
    """
    vocabulary = spec["model"]["vocab"]
    ids = vocabulary.values() if isinstance(vocabulary, dict) else range(len(vocabulary))
    return max([*ids, *(token["id"] for token in spec.get("added_tokens", []))]) + 1
