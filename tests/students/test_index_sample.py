"""Rows of an index are drawn from all of it, in one pass, by both starts that are fitted on them."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tiny_models import ENGLISH, SWAHILI, dense

from hf_optical.errors import InputError
from hf_optical.students.index_sample import index_sample
from hf_optical.students.mapped import mapped_student
from hf_optical.students.own_search import held_out_documents
from hf_optical.students.readings import Front
from hf_optical.students.vectors_only import start_on_vectors


def blocks(count, size, width=4):
    """An index sorted by topic: the vector of row t says t."""
    for start in range(0, count, size):
        rows = np.arange(start, min(count, start + size))
        yield [f"text {row}" for row in rows], np.stack([rows + 1.0, *[np.ones(len(rows))] * (width - 1)], axis=1)


def drawn(sample):
    return [int(text.split()[1]) for text in sample.texts]


def test_rows_come_from_the_whole_index_alike():
    counts = np.zeros(10)
    for seed in range(20):
        sample = index_sample(blocks(5_000, 128), seed, most=200)
        rows = drawn(sample)
        assert (len(rows), sample.total) == (200, 5_000)
        assert rows == sorted(set(rows))
        counts += np.bincount(np.array(rows) // 500, minlength=10)
    assert counts.sum() == 4_000
    assert np.abs(counts - 400).max() < 5 * np.sqrt(400 * 0.9)
    assert drawn(index_sample(blocks(5_000, 128), 3, most=200)) == drawn(index_sample(blocks(5_000, 128), 3, most=200))
    assert "200 of 5,000 rows" in sample.sentence()


def test_texts_keep_their_vectors_at_length_one():
    sample = index_sample(blocks(900, 100), 1, most=50)
    assert torch.allclose(sample.vectors.norm(dim=1), torch.ones(50))
    assert torch.allclose(sample.vectors[:, 0] / sample.vectors[:, 1], torch.tensor(drawn(sample)) + 1.0, rtol=1e-4)


def test_a_small_index_is_taken_whole_and_an_empty_one_refused():
    sample = index_sample(blocks(90, 40), 0, most=90)
    assert drawn(sample) == list(range(90)) and sample.sentence() == "90 rows of the index"
    with pytest.raises(InputError, match=r"index_rows.*no rows"):
        index_sample([], 0)


def test_no_block_is_kept():
    read, alive = [], []

    def watched():
        for texts, vectors in blocks(2_000, 100):
            read.append(weakref.ref(vectors))
            alive.append(sum(block() is not None for block in read))
            yield texts, vectors

    index_sample(watched(), 0, most=300)
    assert len(read) == 20 and max(alive) <= 2


@pytest.mark.parametrize("count", [10_000, 2_600, 600])
def test_held_out_documents_come_from_the_whole_sample_too(count):
    held, kept = held_out_documents(torch.randn(count, 3))
    assert len(held) <= 500 and int(held[-1]) > 0.98 * count
    assert sorted([*held.tolist(), *kept.tolist()]) == list(range(count))


def test_copies_of_a_document_stay_on_one_side():
    different = torch.randn(60, 3)
    vectors = torch.cat([different, different.flip(0)])
    held, kept = held_out_documents(vectors)
    assert len(held) == 12 and len(kept) == 96
    assert not {tuple(row) for row in vectors[held].tolist()} & {tuple(row) for row in vectors[kept].tolist()}


def index_of(teacher, texts):
    for start in range(0, len(texts), 64):
        yield texts[start : start + 64], teacher.encode_document(texts[start : start + 64])


@pytest.fixture
def texts():
    """Sentences in the order of their first word."""
    generator = np.random.default_rng(0)
    return sorted({" ".join(generator.choice(ENGLISH, 5)) for _ in range(700)})


@pytest.fixture
def read(monkeypatch):
    """The texts that a front reads, call by call."""
    calls, plain = [], Front.read
    monkeypatch.setattr(
        Front, "read", lambda self, texts, **how: calls.append(list(texts)) or plain(self, texts, **how)
    )
    return calls


def spread_over(drawn, texts):
    """Whether rows come from all quarters of an index."""
    places = [texts.index(text) for text in drawn]
    return np.bincount(np.array(places) * 4 // len(texts), minlength=4).min() > len(drawn) / 8


def test_a_map_onto_the_teacher_is_fitted_on_drawn_rows(tmp_path, texts, read):
    teacher, other = dense(tmp_path).eval(), dense(tmp_path, layers=1, seed=3, width=32)
    pairs, index = texts[:40], index_of(teacher, texts)
    _, report = mapped_student(other[0], teacher, pairs, pairs, complete=other, index=index, most_rows=120)
    assert (report.index_rows, report.index_total) == (120, len(texts))
    assert f"and 120 of {len(texts)} rows of the index" in report.sentence()
    (rows,) = [call for call in read if len(call) == 120]
    assert spread_over(rows, texts)


def test_an_index_of_another_width_is_refused_before_anything_is_encoded(tmp_path, texts, read):
    teacher, other = dense(tmp_path).eval(), dense(tmp_path, layers=1, seed=3, width=32)
    index = [(texts[:60], np.ones((60, 24), np.float32))]
    with pytest.raises(InputError, match=r"24 numbers, and those of the teacher 16.*leave out --index_rows"):
        mapped_student(other[0], teacher, texts[:40], texts[:40], complete=other, index=index)
    assert not read


def test_a_map_onto_vectors_alone_is_fitted_on_drawn_rows_and_knows_all(tmp_path, texts, read):
    teacher, other = dense(tmp_path).eval(), dense(tmp_path, [*ENGLISH, *SWAHILI], seed=3, width=32)
    other.save_pretrained(str(tmp_path / "other"))
    english = [*texts[:30], "no such row", *texts[-30:]]
    start = start_on_vectors(str(tmp_path / "other"), index_of(teacher, texts), english, english, most_rows=120)
    assert isinstance(start.student, SentenceTransformer)
    assert spread_over(read[0], texts) and len(start.bank) == 120
    assert (start.report.index_rows, start.report.index_total) == (120, len(texts))
    assert start.known == 60  # whether they were drawn or not
    np.testing.assert_allclose(start.vectors[60] @ teacher.encode_document(texts[-1]), 1, atol=1e-5)
