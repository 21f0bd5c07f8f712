"""First embedding rows of pieces unknown to the teacher: means of its known rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, decoders
from torch import Tensor

Lexicon = Mapping[str, "str | Sequence[str]"]


def longest_match(word: str, vocabulary: Mapping[str, int], prefix: str, initial: bool) -> list[int]:
    """Cut a word as WordPiece does, but pass over characters that no piece covers.

    Args:
        word: One word, normalised.
        vocabulary: Piece -> id.
        prefix: What marks a continuation (``##``).
        initial: Whether the word's first piece begins a word; if not, it is looked up as a continuation.

    Returns:
        The ids, possibly none. (WordPiece itself gives up on the whole word: its one unknown row would be shared by
        all words of a script.)

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
    """Ids under which the teacher's tokenizer reads the text of a piece.

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
        """Return the teacher's ids of a text, without special and unknown ones.

        Args:
            surface: The text of a piece, without its mark.
            initial: Whether it begins a word (WordPiece only; other kinds read every text as the beginning of a word).

        Returns:
            The ids; none if the teacher cannot read it.
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
        """Return the teacher's ids of a piece written in its own notation (``##ing``, ``▁ya``, ``Ġwa``).

        Args:
            piece: The piece.

        Returns:
            The ids; none if the teacher cannot read it.
        """
        if self._prefix is None:
            return [token.id for token in self._backend.model.tokenize(piece) if token.id != self._unknown]
        initial = not piece.startswith(self._prefix)
        return self.ids(piece if initial else piece[len(self._prefix) :], initial=initial)


def lexicon_ids(
    lexicon: Lexicon, read: Callable[[str], list[int]], fold: Callable[[str], str]
) -> dict[str, list[list[int]]]:
    """Return, for each foreign word, the teacher's ids of each of its translations.

    Args:
        lexicon: Foreign word -> its English translation or translations.
        read: The teacher's tokenisation of an English text.
        fold: The student's normalisation of a word, so that the keys meet its pieces.

    Returns:
        Folded word -> one list of ids per translation; words without a readable translation are left out.

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
    """Return one embedding row per new piece.

    Args:
        table: The teacher's embedding rows, ``(vocabulary, width)``.
        sources: For each new piece, groups of ids: the row is the mean over the groups of the mean over each group's
            rows. (One group for a surface form, one per translation for a lexicon.)
        seed: Seeds the rows of pieces without any id.

    Returns:
        ``(pieces, width)``, in the table's precision. A piece without any id gets a draw from the normal distribution
        with the table's mean and standard deviation per dimension.

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
    """Return the word that a piece begins, or None if the piece continues one.

    Args:
        piece: A piece in the notation of its tokenizer.
        spec: That tokenizer's JSON.

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
    """Return the groups of the teacher's ids that each new row is the mean of.

    Args:
        pieces: New pieces, in the notation of the teacher's tokenizer.
        words: For each piece the word that it begins, or None.
        forms: How the teacher reads text.
        lexicon: What `lexicon_ids` returned; it goes before the surface form.

    Returns:
        Groups of ids for `initial_rows`.
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
        A function from a word to the form in which its pieces are written.

    Example:
        >>> from tokenizers import models, normalizers
        >>> tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
        >>> tokenizer.normalizer = normalizers.Lowercase()
        >>> normalizer_of(tokenizer)("Maji ")
        'maji'
    """
    normalizer = backend.normalizer
    return lambda word: (normalizer.normalize_str(word) if normalizer is not None else word).strip().strip("▁")
