from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_optical.errors import InputError, NonFiniteError
from hf_optical.evaluation.layer_probe import (
    LayerProbe,
    LexiconScores,
    probe_layers,
    recommended_layer,
    score_lexicon,
    without_copies,
    word_states,
)

PAIRS = list(zip(tiny_models.ENGLISH[:8], tiny_models.SWAHILI[:8], strict=True))


@pytest.fixture
def model(tmp_path):
    return tiny_models.dense(tmp_path, [*tiny_models.SWAHILI, *tiny_models.ENGLISH], layers=3, seed=1).eval()


def by_hand(source, translation, pairs):
    """The definitions, word by word, in numpy and float64."""

    def unit(vectors):
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    vectors = [
        dict(zip([p[side] for p in pairs][::-1], unit(v)[::-1], strict=True))
        for side, v in enumerate((source, translation))
    ]
    true = np.mean([a @ b for a, b in zip(unit(source), unit(translation), strict=True)])
    others = [a @ b for x, a in vectors[0].items() for y, b in vectors[1].items() if (x, y) not in pairs]
    found = {}
    for name, asked, given_, side in (("from", vectors[0], vectors[1], 0), ("to", vectors[1], vectors[0], 1)):
        ranks = []
        for word, query in asked.items():
            right = {p[1 - side] for p in pairs if p[side] == word}
            best = max(query @ given_[other] for other in right)
            ranks.append(1 + sum(query @ vector >= best for other, vector in given_.items() if other not in right))
        found[name] = (np.mean([rank == 1 for rank in ranks]), np.mean([1 / rank for rank in ranks]))
    return LexiconScores(true, np.mean(others), *found["to"], *found["from"])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 12))
def test_scores_equal_their_definitions(seed, size):
    random = np.random.default_rng(seed)
    # Words repeat on both sides, so that a word has several translations.
    words = [(f"e{random.integers(size)}", f"x{random.integers(size)}") for _ in range(2 * size)]
    pairs = list(dict.fromkeys([*words, ("e100", "x100"), ("e101", "x101")]))
    english = {word: random.normal(size=4) for word, _ in pairs}
    other = {word: random.normal(size=4) for _, word in pairs}
    source, translation = (np.stack([table[p[side]] for p in pairs]) for side, table in ((0, english), (1, other)))
    found = score_lexicon(torch.tensor(source), torch.tensor(translation), pairs)
    expected = by_hand(source, translation, pairs)
    assert found.to_dict() == pytest.approx(expected.to_dict(), abs=1e-5)


def test_closeness_alone_is_worth_nothing():
    # All vectors nearly the same: true similarity is 1, and so is the shuffled one; P@1 stays at chance.
    torch.manual_seed(0)
    vectors = torch.ones(50, 8) + 1e-3 * torch.randn(50, 8)
    scores = score_lexicon(vectors, vectors[torch.randperm(50)], [(f"e{i}", f"x{i}") for i in range(50)])
    assert scores.true > 0.9999 and abs(scores.difference) < 1e-5 and scores.p1 < 0.15
    same = score_lexicon(torch.ones(50, 8), torch.ones(50, 8), [(f"e{i}", f"x{i}") for i in range(50)])
    assert same.p1 == 0 and same.mrr == pytest.approx(1 / 50)  # ties are no hits


def test_capital_letters_make_no_other_word():
    vectors = torch.eye(3)
    pairs = [("Water", "maji"), ("water", "maji "), ("goat", "mbuzi")]
    scores = score_lexicon(vectors[[0, 0, 1]], vectors[[0, 0, 1]], pairs)
    assert scores.p1 == 1 and scores.shuffled == 0


def test_every_layer_is_read_and_special_tokens_are_left_out(model):
    states = word_states(model, [word for _, word in PAIRS], batch_size=3)
    assert len(states) == 5 and states[0].shape == (8, 16)
    ids = model.tokenizer(PAIRS[5][1], return_tensors="pt")
    hidden = model[0].model(**ids, output_hidden_states=True).hidden_states
    for layer in range(4):
        torch.testing.assert_close(states[layer][5], hidden[layer][0, 1:-1].mean(0), atol=1e-6, rtol=0)
    torch.testing.assert_close(states[4][5], torch.tensor(model.encode(PAIRS[5][1])), atol=1e-6, rtol=0)


def test_what_special_tokens_do_to_a_probe(model):
    first = probe_layers(model, PAIRS, special_tokens="first").layers[0]
    assert first.true == pytest.approx(1, abs=1e-5) and first.shuffled == pytest.approx(1, abs=1e-5)
    assert first.p1 == 0  # the first token's embedding is the same for all words: "aligned", and blind
    include, exclude = (probe_layers(model, PAIRS, special_tokens=one).layers[0] for one in ("include", "exclude"))
    assert include.shuffled > exclude.shuffled + 0.2


def test_a_teacher_reads_the_english(model, tmp_path):
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH, layers=3)
    probe = probe_layers(model, PAIRS, teacher=teacher)
    expected = score_lexicon(
        word_states(teacher, [one for one, _ in PAIRS])[2], word_states(model, [two for _, two in PAIRS])[2], PAIRS
    )
    assert probe.layers[2] == expected and probe.pairs == 8
    with pytest.raises(InputError, match="layers differ"):
        probe_layers(model, PAIRS, teacher=tiny_models.dense(tmp_path, layers=2, seed=3))


def test_a_model_without_a_language_of_its_own_is_perfect_on_copies(model):
    assert probe_layers(model, [(word, word) for word, _ in PAIRS]).output.p1 == 1
    assert without_copies([("Goat", "goat "), ("goat", "mbuzi")]) == [("goat", "mbuzi")]


def test_late_interaction_is_probed_too(tmp_path):
    late = tiny_models.late(tmp_path, [*tiny_models.SWAHILI, *tiny_models.ENGLISH])
    probe = probe_layers(late, PAIRS)
    assert len(probe.layers) == 2 and 0 <= probe.output.p1 <= 1


def scores_with(mrr):
    return LexiconScores(0.0, 0.0, mrr, mrr, mrr, mrr)


def test_the_recommended_layer_is_the_earliest_good_one():
    assert recommended_layer([scores_with(m) for m in (0.9, 0.3, 0.77, 0.8, 0.6)]) == 2
    assert recommended_layer([scores_with(m) for m in (0.9, 0.3, 0.75, 0.8, 0.6)]) == 3
    assert recommended_layer([scores_with(m) for m in (0.0, 0.0, 0.0)]) == 1
    with pytest.raises(InputError):
        recommended_layer([scores_with(0.5)])


def test_broken_weights_and_tiny_lexicons_stop(model):
    with pytest.raises(InputError, match="distinct words"):
        probe_layers(model, [("goat", "mbuzi"), ("goat", "mbwa")])
    model[0].model.embeddings.word_embeddings.weight.data[:] = float("nan")
    with pytest.raises(NonFiniteError):
        probe_layers(model, PAIRS)


def test_the_figure_is_drawn(tmp_path):
    from matplotlib import image

    from hf_optical.figures.layer_probe import draw_layer_probe

    probe = LayerProbe(tuple(scores_with(m) for m in (0.2, 0.4, 0.3)), scores_with(0.35), 10)
    file = draw_layer_probe({"before": probe, "after": probe}, tmp_path / "figures" / "probe.png", title="Probe")
    picture = image.imread(file)
    assert picture.shape[1] < 700 and picture[..., :3].std() > 0.05
    assert "| 1 * |" in probe.table() and "| output |" in probe.table()
