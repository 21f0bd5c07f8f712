"""Sets of any form are checked as files are: data sets, streams and lists, named and unnamed."""

from __future__ import annotations

import unicodedata

import pytest
from datasets import Dataset, IterableDataset

from hf_optical.data.training_sets import check_training_sets
from hf_optical.errors import InputError

ENGLISH = "The child of which they spoke is in this house and it was not for them"
SWAHILI = "Mtoto yumo nyumbani na haikuwa kwa ajili yao leo hapa"
ROWS = [{"source": f"{ENGLISH} {i} times", "translation": f"{SWAHILI} mara {i}"} for i in range(40)]
NAME = "bitext/eng_Latn-swh_Latn"


def named(source, translation, **others):
    return [{**others, source: row["source"], translation: row["translation"]} for row in ROWS]


def stream(rows):
    return IterableDataset.from_generator(lambda: iter(rows))


FORMS = {"dataset": Dataset.from_list, "stream": stream, "list": list}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        named("english", "non_english"),
        named("en", "sw", id="row-7"),
        named("anchor", "positive"),  # nothing but the words says which is English
        [{"b": row["translation"], "a": row["source"]} for row in ROWS],
    ],
)
def test_the_pair_is_found_in_every_form(form, rows):
    found = list(check_training_sets(FORMS[form](rows)))
    assert found == ROWS
    assert list(check_training_sets({NAME: FORMS[form](rows)})[NAME]) == ROWS


def test_pairs_without_names():
    pairs = [(row["source"], row["translation"]) for row in ROWS]
    assert list(check_training_sets(pairs)) == ROWS


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (
            named("english", "other"),
            r"set needs the columns source, translation.*'english', 'other'.*rename_columns",
        ),
        (named("query", "passage")[:5], "name the set"),
        (named("sw", "en"), "reads as English"),
        ([{"source": f"c-{i}", "translation": row["translation"]} for i, row in enumerate(ROWS)], "holds codes"),
    ],
)
def test_doubtful_columns_are_refused_in_every_form(form, rows, match):
    with pytest.raises(InputError, match=match):
        check_training_sets(FORMS[form](rows))


@pytest.mark.parametrize("bad", ["", " ", None, "\u200b"])
def test_a_bad_text_of_a_stream_stops_with_its_row(bad):
    rows = [*ROWS, {"source": "a b", "translation": bad}]
    checked = check_training_sets({NAME: stream(rows)})[NAME]
    with pytest.raises(InputError, match=rf"{NAME}, row 41, field 'translation'"):
        list(checked)


@pytest.mark.parametrize("form", FORMS)
def test_texts_are_in_one_form(form):
    rows = [{side: unicodedata.normalize("NFD", text + " \u1ecdm\u1ecd") for side, text in row.items()} for row in ROWS]
    found = list(check_training_sets(FORMS[form](rows)))
    assert found[0]["translation"].endswith("\u1ecdm\u1ecd")


def test_a_set_in_one_form_is_not_copied():
    rows = Dataset.from_list(ROWS)
    assert check_training_sets(rows).data.column("source").chunk(0).buffers()[2].address == (
        rows.data.column("source").chunk(0).buffers()[2].address
    )


@pytest.mark.parametrize("rows", [[], "text that is no set", [1, 2], [("a",)], {"a": 1}, 7])
def test_what_is_no_set(rows):
    if isinstance(rows, str):
        assert check_training_sets(rows) == rows  # the host loads a Hub data set by its name
        return
    with pytest.raises(InputError):
        check_training_sets(rows)
