"""Removal of new pieces that would change the segmentation of English words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, models

from hf_optical.students.learning import words_of
from hf_optical.students.vocabulary import NewPieces

__all__ = ["spare_english"]


def spare_english(new: NewPieces, backend: Tokenizer, spec: dict[str, Any], english: Iterable[str]) -> NewPieces:
    """Remove new pieces of a Unigram vocabulary that would be used for English text.

    Added pieces change the best segmentation of a word only if it contains one of them. Pieces that occur in the
    segmentation of an English word are therefore removed, repeatedly until none occurs. All words of these texts are
    then segmented as before; other English words may still be segmented differently.

    Args:
        new: Pieces learnt from the other language, with scores.
        backend: Tokenizer to extend, whose normalizer and pre-tokenizer split the texts into words.
        spec: JSON of the tokenizer.
        english: English texts; more texts protect more words.

    Returns:
        The remaining pieces, in their order.

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
