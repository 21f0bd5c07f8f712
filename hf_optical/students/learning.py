"""Learning of sub-word pieces that a tokenizer does not have, with the trainers of `tokenizers`."""

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
        backend: The tokenizer to extend, whose normalizer and pre-tokenizer are used.
        spec: JSON of the tokenizer.
        limit: Largest number of pieces to learn.
        min_frequency: Least number of occurrences of a piece.

    Returns:
        The new pieces, in the order in which the trainer learnt them.

    Raises:
        InputError: The kind of tokenizer is not supported.

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
    """Return an empty tokenizer with the normalizer and pre-tokenizer of ``backend``."""
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
    # The trainer numbers pieces "##x" in the order of a randomly seeded hash table, and breaks ties between merges by
    # number. Without a list of these pieces, two runs would learn different vocabularies.
    inner = sorted({prefix + character for word in words_of(texts, backend) for character in word[1:]})
    # In the worst case every known piece is learnt again before `limit` new pieces are.
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
    """Learn merges of the tokenizer's present pieces, for BPE and Unigram.

    Every known piece is written as one private character, and the library's BPE trainer merges these characters. BPE
    keeps its own merges before the new ones, and Unigram its own scores.
    """
    symbols: dict[str, str] = {}
    coded: Counter[str] = Counter()
    known = backend.get_vocab()
    for word, count in words_of(texts, backend).items():
        # A run of unknown characters is one unknown token; each character is a piece to learn.
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
    used = [piece for piece in pieces if piece in counts]  # Unigram needs no pieces that only occur in longer ones
    return NewPieces(used, scores=[math.log(counts[piece] / total) for piece in used])


def unigram_entries(words: Counter[str], size: int, min_frequency: int = 2, rounds: int = 2) -> list[tuple[str, float]]:
    """Learn the pieces and log-probabilities of a Unigram vocabulary, with the same result in every run.

    The library's own Unigram trainer reads words in the order of a randomly seeded hash table, so that its runs differ.
    Here candidates are learnt by its BPE trainer, which can be made reproducible. The most frequent ones are kept, and
    their probabilities are re-estimated by counting best segmentations (hard EM, after Kudo 2018,
    https://aclanthology.org/P18-1007/).

    Args:
        words: Counts of words, in the form that the pre-tokenizer gives them.
        size: Largest number of pieces, among which is every character of the words.
        min_frequency: Least number of occurrences of a candidate.
        rounds: Rounds of re-estimation.

    Returns:
        Pieces and scores, most probable first.

    Raises:
        InputError: There are more characters than ``size``.

    Example:
        >>> [piece for piece, _ in unigram_entries(Counter({"aba": 4, "ab": 3}), 4)]
        ['aba', 'ab', 'a', 'b']
    """
    characters = sorted({character for word in words for character in word})
    if len(characters) > size:
        raise InputError(
            f"the texts have {len(characters)} different characters, and there is room for {size} pieces",
            "give a larger vocab_size",
            field="vocab_size",
        )
    # Half as many candidates more are learnt, because some only occur within longer ones.
    counts = _count(_train_merges(words, size + size // 2, min_frequency), words)
    longer = sorted((piece for piece in counts if len(piece) > 1), key=lambda piece: (-counts[piece], piece))
    kept = [*characters, *longer[: size - len(characters)]]
    entries: list[tuple[str, float]] = []
    for round_ in range(rounds + 1):
        # Half a count is added to each piece, so that no probability is 0.
        total = sum(counts[piece] for piece in kept) + 0.5 * len(kept)
        entries = [(piece, math.log((counts[piece] + 0.5) / total)) for piece in kept]
        if round_ < rounds:
            counts = _count(Tokenizer(models.Unigram([("", 0.0), *entries], unk_id=0)), words)
    return sorted(entries, key=lambda entry: (-entry[1], entry[0]))


def words_of(texts: Iterable[str], backend: Tokenizer) -> Counter[str]:
    """Count the words of texts after a tokenizer's normalizer and pre-tokenizer.

    Args:
        texts: Sentences.
        backend: The tokenizer.

    Returns:
        Counts by word.

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
    """Train a BPE tokenizer on counted words."""
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
    """Return the merges of a BPE tokenizer, which its JSON writes as texts or as pairs."""
    raw = json.loads(tokenizer.to_str())["model"]["merges"]
    pairs = (merge.split(" ") if isinstance(merge, str) else merge for merge in raw)
    return [(left, right) for left, right in pairs]
