"""New pieces for a vocabulary in the manner of XLM-R: English stays as it was, and a piece needs support."""

import pytest
import torch

from hf_optical.errors import InputError
from hf_optical.runs.defaults import with_defaults
from hf_optical.runs.options import TrainConfig
from hf_optical.students import grow_student, starting_student
from hf_optical.students.bitext_init import bitext_counts
from hf_optical.students.grow import vocabulary_size
from hf_optical.students.start import LEAST_SUPPORT
from hf_optical.students.support import supported

# With loan words, which the teacher cuts to crumbs.
ENGLISH = ["the children drink clean water every morning", "a mountain hospital for symptoms of a child"] * 5
FOREIGN = ["thesi watoto symptomsi kila hospital", "daktari anampa thesi dawa mountain symptomsi hospital"] * 5


def table(model):
    return model[0].model.get_input_embeddings().weight.detach()


def cut(model, texts):
    return model.tokenizer(texts, add_special_tokens=False)["input_ids"]


def run(student, **options):
    return TrainConfig(teacher="none", student=student, learning_rate=1e-3, **options)


@pytest.fixture
def teacher(make_teacher):
    return make_teacher("Unigram")


def test_english_is_cut_as_before(teacher):
    free, spared = (grow_student(teacher, FOREIGN, new_pieces=300, english=english) for english in (None, ENGLISH))
    assert cut(free, ENGLISH) != cut(teacher, ENGLISH)  # there is something to spare
    assert cut(spared, ENGLISH) == cut(teacher, ENGLISH)
    shorter = [sum(map(len, cut(model, FOREIGN))) for model in (free, spared, teacher)]
    assert shorter[0] <= shorter[1] < shorter[2]
    torch.testing.assert_close(table(spared)[: len(teacher.tokenizer)], table(teacher), rtol=0, atol=0)


def test_a_run_spares_the_english_of_its_pairs(teacher):
    from datasets import Dataset

    rows = Dataset.from_dict({"source": ENGLISH, "translation": FOREIGN})
    student = starting_student("extend", teacher, rows, row_init="transport", new_pieces=300)
    assert cut(student, ENGLISH) == cut(teacher, ENGLISH)
    assert cut(student, FOREIGN) != cut(teacher, FOREIGN)
    # The teacher reads the language: its own pieces keep their meaning, and only new ones take theirs from the pairs.
    torch.testing.assert_close(table(student)[: len(teacher.tokenizer)], table(teacher), rtol=0, atol=0)


def test_a_run_adds_only_pieces_that_the_pairs_support(teacher):
    from datasets import Dataset

    rows = Dataset.from_dict({"source": [*ENGLISH, "one"], "translation": [*FOREIGN, "mara mojatu mojatu"]})
    size = len(teacher.tokenizer)
    added = {}
    for row_init in ("surface", "transport"):
        student = starting_student("extend", teacher, rows, row_init=row_init, new_pieces=300)
        counts = bitext_counts(student, teacher, rows["source"], rows["translation"]).counts.sum(axis=1)
        added[row_init] = counts[size : len(student.tokenizer)]
    assert added["surface"].min() < LEAST_SUPPORT  # there is something to leave out
    assert 0 < len(added["transport"]) < len(added["surface"])


def test_pieces_without_support_are_taken_back(teacher):
    foreign = [*FOREIGN, "mara mojatu mojatu"]  # once, and so hardly aligned
    english = [*ENGLISH, "one"]
    student = grow_student(teacher, foreign, new_pieces=300, english=english)
    size = len(teacher.tokenizer)
    fewer = supported(student, teacher, english, foreign, least=2.0)
    old, new = (model.tokenizer.get_vocab() for model in (student, fewer))
    assert 0 < len(new) - size < len(old) - size
    counts = bitext_counts(student, teacher, english, foreign).counts.sum(axis=1)
    for piece, number in old.items():
        assert (piece in new) == (number < size or counts[number] >= 2.0)
        if piece in new:
            torch.testing.assert_close(table(fewer)[new[piece]], table(student)[number], rtol=0, atol=0)
    assert all(new[piece] == number for piece, number in teacher.tokenizer.get_vocab().items())
    assert cut(fewer, english) == cut(teacher, english)
    assert fewer.encode(["thesi watoto"]).shape == (1, 16)
    assert supported(student, teacher, english, foreign, least=0.0) is student


def test_sizes_by_default_and_as_asked(teacher, monkeypatch):
    size = len(teacher.tokenizer)
    assert vocabulary_size(teacher) == 40_000
    assert vocabulary_size(teacher, new_pieces=7) == size + 7
    monkeypatch.setattr("hf_optical.students.grow.DEFAULT_SIZE", 20)
    assert vocabulary_size(teacher) == size + 5_000
    sizes = {kind: with_defaults(run(kind), teacher, 100).vocab_size for kind in ("extend", "replace", "copy")}
    assert sizes == {"extend": size + 5_000, "replace": 20, "copy": None}
    again = with_defaults(with_defaults(run("extend", new_pieces=7), teacher, 100), teacher, 100)
    assert again.vocab_size == size + 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vocab_size": 50}, "the number of pieces to add as new_pieces"),
        ({"new_pieces": 0}, "new_pieces is 0"),
        ({"new_pieces": 5, "vocab_size": 500}, "leave one of them out"),
    ],
)
def test_sizes_without_room_are_refused_before_anything_is_encoded(teacher, options, words):
    with pytest.raises(InputError, match=words):
        with_defaults(run("extend", **options), teacher, 100)


def test_the_folder_loads_with_plain_sentence_transformers(teacher, tmp_path):
    from sentence_transformers import SentenceTransformer

    student = grow_student(teacher, FOREIGN, new_pieces=300, english=ENGLISH)
    fewer = supported(student, teacher, ENGLISH, FOREIGN, least=6.0)
    fewer.save_pretrained(str(tmp_path / "student"))
    loaded = SentenceTransformer(str(tmp_path / "student"), device="cpu")
    assert loaded.tokenizer.get_vocab() == fewer.tokenizer.get_vocab()
    assert cut(loaded, FOREIGN) == cut(fewer, FOREIGN)
    torch.testing.assert_close(torch.tensor(loaded.encode(FOREIGN)), torch.tensor(fewer.encode(FOREIGN)))
