from __future__ import annotations

import pytest

from hf_optical.data.lexicon import read_lexicon
from hf_optical.data.pairs import PairReport
from hf_optical.errors import InputError


def test_repeated_pairs_are_left_out_and_counted(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("water\tmaji\nwater \tmaji\nwater\tmvua\nsafari\tSafari\n", encoding="utf-8")
    report = PairReport()
    entries = read_lexicon(path, report=report)
    assert entries.to_list() == [
        {"source": "water", "translation": "maji"},
        {"source": "water", "translation": "mvua"},
        {"source": "safari", "translation": "Safari"},
    ]
    assert (report.kept, report.duplicates, report.copies) == (3, 1, 1)
    assert "1 repeated and left out" in report.messages[-1]


def test_bad_rows_stop_or_are_listed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("english,swahili\nwater,maji\nfire,\n", encoding="utf-8")
    with pytest.raises(InputError, match="row 3, field 'swahili': the text is empty"):
        read_lexicon(path)
    report = PairReport()
    assert len(read_lexicon(path, on_bad_rows="skip", report=report)) == 1
    assert [(bad.row, bad.field) for bad in report.bad_rows] == [(3, "swahili")]


@pytest.mark.real
def test_real_lexicon(shared_data):
    entries = read_lexicon(shared_data / "lexicon" / "sw.train.jsonl.gz", language="swh")
    assert len(entries) > 4000
    assert {"source": "1918 flu", "translation": "Homa ya 1918"} in entries.select(range(3)).to_list()
