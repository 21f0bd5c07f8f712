import importlib

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from hf_optical.errors import InputError
from hf_optical.students import grow_student, starting_student
from hf_optical.students.alignment_counts import alignment_counts
from hf_optical.students.bitext_init import TRANSPORT, aligned_rows, initialise_from_bitext
from hf_optical.students.start import ROW_INITS

counting = importlib.import_module("hf_optical.students.alignment_counts")

BITEXT = [
    ("children drink water", "watoto wanakunywa maji"),
    ("children read books", "watoto wanasoma vitabu"),
    ("the doctor gives water", "daktari anatoa maji"),
    ("the doctor gives books", "daktari anatoa vitabu"),
    ("children drink", "watoto wanakunywa"),
    ("the doctor drink medicine", "daktari wanakunywa dawa"),
] * 5
ENGLISH, SWAHILI = ([pair[side] for pair in BITEXT] for side in (0, 1))


def by_hand(sources, targets, shape, iterations):
    """The two models written out cell by cell over dense tables, the empty piece in the last place."""

    def share(table, left, right):
        """Of each drawn piece (column), the share of each piece that may have drawn it (row)."""
        cells = table[np.ix_([*sorted(set(left)), -1], sorted(set(right)))]
        return cells / cells.sum(0)

    def model(lefts, rights):
        table = np.ones((7, 6))
        for _ in range(iterations):
            counts = np.zeros((7, 6))
            for left, right in zip(lefts, rights, strict=True):
                counts[np.ix_([*sorted(set(left)), -1], sorted(set(right)))] += share(table, left, right)
            table = counts / np.maximum(counts.sum(1, keepdims=True), 1e-30)
        return table

    forward, backward = model(sources, targets), model(targets, sources)
    result = np.zeros(shape)
    for left, right in zip(sources, targets, strict=True):
        if left and right:
            agreed = share(forward, left, right)[:-1] * share(backward, right, left)[:-1].T
            result[np.ix_(sorted(set(left)), sorted(set(right)))] += agreed
    return result


sentences = st.lists(st.integers(0, 5), max_size=6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(sentences, sentences), min_size=1, max_size=6), st.integers(1, 4))
def test_counts_are_those_of_the_two_models(pairs, iterations):
    sources, targets = zip(*pairs, strict=True)
    counts = alignment_counts(sources, targets, (6, 6), iterations)
    expected = by_hand(sources, targets, (6, 6), iterations)
    np.testing.assert_allclose(counts.toarray(), expected, atol=2e-4, rtol=1e-3)


def test_blocks_and_padding_do_not_matter(monkeypatch):
    generator = np.random.default_rng(0)
    rows = [[generator.integers(0, 9, generator.integers(0, 8)) for _ in range(30)] for _ in range(2)]
    whole = alignment_counts(rows[0], rows[1], (9, 9)).toarray()
    monkeypatch.setattr(counting, "_BLOCK", 1)
    monkeypatch.setattr(counting, "_PART", 7)
    single = alignment_counts(rows[0], rows[1], (9, 9)).toarray()
    np.testing.assert_allclose(single, whole, atol=1e-5)
    assert whole.sum() > 1


def test_swapped_sides_give_the_transpose():
    rows = [[0, 1, 2], [0, 3], [1, 3, 3]], [[4, 5], [4, 0], [5]]
    counts = alignment_counts(*rows, (4, 6))
    np.testing.assert_allclose(alignment_counts(*rows[::-1], (6, 4)).toarray(), counts.toarray().T, rtol=1e-5)


def test_frequent_word_does_not_take_every_translation():
    """Piece 0 and English piece 0 are in every sentence, as articles are."""
    sources = [[0, i] for i in range(1, 6)] * 3
    counts = alignment_counts(sources, sources, (6, 6), iterations=5)
    np.testing.assert_array_equal(counts.argmax(axis=1), range(6))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([[0]], [[0], [0]], (1, 1)), "1 source sentences and 2"),
        (([[0]], [[0]], (1, 1), 0), "iterations is 0"),
        (([[0], [7]], [[0], [0]], (3, 1)), "row 2, field 'source_ids': found piece 7"),
        (([[0]], [[-1]], (3, 1)), "row 1, field 'target_ids': found piece -1"),
    ],
)
def test_bad_counts_input_is_named(arguments, words):
    with pytest.raises(InputError, match=words):
        alignment_counts(*arguments)


def test_nothing_gives_nothing():
    assert alignment_counts([], [], (3, 4)).nnz == 0
    assert alignment_counts([[]], [[]], (3, 4)).nnz == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_rows_follow_the_formula(seed, top):
    generator = np.random.default_rng(seed)
    counts = generator.random((4, 7)) * (generator.random((4, 7)) < 0.6)
    counts[3] = 0
    teacher, fallback = (torch.from_numpy(generator.normal(size=(n, 5))).float() for n in (7, 4))
    rows = aligned_rows(csr_array(counts), teacher, fallback, top, strength=0.5)
    centre = teacher.mean(0)
    radius = (teacher - centre).norm(dim=1).median()
    for row, weights, before in zip(rows, counts, fallback, strict=True):
        best = np.argsort(-weights)[:top]
        if not weights.any():
            torch.testing.assert_close(row, before, rtol=0, atol=0)
            continue
        weighted = torch.from_numpy(weights[best]).float() @ teacher[best.copy()]
        direction = (weighted + 0.5 * before) / (weights[best].sum() + 0.5) - centre
        torch.testing.assert_close(row, centre + radius * direction / direction.norm(), atol=1e-4, rtol=1e-4)


def test_more_evidence_moves_a_row_further():
    teacher, fallback = torch.eye(3), torch.eye(3)[:1]
    near, far = (aligned_rows(csr_array([[0.0, n, 0.0]]), teacher, fallback)[0] for n in (0.05, 5.0))
    assert (near - teacher[1]).norm() > (far - teacher[1]).norm()
    assert far.dtype == fallback.dtype
    assert aligned_rows(csr_array([[0.0, 5.0, 0.0]]), teacher, fallback.half()).dtype == torch.half


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"top": 0}, "top is 0"), ({"strength": -1.0}, "strength is -1"), ({"fallback_rows": torch.eye(4)}, "do not fit")],
)
def test_bad_rows_input_is_named(changes, words):
    arguments = {"counts": csr_array((3, 3)), "teacher_rows": torch.eye(3), "fallback_rows": torch.eye(3)}
    with pytest.raises(InputError, match=words):
        aligned_rows(**{**arguments, **changes})


def table(model):
    return model[0].model.get_input_embeddings().weight


def grown(teacher, vocabulary):
    size = {"copy": 0, "extend": 260, "replace": 120}[vocabulary]
    return grow_student(teacher, SWAHILI if size else None, vocabulary, size)


def likeness(student, teacher, word, english):
    """How like the rows of a word are to those of an English word, seen from the middle of the teacher's rows."""
    new, old = (
        table(model).detach()[model.tokenizer(text, add_special_tokens=False)["input_ids"]].mean(0)
        for model, text in ((student, word), (teacher, english))
    )
    centre = table(teacher).detach().mean(0)
    return float(torch.cosine_similarity(new - centre, old - centre, dim=0))


@pytest.mark.parametrize("vocabulary", ["extend", "replace"])
def test_words_begin_at_their_translations(make_teacher, vocabulary):
    teacher = make_teacher()
    student = grown(teacher, vocabulary)
    words = {"watoto": "children", "maji": "water", "vitabu": "books", "dawa": "medicine"}
    before = [likeness(student, teacher, *couple) for couple in words.items()]
    initialise_from_bitext(student, teacher, ENGLISH, SWAHILI, iterations=6)
    after = [likeness(student, teacher, *couple) for couple in words.items()]
    assert max(before) < 0.6
    assert min(after) > 0.7
    assert likeness(student, teacher, "maji", "children") < 0.5


@pytest.mark.parametrize("vocabulary", ["copy", "extend", "replace"])
@pytest.mark.parametrize("kind", ["WordPiece", "Unigram", "BPE"])
def test_only_the_rows_change_and_no_special_one(make_teacher, state_hash, kind, vocabulary):
    teacher = make_teacher(kind)
    student = grown(teacher, vocabulary) if vocabulary != "extend" else grow_student(teacher, SWAHILI, "extend", 400)
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    digest, vectors = state_hash(teacher), table(student)
    report = initialise_from_bitext(student, teacher, ENGLISH, SWAHILI)
    assert state_hash(teacher) == digest
    assert table(student) is vectors
    assert vectors.requires_grad and vectors.grad_fn is None
    changed = {name for name, tensor in student.state_dict().items() if not torch.equal(tensor, before[name])}
    (name,) = changed
    moved = (student.state_dict()[name] != before[name]).any(1)
    assert "word_embeddings" in name
    assert moved.sum() == report.rows > 5
    assert not moved[student.tokenizer.all_special_ids].any()
    assert torch.isfinite(vectors).all()
    assert (report.pairs, report.pairs_left_out) == (len(BITEXT), 0)


def test_new_spares_the_teachers_pieces(make_teacher):
    teacher = make_teacher()
    old = len(teacher.tokenizer)
    first, second = grown(teacher, "extend"), grown(teacher, "extend")
    bitext = ([*ENGLISH, "children"], [*SWAHILI, "the children"])
    some = initialise_from_bitext(first, teacher, *bitext, rows="new")
    every = initialise_from_bitext(second, teacher, *bitext, rows="all")
    torch.testing.assert_close(table(first)[:old], table(teacher)[:old], rtol=0, atol=0)
    torch.testing.assert_close(table(first)[old:], table(second)[old:], rtol=0, atol=0)
    assert 0 < some.rows < every.rows
    assert 0 < some.coverage < every.coverage <= 1


def test_draw_is_seeded_and_counted(make_teacher):
    teacher = make_teacher()
    students = [grown(teacher, "copy") for _ in range(3)]
    reports = [
        initialise_from_bitext(student, teacher, ENGLISH, SWAHILI, max_pairs=7, seed=seed)
        for student, seed in zip(students, (3, 3, 4), strict=True)
    ]
    assert (reports[0].pairs, reports[0].pairs_left_out) == (7, len(BITEXT) - 7)
    torch.testing.assert_close(table(students[0]), table(students[1]), rtol=0, atol=0)
    assert not torch.equal(table(students[0]), table(students[2]))


def test_memory_limit_leaves_pairs_out(make_teacher, monkeypatch, caplog):
    teacher = make_teacher()
    monkeypatch.setattr("hf_optical.students.bitext_init._MAX_CELLS", 500)
    report = initialise_from_bitext(grown(teacher, "copy"), teacher, ENGLISH, SWAHILI, alignment=None)
    assert 0 < report.pairs < len(BITEXT)
    assert report.pairs + report.pairs_left_out == len(BITEXT)
    assert "sentences are long" in caplog.text
    assert initialise_from_bitext(grown(teacher, "copy"), teacher, ENGLISH, SWAHILI).pairs == len(BITEXT)


def test_transport_knows_the_order_of_words(make_teacher):
    """Every pair of words comes together only: counts alone cannot tell which of the two is which."""
    teacher = make_teacher()
    english = ["children water", "doctor books", "history school"] * 6
    swahili = ["watoto maji", "daktari vitabu", "historia shuleni"] * 6
    likenesses = []
    for alignment in (TRANSPORT, None):
        student = grow_student(teacher, swahili, "extend", 260)
        initialise_from_bitext(student, teacher, english, swahili, alignment=alignment)
        likenesses.append(likeness(student, teacher, "watoto", "children"))
    assert likenesses[0] > 0.8 > likenesses[1]


def test_each_way_to_start_gives_rows_of_its_own(make_teacher):
    teacher = make_teacher()
    rows = Dataset.from_dict({"source": ENGLISH, "translation": SWAHILI})
    seen = []
    tables = {
        way: table(
            starting_student("extend", teacher, rows, row_init=way, vocab_size=260, on_grown=seen.append)
        ).detach()
        for way in ROW_INITS
    }
    assert len(seen) == len(ROW_INITS)
    torch.testing.assert_close(tables["surface"], table(grown(teacher, "extend")), rtol=0, atol=0)
    for way, alignment in (("transport", TRANSPORT), ("bitext", None)):
        student = grown(teacher, "extend")
        initialise_from_bitext(student, teacher, ENGLISH, SWAHILI, alignment=alignment)
        torch.testing.assert_close(tables[way], table(student), rtol=0, atol=0)
    assert not torch.equal(tables["transport"], tables["bitext"])
    with pytest.raises(InputError, match="use one of transport, bitext, surface"):
        starting_student("extend", teacher, rows, row_init="random")


def test_late_interaction_student(make_teacher):
    teacher = make_teacher(multi_vector=True)
    student = grown(teacher, "extend")
    assert initialise_from_bitext(student, teacher, ENGLISH, SWAHILI).rows > 5


@pytest.mark.parametrize(
    ("arguments", "settings_", "words"),
    [
        ((ENGLISH, SWAHILI[:-1]), {}, "30 sources and 29"),
        (([], []), {}, "0 sources"),
        ((ENGLISH, SWAHILI), {"rows": "old"}, "rows is 'old'"),
        ((ENGLISH, SWAHILI), {"max_pairs": 0}, "max_pairs is 0"),
        ((ENGLISH, SWAHILI), {"iterations": 0}, "iterations is 0"),
        ((["अ"], ["ब"]), {}, "no pair has a known piece"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(make_teacher, arguments, settings_, words):
    teacher = make_teacher()
    student = grown(teacher, "copy")
    before = table(student).clone()
    with pytest.raises(InputError, match=words):
        initialise_from_bitext(student, teacher, *arguments, **settings_)
    assert torch.equal(table(student), before)


def test_student_of_another_width_is_refused(make_teacher):
    teacher = make_teacher()
    student = grown(teacher, "copy")
    student[0].model.set_input_embeddings(torch.nn.Embedding(len(teacher.tokenizer), 12))
    with pytest.raises(InputError, match="12 dimensions and the teacher's 16"):
        initialise_from_bitext(student, teacher, ENGLISH, SWAHILI)
