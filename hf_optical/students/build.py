"""Building of the student that ``--student`` names: a way of growing, a Hub id or a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hf_optical.encoders.parts import Encoder
from hf_optical.errors import InputError
from hf_optical.students.adapt import StartReport, adapt_student
from hf_optical.students.embedding_init import Lexicon
from hf_optical.students.grow import VOCABULARIES, grow_student
from hf_optical.students.index_sample import IndexRows
from hf_optical.students.marks import KeepMarks, check_keep_marks


def build_student(
    kind_or_id: str,
    teacher: Encoder,
    texts: Iterable[str] | None = None,
    vocab_size: int | None = None,
    num_layers: int | None = None,
    lexicon: Lexicon | None = None,
    seed: int = 0,
    *,
    pairs: tuple[Sequence[str], Sequence[str]] | None = None,
    index: IndexRows | None = None,
    on_report: Callable[[StartReport], None] | None = None,
    keep_marks: KeepMarks = "auto",
) -> Encoder:
    """Grow a student from the teacher, or adapt another encoder.

    Args:
        kind_or_id: ``"copy"``, ``"extend"`` or ``"replace"`` (see `grow_student`), or the Hub id or local folder of
            another encoder (see `adapt_student`). Write ``./copy`` for a folder with one of the three names.
        teacher: The teacher, which is not changed.
        texts: Sentences of the new language, for ``"extend"`` and ``"replace"``.
        vocab_size: Size of the whole vocabulary, for ``"extend"`` and ``"replace"``.
        num_layers: Number of the teacher's layers that a grown student keeps; ``None`` for all.
        lexicon: English translations by word of the new language, for the initial rows of new pieces.
        seed: Random seed.
        pairs: English sentences and their translations, on which another encoder is mapped into the teacher's space.
            With ``"extend"`` on a Unigram vocabulary, the segmentation of the English sentences is kept.
        index: Documents of the teacher's index with their vectors, on which another encoder is mapped too.
        on_report: Function that is called with the report on the map of another encoder.
        keep_marks: Whether a student with new pieces keeps accents and tone marks; see `grow_student`.

    Returns:
        A new model of the teacher's class.

    Raises:
        InputError: As for the two functions; or layers, a lexicon or marks to keep are given for an encoder that is not
            grown.

    Example:
        >>> build_student("copy", teacher)  # doctest: +SKIP
        SentenceTransformer(...)
    """
    if kind_or_id in VOCABULARIES:
        english = pairs[0] if pairs else None
        sizes = (vocab_size, num_layers)
        return grow_student(teacher, texts, kind_or_id, *sizes, lexicon, seed, english=english, keep_marks=keep_marks)
    check_keep_marks(keep_marks, kind_or_id)
    for name, value in (("num_layers", num_layers), ("lexicon", lexicon)):
        if value:
            raise InputError(
                f"{name} applies to a student grown from the teacher, and the student is {kind_or_id!r}",
                f"leave {name} out, or use one of {', '.join(VOCABULARIES)}",
                field=name,
            )
    return adapt_student(kind_or_id, teacher, seed, pairs=pairs, index=index, on_report=on_report)
