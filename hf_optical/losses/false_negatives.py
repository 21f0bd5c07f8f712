"""False negatives in a batch of word pairs: translations of the same word, and words of the same meaning."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set

import torch
from torch import Tensor

Sets = Mapping[Hashable, Set[Hashable]]


def translation_sets(pairs: Iterable[tuple[Hashable, Hashable]]) -> tuple[Sets, Sets]:
    """Collect all translations of each word, and all words of each translation.

    Example:
        >>> forth, back = translation_sets([("car", "gari"), ("car", "motokaa"), ("vehicle", "gari")])
        >>> sorted(forth["car"]), sorted(back["gari"])
        (['gari', 'motokaa'], ['car', 'vehicle'])
    """
    forth: dict[Hashable, set[Hashable]] = defaultdict(set)
    back: dict[Hashable, set[Hashable]] = defaultdict(set)
    for source, translation in pairs:
        forth[source].add(translation)
        back[translation].add(source)
    return forth, back


def false_negatives(
    sources: Sequence[Hashable], translations: Sequence[Hashable], known: tuple[Sets, Sets] = ({}, {})
) -> Tensor:
    """Find the pairs that must not be pushed apart: (N, N), bool, symmetric, true on the diagonal.

    Pairs i and j are not negatives of each other if they share a word on either side, if the word of one has the word
    of the other as a translation, or if the lexicon gives their words a common translation or their translations a
    common word.

    Args:
        sources: Identity of the English word of each pair; N.
        translations: Identity of its translation; N.
        known: :func:`translation_sets` of the whole lexicon; the pairs of the batch are always included.

    Example:
        >>> false_negatives(["car", "vehicle", "goat"], ["motokaa", "gari", "mbuzi"]).int().tolist()
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
        >>> known = translation_sets([("car", "gari"), ("car", "motokaa"), ("vehicle", "gari")])
        >>> false_negatives(["car", "vehicle", "goat"], ["motokaa", "gari", "mbuzi"], known).int().tolist()
        [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    """
    here = translation_sets(zip(sources, translations, strict=True))
    shared = torch.zeros(len(sources), len(sources), dtype=torch.bool)
    for words, in_batch, in_lexicon in ((sources, here[0], known[0]), (translations, here[1], known[1])):
        rows_of: dict[Hashable, list[int]] = defaultdict(list)
        for row, word in enumerate(words):
            for other in in_batch[word] | in_lexicon.get(word, frozenset()):
                rows_of[other].append(row)
        for rows in rows_of.values():
            index = torch.tensor(rows)
            shared[index.unsqueeze(1), index] = True
    return shared
