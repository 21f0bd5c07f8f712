"""Content tokens without special and prompt tokens, and their means in a folder."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
from sentence_transformers import SentenceTransformer

from hf_optical.encoders.content_tokens import prompt_tokens
from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.token_means import MOST_TEXTS, TokenMeans, token_mean
from hf_optical.errors import InputError
from hf_optical.evaluation.document_cache import DocumentCache

TEXTS = ["the goat sleeps", "a dog", "the big red house near the river"]


@pytest.fixture
def model(tmp_path):
    return tiny_models.dense(tmp_path)


def _read(model, role="query", **options):
    return encode_texts(model, TEXTS, role, interaction="maxsim", **options)


def test_special_tokens_are_left_out(model):
    all_tokens, content = _read(model), _read(model, content_only=True)
    assert content.lengths.tolist() == [3, 2, 7]
    for whole, part in zip(all_tokens, content, strict=True):
        np.testing.assert_allclose(part, whole[1:-1], atol=1e-6)


def test_a_prompt_is_read_and_left_out(model):
    model.prompts = {"query": "see the tree ", "document": ""}
    assert (prompt_tokens(model, "query"), prompt_tokens(model, "document")) == (4, 0)
    content = _read(model, content_only=True)
    assert content.lengths.tolist() == [3, 2, 7]
    np.testing.assert_allclose(content[1], _read(model)[1][4:-1], atol=1e-6)
    assert np.abs(content[1] - _read(model, "document", content_only=True)[1]).max() > 1e-3  # the prompt was read


def test_a_late_interaction_model_too(tmp_path):
    model = tiny_models.late(tmp_path)
    whole, content = _read(model), _read(model, content_only=True)
    assert (whole.lengths - content.lengths).tolist() == [2, 2, 2]


def test_the_cache_tells_them_apart(model, tmp_path):
    for folder in (None, tmp_path / "cache"):
        cache = DocumentCache(folder)
        found = [
            cache.vectors(model, TEXTS, interaction="maxsim", content_only=content).lengths.sum()
            for content in (False, True, False)
        ]
        assert found == [18, 12, 18]
        assert cache.vectors(model, TEXTS, content_only=True) is cache.vectors(model, TEXTS)  # nothing to leave out


def test_a_mean_is_that_of_the_content_tokens(model):
    np.testing.assert_allclose(
        token_mean(model, TEXTS, "query"), np.concatenate(list(_read(model, content_only=True))).mean(0), atol=1e-6
    )
    with pytest.raises(InputError, match="no texts"):
        token_mean(model, [], "query")


@pytest.mark.parametrize("count", [1, 255, 256, 257, 300, 511, 512, 700, 1_000])
def test_the_texts_of_a_mean_are_spread_over_all(model, monkeypatch, count):
    """A file that is sorted, by topic or by length, must not give the mean of its beginning."""
    read = []
    monkeypatch.setattr(
        "hf_optical.encoders.token_means.encode_texts",
        lambda encoder, texts, *given, **options: read.extend(texts) or encode_texts(encoder, TEXTS, *given, **options),
    )
    token_mean(model, [str(place) for place in range(count)], "query")
    gaps = np.diff([int(text) for text in read])
    assert len(read) == min(count, MOST_TEXTS)
    assert (read[0], read[-1]) == ("0", str(count - 1))
    assert count == 1 or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)


def test_means_lie_beside_a_model_that_loads_as_ever(model, tmp_path):
    model.save_pretrained(str(tmp_path / "model"))
    means = TokenMeans({"som_Latn": np.array([0.5, -0.25])}, np.array([1.0, 0.0]))
    means.save(tmp_path / "model")
    assert SentenceTransformer(str(tmp_path / "model")).encode("the goat").shape == (16,)
    found = TokenMeans.load(tmp_path / "model")
    np.testing.assert_allclose(found.of("so"), [0.5, -0.25])
    np.testing.assert_allclose(found.of(None), [0.5, -0.25])  # the only one
    np.testing.assert_allclose(found.documents, [1.0, 0.0])
    assert TokenMeans.load(tmp_path) is None
    joined = TokenMeans({"swh_Latn": np.zeros(2)}).joined(found)
    assert list(joined.queries) == ["som_Latn", "swh_Latn"] and joined.documents is found.documents
    for language, said in (("tl", "no mean token of tgl_Latn"), (None, "without a language")):
        with pytest.raises(InputError, match=said):
            joined.of(language)


@pytest.mark.parametrize("content", ["{", "{}", '{"queries": {"so": [NaN]}, "documents": null}'])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "token_means.json").write_text(content)
    with pytest.raises(InputError, match=r"token_means\.json.*remove the file"):
        TokenMeans.load(tmp_path)
