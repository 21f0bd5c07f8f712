import numpy as np
import pytest
import tiny_models
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize

from hf_optical.errors import InputError
from hf_optical.students.offset import OFFSETS, offset_of, shifted, with_offset

TEXTS = ["the goat sleeps", "a dog runs near the house", "child and teacher"]


@pytest.fixture
def student(tmp_path):
    return tiny_models.dense(tmp_path)


def test_offsets_are_means(student):
    generator = np.random.default_rng(0)
    queries, english = (generator.normal(size=(9, 4)) for _ in range(2))
    np.testing.assert_allclose(offset_of("query", queries, english), queries.mean(0), rtol=1e-5)
    np.testing.assert_allclose(offset_of("residual", queries, english), (queries - english).mean(0), rtol=1e-5)
    assert not offset_of("none", queries, english).any()


@pytest.mark.parametrize("normal", [True, False])
def test_the_layer_takes_it_off_and_loads_anywhere(student, tmp_path, normal):
    if not normal:
        modules = [module for module in student._modules.values() if not isinstance(module, Normalize)]
        student = SentenceTransformer(modules=modules, device="cpu")
    student.prompts = {"query": "the ", "document": ""}
    offset = np.linspace(-0.2, 0.3, 16).astype(np.float32)
    moved = with_offset(student, offset)
    moved.save_pretrained(str(tmp_path / "moved"))
    loaded = SentenceTransformer(str(tmp_path / "moved"), device="cpu")
    plain = student.encode_query(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(loaded.encode_query(TEXTS), shifted(plain, offset), atol=1e-5)
    tokens = [model.encode(TEXTS[0], output_value="token_embeddings") for model in (student, loaded)]
    torch.testing.assert_close(*tokens)
    np.testing.assert_allclose(student.encode_query(TEXTS, normalize_embeddings=True), plain)


def test_what_all_queries_share_is_gone(student):
    vectors = student.encode(TEXTS)
    offset = offset_of("query", vectors, vectors)
    assert np.linalg.norm(with_offset(student, offset).encode(TEXTS).mean(0)) < 0.5 * np.linalg.norm(vectors.mean(0))


def test_what_cannot_be_is_refused(student, tmp_path):
    vectors = np.eye(3)
    with pytest.raises(InputError, match=", ".join(OFFSETS)):
        offset_of("all", vectors, vectors)
    with pytest.raises(InputError, match="row by row"):
        offset_of("query", vectors, vectors[:2])
    with pytest.raises(InputError, match="has no sentence vector"):
        with_offset(tiny_models.late(tmp_path), np.zeros(8))
    with pytest.raises(InputError, match="16 dimensions"):
        with_offset(student, np.zeros(8))
    modules = [module for module in student._modules.values() if not isinstance(module, Normalize)]
    dots = SentenceTransformer(modules=modules, device="cpu", similarity_fn_name="dot")
    with pytest.raises(InputError, match="set offset to none"):
        with_offset(dots, np.zeros(16))
