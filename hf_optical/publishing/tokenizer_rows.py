"""Selection of the pieces of a tokenizer that texts need, and the tokenizer's JSON without the other pieces.

All functions work on the JSON of `tokenizers.Tokenizer`, without a model.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping
from typing import Any

from hf_optical.errors import InputError

_TRIMMED_KINDS = ("Unigram", "WordPiece", "WordLevel")

_PREFIXES = ("▁", "##")


def check_kind(spec: Mapping[str, Any]) -> str:
    """Return the kind of tokenizer, provided that its vocabulary can be trimmed.

    Unigram chooses the segmentation with the best score and WordPiece the longest piece. If all pieces of a text are
    kept, the best or longest choice stays the same without the other pieces, and so does the segmentation. BPE cannot
    be trimmed in this way, because its merges pass through pieces that do not occur in the segmented text.

    Args:
        spec: A tokenizer's JSON.

    Returns:
        ``"Unigram"``, ``"WordPiece"`` or ``"WordLevel"``.

    Raises:
        InputError: The tokenizer is of another kind.

    Example:
        >>> check_kind({"model": {"type": "Unigram"}})
        'Unigram'
    """
    kind = str(spec["model"].get("type"))
    if kind not in _TRIMMED_KINDS:
        raise InputError(
            f"the tokenizer is of kind {kind!r}, which may segment text differently when pieces are removed",
            f"publish without trimming, or use a model with a tokenizer of kind {', '.join(_TRIMMED_KINDS)}",
        )
    return kind


def _pieces_of(spec: Mapping[str, Any]) -> dict[int, str]:
    """Return every piece by its id, including added tokens.

    Example:
        >>> _pieces_of({"model": {"vocab": [["<s>", 0], ["▁a", -1]]}, "added_tokens": [{"id": 2, "content": "<m>"}]})
        {0: '<s>', 1: '▁a', 2: '<m>'}
    """
    vocabulary = spec["model"]["vocab"]
    if isinstance(vocabulary, Mapping):
        found = {int(number): piece for piece, number in vocabulary.items()}
    else:
        found = {number: entry[0] for number, entry in enumerate(vocabulary)}
    return {**found, **{int(token["id"]): token["content"] for token in spec.get("added_tokens", [])}}


def unknown_id(spec: Mapping[str, Any]) -> int | None:
    """Return the id of the unknown token, or ``None`` if the tokenizer has none.

    Example:
        >>> unknown_id({"model": {"unk_token": "[UNK]", "vocab": {"[PAD]": 0, "[UNK]": 1}}})
        1
    """
    model = spec["model"]
    if "unk_id" in model:
        return model["unk_id"]
    return model["vocab"].get(model.get("unk_token"))


def rows_to_keep(spec: Mapping[str, Any], used: Iterable[int], characters: Iterable[str] = ()) -> list[int]:
    """Return the ids to keep, in rising order, so that special ids at the start do not change.

    Args:
        spec: A tokenizer's JSON.
        used: Ids that the texts need.
        characters: Characters of the texts. Pieces of a single such character, or of a single printable ASCII
            character, are kept too, so that other words of the same script are split into more pieces and do not
            become unknown.

    Returns:
        ``used``, added and special tokens, single characters and byte pieces. For Unigram also the piece with the
        lowest score: unknown characters score 10 below it, which decides on the segmentation around them.

    Raises:
        InputError: An id is not in the vocabulary.

    Example:
        >>> spec = {"model": {"type": "WordPiece", "unk_token": "[UNK]",
        ...                   "vocab": {"[UNK]": 0, "dog": 1, "a": 2, "mbwa": 3, "##ß": 4}}}
        >>> rows_to_keep(spec, [3]), rows_to_keep(spec, [3], "ß")
        ([0, 2, 3], [0, 2, 3, 4])
    """
    pieces = _pieces_of(spec)
    keep = {int(number) for number in used}
    if strange := sorted(keep - pieces.keys()):
        raise InputError(f"id {strange[0]} is not in the tokenizer's vocabulary", "use ids of the same tokenizer")
    keep |= {int(token["id"]) for token in spec.get("added_tokens", [])}
    if (unknown := unknown_id(spec)) is not None:
        keep.add(unknown)
    single = set(characters) | set(string.printable.strip()) | set(_PREFIXES)
    for number, piece in pieces.items():
        bare = next((piece.removeprefix(prefix) for prefix in _PREFIXES if piece.startswith(prefix)), piece)
        if bare in single or piece in single or (piece.startswith("<0x") and piece.endswith(">")):
            keep.add(number)
    if spec["model"]["type"] == "Unigram":
        vocabulary = spec["model"]["vocab"]
        keep.add(min(range(len(vocabulary)), key=lambda number: vocabulary[number][1]))
    return sorted(keep)


def with_rows(spec: Mapping[str, Any], kept: Iterable[int]) -> dict[str, Any]:
    """Build a tokenizer's JSON with some of its pieces, renumbered in the given order.

    Args:
        spec: The tokenizer's JSON, which is not changed.
        kept: Old ids in rising order; piece ``kept[i]`` gets id ``i``.

    Returns:
        The new JSON, in which vocabulary, unknown id, added tokens, post-processor and padding use the new ids.

    Raises:
        InputError: An added token, or a token that the post-processor or the padding inserts, is not kept.

    Example:
        >>> spec = {"model": {"type": "WordPiece", "vocab": {"[UNK]": 0, "dog": 1, "mbwa": 2}}}
        >>> with_rows(spec, [0, 2])["model"]["vocab"]
        {'[UNK]': 0, 'mbwa': 1}
    """
    new = {int(old): number for number, old in enumerate(kept)}
    model = dict(spec["model"])
    if isinstance(model["vocab"], Mapping):
        model["vocab"] = {piece: new[number] for piece, number in model["vocab"].items() if number in new}
    else:
        model["vocab"] = [entry for number, entry in enumerate(model["vocab"]) if number in new]
    out = {**spec, "model": model}
    if model.get("unk_id") is not None:
        model["unk_id"] = _renumbered(new, model["unk_id"], "unknown")
    if "added_tokens" in spec:
        out["added_tokens"] = [
            {**token, "id": _renumbered(new, token["id"], token["content"])} for token in spec["added_tokens"]
        ]
    if spec.get("post_processor"):
        out["post_processor"] = _post_processor(spec["post_processor"], new)
    if spec.get("padding"):
        out["padding"] = {**spec["padding"], "pad_id": _renumbered(new, spec["padding"]["pad_id"], "padding")}
    return out


def _renumbered(new: Mapping[int, int], old: int, name: str) -> int:
    """Return the new id of a token that the tokenizer itself refers to."""
    if old not in new:
        raise InputError(f"the token {name!r} (id {old}) is not kept, and the tokenizer needs it", "keep its row too")
    return new[old]


def _post_processor(spec: Mapping[str, Any], new: Mapping[int, int]) -> dict[str, Any]:
    """Renumber a post-processor: templates, pairs of BERT and RoBERTa, and sequences of these."""
    out = dict(spec)
    if "processors" in spec:
        out["processors"] = [_post_processor(step, new) for step in spec["processors"]]
    for role in ("sep", "cls"):
        if isinstance(spec.get(role), list | tuple):
            token, number = spec[role]
            out[role] = [token, _renumbered(new, number, token)]
    if isinstance(spec.get("special_tokens"), Mapping):
        out["special_tokens"] = {
            name: {**token, "ids": [_renumbered(new, number, name) for number in token["ids"]]}
            for name, token in spec["special_tokens"].items()
        }
    return out
