"""Learn sub-word pieces that a tokenizer lacks, with the trainers of `tokenizers`."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from hf_optical.errors import InputError
from hf_optical.students.vocabulary import NewPieces, kind_of

_FIRST_PRIVATE = 0xF0000  # planes 15 and 16: 131,072 code points that no text uses


def learn_pieces(
    texts: Iterable[str], backend: Tokenizer, spec: dict[str, Any], limit: int, min_frequency: int = 2
) -> NewPieces:
    """Learn up to ``limit`` pieces that the tokenizer does not have.

    Args:
        texts: Sentences of the new language.
        backend: The tokenizer to extend: its normalizer and pre-tokenizer cut the texts.
        spec: Its JSON.
        limit: The most pieces to learn.
        min_frequency: Pieces seen less often are not learnt.

    Returns:
        The new pieces, most useful first.

    Raises:
        InputError: If the tokenizer's kind is not supported.

    Example:
        >>> tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
        >>> tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        >>> learn_pieces(["ab ab"] * 2, tokenizer, json.loads(tokenizer.to_str()), limit=5).pieces
        ['##b', 'b', 'ab']
    """
    learn = {"WordPiece": _learn_wordpieces, "Unigram": _learn_merges, "BPE": _learn_merges}[kind_of(spec)]
    if limit <= 0:
        return NewPieces([])
    return learn(texts, backend, spec, limit, min_frequency)


def _like(backend: Tokenizer, model: Any) -> Tokenizer:
    """Return an empty tokenizer that normalises and cuts text as ``backend`` does."""
    tokenizer = Tokenizer(model)
    if backend.normalizer is not None:
        tokenizer.normalizer = backend.normalizer
    if backend.pre_tokenizer is not None:
        tokenizer.pre_tokenizer = backend.pre_tokenizer
    return tokenizer


def _by_id(tokenizer: Tokenizer) -> list[str]:
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _learn_wordpieces(
    texts: Iterable[str], backend: Tokenizer, spec: dict[str, Any], limit: int, min_frequency: int
) -> NewPieces:
    known = backend.get_vocab()
    unknown, prefix = spec["model"]["unk_token"], spec["model"]["continuing_subword_prefix"]
    learner = _like(backend, models.WordPiece(unk_token=unknown))
    # The trainer numbers "##x" in the order of a randomly seeded hash table and breaks ties between merges by number:
    # without names given beforehand two runs learn different vocabularies.
    inner = sorted({prefix + character for word in words_of(texts, backend) for character in word[1:]})
    # In the worst case every known piece is learnt again before `limit` new ones are.
    trainer = trainers.WordPieceTrainer(
        vocab_size=limit + len(known),
        min_frequency=min_frequency,
        special_tokens=[unknown, *inner],
        continuing_subword_prefix=prefix,
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    return NewPieces([piece for piece in _by_id(learner) if piece not in known][:limit])


def _learn_merges(
    texts: Iterable[str], backend: Tokenizer, spec: dict[str, Any], limit: int, min_frequency: int
) -> NewPieces:
    """Go on with merges where the tokenizer ends: BPE keeps its own merges first, and Unigram its own scores.

    Every known piece is written as one private character; the library's BPE trainer then merges those.
    """
    symbols: dict[str, str] = {}
    coded: Counter[str] = Counter()
    known = backend.get_vocab()
    for word, count in words_of(texts, backend).items():
        # A run of characters that the tokenizer lacks comes as one unknown token: each of them is a piece to learn.
        values = [token.value for token in backend.model.tokenize(word)]
        parts = [part for value in values for part in ([value] if value in known else value)]
        coded["".join(symbols.setdefault(part, chr(_FIRST_PRIVATE + len(symbols))) for part in parts)] += count
    parts_of = {symbol: part for part, symbol in symbols.items()}
    singles = [part for part in symbols if part not in known][:limit]
    learner = _train_merges(coded, len(symbols) + limit - len(singles), min_frequency)
    merges = [tuple("".join(map(parts_of.__getitem__, side)) for side in pair) for pair in _merges(learner)]
    pieces = list(dict.fromkeys(piece for piece in [*singles, *map("".join, merges)] if piece not in known))
    if spec["model"]["type"] == "BPE":
        return NewPieces(pieces, merges=[(left, right) for left, right in merges])
    counts = {"".join(map(parts_of.__getitem__, token)): n for token, n in _count(learner, coded).items()}
    total = sum(counts.values())
    used = [piece for piece in pieces if piece in counts]  # a stepping stone to longer pieces is of no use to Unigram
    return NewPieces(used, scores=[math.log(counts[piece] / total) for piece in used])


def unigram_entries(words: Counter[str], size: int, min_frequency: int = 2, rounds: int = 2) -> list[tuple[str, float]]:
    """Learn the pieces and log-probabilities of a Unigram vocabulary, the same in every run.

    The library's own Unigram trainer reads words in the order of a randomly seeded hash table: two runs differ. Here
    candidates come from its BPE trainer, which can be made repeatable; the most frequent are kept; their probabilities
    are re-estimated by counting best segmentations (hard EM, after Kudo 2018, https://aclanthology.org/P18-1007/).

    Args:
        words: Word -> count; words as the pre-tokenizer writes them.
        size: The most pieces; every character of the words is one.
        min_frequency: Pieces seen less often are no candidates.
        rounds: Rounds of re-estimation.

    Returns:
        Pieces and scores, most probable first.

    Raises:
        InputError: If there are more characters than ``size``.

    Example:
        >>> [piece for piece, _ in unigram_entries(Counter({"aba": 4, "ab": 3}), 4)]
        ['aba', 'ab', 'a', 'b']
    """
    characters = sorted({character for word in words for character in word})
    if len(characters) > size:
        raise InputError(
            f"the texts have {len(characters)} different characters, and there is room for {size} pieces",
            "give a greater vocab_size",
            field="vocab_size",
        )
    # Half as many candidates again: some are only steps on the way to longer ones.
    counts = _count(_train_merges(words, size + size // 2, min_frequency), words)
    longer = sorted((piece for piece in counts if len(piece) > 1), key=lambda piece: (-counts[piece], piece))
    kept = [*characters, *longer[: size - len(characters)]]
    entries: list[tuple[str, float]] = []
    for round_ in range(rounds + 1):
        total = sum(counts[piece] for piece in kept) + 0.5 * len(kept)  # half a count: nothing has probability 0
        entries = [(piece, math.log((counts[piece] + 0.5) / total)) for piece in kept]
        if round_ < rounds:
            counts = _count(Tokenizer(models.Unigram([("", 0.0), *entries], unk_id=0)), words)
    return sorted(entries, key=lambda entry: (-entry[1], entry[0]))


def words_of(texts: Iterable[str], backend: Tokenizer) -> Counter[str]:
    """Count the words of texts, normalised and cut as a tokenizer does.

    Args:
        texts: Sentences.
        backend: The tokenizer.

    Returns:
        Word -> count.

    Example:
        >>> tokenizer = Tokenizer(models.BPE())
        >>> tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        >>> words_of(["maji safi", "maji"], tokenizer)
        Counter({'maji': 2, 'safi': 1})
    """
    words: Counter[str] = Counter()
    normalizer = backend.normalizer or normalizers.Sequence([])
    cutter = backend.pre_tokenizer or pre_tokenizers.Sequence([])
    for text in texts:
        words.update(word for word, _ in cutter.pre_tokenize_str(normalizer.normalize_str(text)))
    return words


def _train_merges(words: Counter[str], size: int, min_frequency: int) -> Tokenizer:
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=min_frequency, special_tokens=[], show_progress=False)
    learner.train_from_iterator((word for word, count in words.items() for _ in range(count)), trainer)
    return learner


def _count(tokenizer: Tokenizer, words: Counter[str]) -> Counter[str]:
    """Count the pieces of words in the tokenizer's segmentation."""
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for token in tokenizer.model.tokenize(word):
            counts[token.value] += count
    return counts


def _merges(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    raw = json.loads(tokenizer.to_str())["model"]["merges"]
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in raw)
    return [(left, right) for left, right in pairs]
