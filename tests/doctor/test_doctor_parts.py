from __future__ import annotations

import random
import string
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_optical.doctor.characters import OTHER_SCRIPT, VISIBLE, characters, code_points, join
from hf_optical.doctor.encoding import encoding_fault
from hf_optical.doctor.kinds import KINDS, bit_of, chosen_kinds, kinds_of
from hf_optical.doctor.near import LEAST_EQUAL, SIGNATURE, near_duplicates, signatures
from hf_optical.doctor.numbers import number_mismatch
from hf_optical.doctor.overlap import EvaluationIndex
from hf_optical.doctor.word_hashes import words_of
from hf_optical.errors import InputError


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(), max_size=30), min_size=1, max_size=6))
def test_any_text_is_counted_in_its_own_row(texts: list[str]) -> None:
    found = characters(code_points(join(texts)))
    words = words_of(texts)
    assert len(found.ends) == len(texts) == len(words.keys)
    alone = [int(characters(code_points(join([text]))).count(VISIBLE)[0]) for text in texts]
    assert found.count(VISIBLE).tolist() == alone
    for index, text in enumerate(texts):
        single = words_of([text])
        assert single.keys[0] == words.keys[index]
        assert np.array_equal(single.hashes, words.hashes[words.ends[index] : words.ends[index + 1]])


def test_words_agree_with_a_plain_splitter() -> None:
    texts = ["Habari ya asubuhi, rafiki!", "ng'ombe 12", "", "नमस्ते दुनिया", "ሰላም፡ዓለም", "你好 world"]
    counts = [len("habari ya asubuhi rafiki".split()), 3, 0, 2, 2, 3]
    assert words_of(texts).counts.tolist() == counts
    assert words_of(["ab cd"]).hashes[1] == words_of(["x CD"]).hashes[1]


def test_hashes_do_not_collide_on_many_words() -> None:
    draw = random.Random(0)
    words = {"".join(draw.choices(string.ascii_lowercase, k=draw.randint(1, 9))) for _ in range(50_000)}
    assert len(np.unique(words_of([" ".join(words)]).hashes)) == len(words)


def test_scripts_are_told_apart() -> None:
    texts = {"Cyrl": "привет", "Ethi": "ሰላም", "Deva": "नमस्ते", "Jpan": "日本語です", "Arab": "سلام"}
    for script in texts:
        found = {
            name: int(characters(code_points(join([t])), script).count(OTHER_SCRIPT)[0]) for name, t in texts.items()
        }
        assert [name for name, count in found.items() if count] == [script]


@pytest.mark.parametrize(
    ("text", "faulty"),
    [
        ("L’été est déjà là", False),
        ("Das ist schön, Ärger über Öl", False),
        ("LâÃ©tÃ© est dÃ©jÃ\xa0 lÃ\xa0", True),
        ("à¤¨à¤®à¤¸à¥\x8dà¤¤à¥‡", True),
        ("a\udce9b", True),
        ("la fen?tre du coll?ge et les ?l?ves", True),
        ("What? Really??", False),
    ],
)
def test_wrong_encodings(text: str, faulty: bool) -> None:
    assert (encoding_fault(text) is not None) == faulty


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("in 1998", "mwaka 1998", True),
        ("in 1998", "mwaka 1989", False),
        ("two goats", "mbuzi 2", True),
        ("1,000 and 3.5", "1.000 na 3,5", True),
        ("१२ लोग", "13 people", False),
    ],
)
def test_numbers(left: str, right: str, same: bool) -> None:
    assert (number_mismatch(left, right) is None) == same


def test_signatures_estimate_jaccard_similarity() -> None:
    draw = random.Random(1)
    vocabulary = [f"w{i}" for i in range(500)]
    errors = []
    for changed in (0, 2, 6, 12):
        for _ in range(20):
            first = draw.sample(vocabulary, 30)
            second = [*first[: 30 - changed], *draw.sample(vocabulary, changed)]
            sets = [set(words) | set(pairwise(words)) for words in (first, second)]
            # The last word of a text counts once more for itself, which changes nothing in a set.
            truth = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
            texts = [" ".join(words) for words in (first, second)]
            rows = signatures(words_of(texts), words_of(["", ""]))
            errors.append(float((rows[0] == rows[1]).mean()) - truth)
    assert abs(float(np.mean(errors))) < 0.03
    assert float(np.std(errors)) < 0.11  # 0.088 at most for 32 draws


def test_near_duplicates_name_the_earlier_row() -> None:
    draw = random.Random(2)
    base = [" ".join(draw.sample(string.ascii_lowercase * 3, 30)) for _ in range(50)]
    texts = [*base, base[7] + " zz"]
    rows, original = near_duplicates(signatures(words_of(texts), words_of(texts)), np.arange(51))
    assert rows.tolist() == [50]
    assert original.tolist() == [7]
    assert LEAST_EQUAL < SIGNATURE


def test_overlap_names_the_query_or_document() -> None:
    sentence = "the old fisherman sold four baskets of dried fish to the school near the river"
    index = EvaluationIndex(["q1", "d9"], [sentence, "a document about something else entirely, in a few words"])
    near = sentence.replace("four", "five")
    found = index.find(words_of([sentence.upper() + "!", near, "the old fisherman slept", "unrelated words here now"]))
    assert [(one.row, one.exact, one.text) for one in found] == [(0, True, "q1"), (1, False, "q1")]


def test_kinds_are_chosen_by_name() -> None:
    assert chosen_kinds(["all"]) == (1 << len(KINDS)) - 1
    assert "number" not in kinds_of(chosen_kinds([]))
    assert kinds_of(bit_of("copy")) == ["copy"]
    with pytest.raises(InputError, match="unknown kind of defect 'typo'"):
        chosen_kinds(["typo"])
