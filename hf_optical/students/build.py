"""Build the student named by ``--student``: a way of growing, a Hub id or a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hf_optical.encoders.parts import Encoder
from hf_optical.errors import InputError
from hf_optical.students.adapt import StartReport, adapt_student
from hf_optical.students.embedding_init import Lexicon
from hf_optical.students.grow import VOCABULARIES, grow_student
from hf_optical.students.mapped import IndexRows


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
) -> Encoder:
    """Grow a student from the teacher, or adapt another encoder.

    Args:
        kind_or_id: ``"copy"``, ``"extend"`` or ``"replace"`` (see `grow_student`); anything else is a Hub id or a local
            folder (see `adapt_student`). A folder of one of the three names is meant by ``./copy``.
        teacher: The teacher; not changed.
        texts: Sentences of the new language, for ``"extend"`` and ``"replace"``.
        vocab_size: The whole vocabulary, for the same two.
        num_layers: How many of the teacher's layers a grown student keeps; None for all.
        lexicon: Words of the new language -> English translations, for the first rows of new pieces.
        seed: Seeds what is drawn at random.
        pairs: English sentences and their translations, on which another encoder is mapped into the teacher's space;
            and whose English an extended Unigram vocabulary cuts as before.
        index: The teacher's documents with their vectors, for the same.
        on_report: Called with how another encoder came to the teacher's space.

    Returns:
        A new model of the teacher's class.

    Raises:
        InputError: As the two functions do; also if layers or a lexicon are given for an encoder that is not grown.

    Example:
        >>> build_student("copy", teacher)  # doctest: +SKIP
        SentenceTransformer(...)
    """
    if kind_or_id in VOCABULARIES:
        english = pairs[0] if pairs else None
        return grow_student(teacher, texts, kind_or_id, vocab_size, num_layers, lexicon, seed, english=english)
    for name, value in (("num_layers", num_layers), ("lexicon", lexicon)):
        if value:
            raise InputError(
                f"{name} shapes a student grown from the teacher, and the student is {kind_or_id!r}",
                f"leave {name} out, or use one of {', '.join(VOCABULARIES)}",
                field=name,
            )
    return adapt_student(kind_or_id, teacher, seed, pairs=pairs, index=index, on_report=on_report)
