"""New pieces that leave English as it was: those that would cut English words differently are taken back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, models

from hf_optical.students.learning import words_of
from hf_optical.students.vocabulary import NewPieces

__all__ = ["spare_english"]


def spare_english(new: NewPieces, backend: Tokenizer, spec: dict[str, Any], english: Iterable[str]) -> NewPieces:
    """Leave out the new pieces of a Unigram vocabulary that English would be cut with.

    The best segmentation of a word changes only if a new piece is part of the new one. So the pieces that occur in the
    segmentation of an English word are taken back, again and again until none does: then every word of these texts is
    cut as before. A word that the texts lack may still be cut differently.

    Args:
        new: Pieces learnt from the other language, with scores.
        backend: The tokenizer that is to be extended; its normalizer and pre-tokenizer cut the texts into words.
        spec: Its JSON.
        english: English texts, the more the better.

    Returns:
        The pieces that remain, in their order.

    Example:
        >>> entries = [["<unk>", 0.0], ["a", -2.0], ["b", -2.0], ["c", -2.0]]
        >>> spec = {"model": {"type": "Unigram", "unk_id": 0, "vocab": entries}}
        >>> spare_english(NewPieces(["ab", "bc"], [-1.0, -1.0]), Tokenizer(models.Unigram()), spec, ["cab"]).pieces
        ['bc']
    """
    words = sorted(words_of(english, backend))
    vocabulary = [(piece, score) for piece, score in spec["model"]["vocab"]]
    scores = dict(zip(new.pieces, new.scores, strict=True))
    while scores:
        model = models.Unigram(
            [*vocabulary, *scores.items()], spec["model"]["unk_id"], spec["model"].get("byte_fallback", False)
        )
        used = {token.value for word in words for token in model.tokenize(word) if token.id >= len(vocabulary)}
        if not used:
            break
        scores = {piece: score for piece, score in scores.items() if piece not in used}
    return NewPieces(list(scores), list(scores.values()))
