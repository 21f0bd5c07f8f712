"""What a card says of the data it was measured on."""

from __future__ import annotations

import pytest

from hf_optical.publishing.card_text import measured_only

RESULTS = {"evaluations": [{"set": "eval/ntrex", "language": "swh_Latn", "n": 3}]}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"path": "eval/ntrex", "rows": None}, True),
        ({"path": "pairs.tsv", "rows": 5}, False),
        ({"path": "folder-of-shards", "rows": None}, False),  # training data of which no rows were counted
        ({"path": "eval/ntrex", "rows": 5}, False),
    ],
)
def test_only_a_retrieval_set_is_measured_only(row, expected):
    assert measured_only(row, RESULTS) is expected
