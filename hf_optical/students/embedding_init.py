"""Initial embedding rows of pieces that the teacher does not have, as means of its rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, decoders
from torch import Tensor

Lexicon = Mapping[str, "str | Sequence[str]"]


def longest_match(word: str, vocabulary: Mapping[str, int], prefix: str, initial: bool) -> list[int]:
    """Segment a word by longest match as WordPiece does, but skip characters that no piece covers.

    WordPiece itself would return the unknown token for the whole word, and the same row for all words of a script.

    Args:
        word: One word, normalised.
        vocabulary: Ids by piece.
        prefix: Prefix of continuing pieces (``##``).
        initial: Whether the first piece begins a word; if not, it is looked up as a continuing piece.

    Returns:
        The ids, possibly none.

    Example:
        >>> longest_match("abc", {"ab": 0, "##b": 1, "##c": 2, "##a": 3}, "##", initial=True)
        [0, 2]
        >>> longest_match("ab?", {"ab": 0, "##b": 1, "##a": 3}, "##", initial=False)
        [3, 1]
    """
    ids, start = [], 0
    while start < len(word):
        mark = "" if initial and start == 0 else prefix
        for end in range(len(word), start, -1):
            if (found := vocabulary.get(mark + word[start:end])) is not None:
                break
        else:
            end, found = start + 1, vocabulary.get(word[start])
        if found is not None:
            ids.append(found)
        start = end
    return ids


class SurfaceForms:
    """Segmentation of the text of a piece into ids of the teacher's tokenizer.

    Args:
        backend: The teacher's tokenizer.

    Example:
        >>> from tokenizers import models
        >>> forms = SurfaceForms(Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]")))
        >>> forms.ids("ab", initial=True), forms.ids("b", initial=False), forms.ids("x", initial=True)
        ([1, 2], [2], [])
    """

    def __init__(self, backend: Tokenizer) -> None:
        model = json.loads(backend.to_str())["model"]
        self._backend = backend
        self._prefix = model.get("continuing_subword_prefix") if model["type"] == "WordPiece" else None
        self._vocabulary = backend.get_vocab()
        unknown = model.get("unk_token")
        self._unknown = self._vocabulary.get(unknown) if unknown else model.get("unk_id")

    def ids(self, surface: str, *, initial: bool = True) -> list[int]:
        """Return the teacher's ids of a text, without special and unknown tokens.

        Args:
            surface: Text of a piece, without its mark.
            initial: Whether it begins a word. Only WordPiece uses this; other kinds treat every text as the beginning
                of a word.

        Returns:
            The ids; none if no part of the text is in the teacher's vocabulary.
        """
        if self._prefix is None:
            return [i for i in self._backend.encode(surface, add_special_tokens=False).ids if i != self._unknown]
        normalizer, cutter = self._backend.normalizer, self._backend.pre_tokenizer
        text = normalizer.normalize_str(surface) if normalizer is not None else surface
        words = [word for word, _ in cutter.pre_tokenize_str(text)] if cutter is not None else [text]
        return [
            i
            for n, word in enumerate(words)
            for i in longest_match(word, self._vocabulary, self._prefix, initial or n > 0)
        ]

    def ids_of_piece(self, piece: str) -> list[int]:
        """Return the teacher's ids of a piece in the notation of its tokenizer (``##ing``, ``▁ya``, ``Ġwa``).

        Args:
            piece: The piece.

        Returns:
            The ids; none if no part of the piece is in the teacher's vocabulary.
        """
        if self._prefix is None:
            return [token.id for token in self._backend.model.tokenize(piece) if token.id != self._unknown]
        initial = not piece.startswith(self._prefix)
        return self.ids(piece if initial else piece[len(self._prefix) :], initial=initial)


def lexicon_ids(
    lexicon: Lexicon, read: Callable[[str], list[int]], fold: Callable[[str], str]
) -> dict[str, list[list[int]]]:
    """Return the teacher's ids of each translation of each foreign word.

    Args:
        lexicon: English translation or translations by foreign word.
        read: Function from an English text to the teacher's ids.
        fold: The student's normalisation of a word, so that words have the form of its pieces.

    Returns:
        One list of ids per translation, by normalised word; words without a translation that has ids are left out.

    Example:
        >>> lexicon_ids({"Maji": ["water"], "?": []}, lambda text: [len(text)], str.lower)
        {'maji': [[5]]}
    """
    table: dict[str, list[list[int]]] = {}
    for word, translations in lexicon.items():
        options = [translations] if isinstance(translations, str) else translations
        groups = [ids for ids in map(read, options) if ids]
        if groups:
            table.setdefault(fold(word), []).extend(groups)
    return table


def initial_rows(table: Tensor, sources: Sequence[Sequence[Sequence[int]]], seed: int = 0) -> Tensor:
    """Compute one embedding row per new piece.

    Args:
        table: The teacher's embedding rows, ``(vocabulary, width)``.
        sources: Groups of ids for each new piece, one group for a surface form, or one per translation of a lexicon.
            The row is the mean over groups of the mean of each group's rows.
        seed: Random seed for the rows of pieces without ids.

    Returns:
        Rows, ``(pieces, width)``, in the table's precision. The row of a piece without ids is drawn from the normal
        distribution with the table's mean and standard deviation per dimension.

    Example:
        >>> initial_rows(torch.tensor([[0.0, 2.0], [4.0, 2.0], [9.0, 9.0]]), [[[0, 1]], [[0], [1, 1]]]).tolist()
        [[2.0, 2.0], [2.0, 2.0]]
    """
    table = table.detach()
    generator = torch.Generator().manual_seed(seed)
    mean, spread = table.float().mean(0).cpu(), table.float().std(0).cpu()
    rows = mean + spread * torch.randn(len(sources), table.shape[1], generator=generator)
    for row, groups in enumerate(sources):
        if groups:
            means = [table[torch.as_tensor(list(ids), device=table.device)].float().mean(0) for ids in groups]
            rows[row] = torch.stack(means).mean(0).cpu()
    return rows.to(table)


def word_of(piece: str, spec: dict[str, Any]) -> str | None:
    """Return the text of a piece that begins a word, or ``None`` if the piece continues a word.

    Args:
        piece: A piece in the notation of its tokenizer.
        spec: JSON of the tokenizer.

    Returns:
        The text without the mark.

    Example:
        >>> wordpiece = {"model": {"type": "WordPiece", "continuing_subword_prefix": "##"}}
        >>> word_of("maji", wordpiece), word_of("##ni", wordpiece)
        ('maji', None)
        >>> word_of("▁maji", {"model": {"type": "Unigram"}})
        'maji'
    """
    if spec["model"]["type"] == "WordPiece":
        return None if piece.startswith(spec["model"]["continuing_subword_prefix"]) else piece
    if piece.startswith("▁"):
        return piece[1:]
    if not piece.startswith("Ġ"):
        return None
    return decoders.ByteLevel().decode([piece]).strip()


def source_ids(
    pieces: Sequence[str],
    words: Sequence[str | None],
    forms: SurfaceForms,
    lexicon: Mapping[str, list[list[int]]],
) -> list[list[list[int]]]:
    """Collect the groups of the teacher's ids from which each new row is computed.

    Args:
        pieces: New pieces, in the notation of the teacher's tokenizer.
        words: For each piece the word that it begins, or ``None``.
        forms: The teacher's segmentation of text.
        lexicon: Result of `lexicon_ids`, which is preferred to the surface form.

    Returns:
        Groups of ids of each piece, for `initial_rows`.
    """
    sources = []
    for piece, word in zip(pieces, words, strict=True):
        groups = lexicon.get(word, []) if word is not None else []
        if not groups and (ids := forms.ids_of_piece(piece)):
            groups = [ids]
        sources.append(groups)
    return sources


def normalizer_of(backend: Tokenizer) -> Callable[[str], str]:
    """Return the normalisation of a tokenizer as a function of a word.

    Args:
        backend: The tokenizer.

    Returns:
        A function from a word to the form in which the tokenizer writes its pieces.

    Example:
        >>> from tokenizers import models, normalizers
        >>> tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
        >>> tokenizer.normalizer = normalizers.Lowercase()
        >>> normalizer_of(tokenizer)("Maji ")
        'maji'
    """
    normalizer = backend.normalizer
    return lambda word: (normalizer.normalize_str(word) if normalizer is not None else word).strip().strip("▁")
