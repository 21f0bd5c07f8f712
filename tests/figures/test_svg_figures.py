from __future__ import annotations

import itertools
from xml.etree import ElementTree

import numpy as np
import pytest
import tiny_models

from hf_optical.figures.bars import bar_chart
from hf_optical.figures.curves import Curve, learning_curves
from hf_optical.figures.forest import Effect, forest_bounds, forest_plot
from hf_optical.figures.plan import sentence_plan
from hf_optical.figures.svg import Svg, ticks
from hf_optical.figures.training_curve import training_curve
from hf_optical.figures.word_plan import draw_word_plan, word_plan

NASTY = "<b>\"a\" & 'b'</b>"


def shapes(picture, tag):
    root = ElementTree.fromstring(picture.render())  # well-formed, or this raises
    return [element for element in root.iter() if element.tag.endswith(tag)]


def test_pictures_are_well_formed_whatever_the_names():
    curve = Curve([(250, 0.5), (1000, 0.6), (40000, 0.7)], [(250, 0.5), (80000, 0.75)])
    for picture in (
        forest_plot([Effect(NASTY, 0.1, (0.0, 0.2), False)], title=NASTY, baseline=NASTY),
        learning_curves({NASTY: curve}, title=NASTY, metric=NASTY),
        bar_chart({NASTY: 12.0}, title=NASTY, unit=NASTY),
        draw_word_plan([NASTY], [NASTY, "b"], [[0.5, 0.5]], title=NASTY),
    ):
        assert NASTY in "".join(element.text or "" for element in shapes(picture, "title"))


def test_dots_of_a_forest_plot_stand_where_their_numbers_are():
    effects = [
        Effect("a", -0.1, (-0.2, 0.0), False),
        Effect("b", 0.1, (0.05, 0.15), True),
        Effect("c", 0.0, (0, 0), False),
    ]
    dots = shapes(forest_plot(effects, title="t", baseline="z", bounds=(-0.2, 0.2)), "circle")
    x = [float(dot.get("cx")) for dot in dots]
    assert x[2] - x[0] == pytest.approx(x[1] - x[2], abs=0.2) and x[0] < x[2] < x[1]
    assert "var(--paper" in dots[0].get("style") and "var(--paper" not in dots[1].get("style")  # hollow, full
    low, high = forest_bounds(effects)
    assert low < -0.2 and high > 0.15


def test_everything_stays_inside_its_picture():
    curves = {
        f"a method with a rather long name {i}": Curve(
            [(250, 0.1), (1000, 0.2), (43769, 0.4)], [(250, 0.04), (16000, 0.37), (87538, 0.5)]
        )
        for i in range(7)
    }
    for picture in (
        learning_curves(curves, title="t", metric="m"),
        forest_plot([Effect("x" * 60, 9.0, (-9.0, 30.0), True)], title="t", baseline="b", bounds=(-1, 1)),
        bar_chart({"a": 1.0, "b": 123456.0}, title="t", unit="s"),
    ):
        points = [(float(c.get("cx")), float(c.get("cy"))) for c in shapes(picture, "circle")]
        points += [(float(t.get("x")), float(t.get("y"))) for t in shapes(picture, "text")]
        for line in shapes(picture, "polyline"):
            points += [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
        assert all(0 <= x <= picture.width and 0 <= y <= picture.height for x, y in points)


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.013, 0.052), (0.931, 0.964), (-30, 2)])
def test_ticks_are_few_round_and_inside(low, high):
    found = ticks(low, high)
    assert 2 <= len(found) <= 9 and all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)
    assert len({round(b - a, 9) for a, b in itertools.pairwise(found)}) == 1


def test_pictures_are_saved_as_files(tmp_path):
    file = Svg(10, 10, "t").save(tmp_path / "deep" / "a.svg")
    assert ElementTree.parse(file).getroot().tag.endswith("svg")


def test_words_of_one_piece_are_kept_as_they_are(tmp_path):
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    source, translation = "the big goat sleeps", "mbuzi analala"
    plan, _, _ = sentence_plan(student, teacher, source, translation)
    found = word_plan(student, teacher, source, translation)
    assert (found["rows"], found["columns"]) == (translation.split(), source.split()) and found["words"]
    assert np.asarray(found["plan"]) == pytest.approx(plan.numpy(), abs=1e-6)


def test_pieces_of_a_real_tokenizer_are_merged(english_teacher_path):
    from hf_optical.encoders.models import load_encoder

    teacher = load_encoder(str(english_teacher_path), device="cpu")
    source, translation = "The veterinarian vaccinated goats.", "Daktari aliwachanja mbuzi."
    plan, rows, _ = sentence_plan(teacher, teacher, source, translation)
    found = word_plan(teacher, teacher, source, translation)
    assert found["rows"] == ["Daktari", "aliwachanja", "mbuzi", "."]
    assert found["columns"] == ["The", "veterinarian", "vaccinated", "goats", "."]
    # A piece that goes on with a word is marked; the mass of a word is that of its pieces.
    words = np.cumsum([not token.startswith("##") for token in rows]) - 1
    assert len(rows) > 4 == words.max() + 1
    mass = np.bincount(words, plan.sum(1).numpy())
    assert np.asarray(found["plan"]).sum(1) == pytest.approx(mass, abs=1e-5) and mass.sum() == pytest.approx(
        1, abs=1e-4
    )


def test_a_saved_mean_is_a_circle_with_a_line_of_its_own():
    curves = {"mean": [(0.0, 0.5), (10.0, 0.7)]}
    plain, mixed = (training_curve(curves, [], 10, title="a", measure="b", mean=mean).render() for mean in (None, 0.61))
    assert "step 10 kept" in plain and "step 10 kept" in mixed
    assert "saved: its weights averaged with those of step 0, 0.610" in mixed and "saved:" not in plain
    assert mixed.count("<circle") == plain.count("<circle") + 2
    low = training_curve(curves, [], 10, title="a", measure="b", mean=0.1).render()
    heights = [float(part.split('"')[0]) for part in low.split('cy="')[1:]]
    assert max(heights[:3]) <= 138, "a mean below the curve is drawn outside of the plot"
