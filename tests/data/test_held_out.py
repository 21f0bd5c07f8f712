"""Pairs held out of a bitext."""

from __future__ import annotations

import gzip
import json

import pytest
from datasets import Dataset

from hf_optical.data.bitext import read_bitext
from hf_optical.data.contexts import read_documents
from hf_optical.data.held_out import document_names, held_out_size, split_bitext


def rows_of(count: int) -> Dataset:
    return Dataset.from_dict(
        {"source": [f"line {i}" for i in range(count)], "translation": [f"mstari {i}" for i in range(count)]}
    )


@pytest.mark.parametrize(("pairs", "size"), [(99, 0), (100, 20), (400, 50), (2000, 100), (10_000, 500), (10**7, 500)])
def test_a_twentieth_is_held_out_within_bounds(pairs, size):
    assert held_out_size(pairs) == size
    assert held_out_size(pairs, 0) == 0


def test_the_parts_are_a_partition_drawn_with_the_seed():
    rows = rows_of(1200)
    parts = [split_bitext(rows, seed=seed) for seed in (0, 0, 1)]
    assert len(parts[0].held_out) == 60 and parts[0].echoes == 0 and parts[0].documents == 0
    assert sorted([*parts[0].train["source"], *parts[0].held_out["source"]]) == sorted(rows["source"])
    assert parts[0].held_out["source"] == parts[1].held_out["source"] != parts[2].held_out["source"]
    places = [int(text.split()[1]) for text in parts[0].held_out["source"]]
    assert places == sorted(places), "neighbours of the file must stay neighbours"


def test_documents_are_kept_together():
    rows = rows_of(1000)
    documents = [f"d{i // 10}" if i < 600 else None for i in range(1000)]
    split = split_bitext(rows, documents, seed=3)
    held = {int(text.split()[1]) for text in split.held_out["source"]}
    assert len(held) == 50 and split.documents > 0
    for first in range(0, 600, 10):
        inside = held & set(range(first, first + 10))
        assert not inside or len(inside) == 10
    assert held - set(range(600)), "rows without a document can be held out too"


def test_documents_larger_than_the_share_are_not_torn():
    split = split_bitext(rows_of(200), [f"d{i // 50}" for i in range(200)])
    assert len(split.held_out) == 50 and split.documents == 1
    whole = split_bitext(rows_of(200), ["one"] * 200)
    assert len(whole.held_out) == 0 and len(whole.train) == 200


def test_what_a_held_out_pair_says_is_not_trained_on():
    rows = Dataset.from_dict(
        {
            "source": [f"line {i % 150}" for i in range(300)],
            "translation": [f"mstari {i}" if i % 3 else "sawa" for i in range(300)],
        }
    )
    split = split_bitext(rows, seed=1)
    assert not set(split.train["source"]) & set(split.held_out["source"])
    assert not set(split.train["translation"]) & set(split.held_out["translation"])
    assert split.echoes == 300 - len(split.train) - len(split.held_out) > 0


def test_the_documents_of_a_file_come_in_its_order(tmp_path):
    lines = [{"en": f"a {i}", "sw": f"b {i}", **({"doc": f"d{i // 2}"} if i < 4 else {})} for i in range(6)]
    path = tmp_path / "pairs.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    assert document_names(path) == ["d0", "d0", "d1", "d1", None, None]
    (tmp_path / "pairs.tsv").write_text("en\tsw\na\tb\n", encoding="utf-8")
    assert document_names(tmp_path / "pairs.tsv") is None
    (tmp_path / "named.tsv").write_text("en\tsw\tdoc_id\na\tb\t7\n", encoding="utf-8")
    assert document_names(tmp_path / "named.tsv") == ["7"]
    assert document_names("owner/name") is None


def test_documents_fit_the_pairs_that_are_left_and_the_columns_that_are_named(tmp_path):
    lines = [{"a": f"goat {i}", "b": f"mbuzi {i}" if i != 2 else "", "doc": f"d{i // 2}"} for i in range(6)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    named = {"source_field": "a", "translation_field": "b"}
    pairs = read_bitext(path, on_bad_rows="skip", **named)
    assert len(pairs) == 5
    assert document_names(path, **named) == ["d0", "d0", "d1", "d2", "d2"]
    assert [sentence.document for sentence in read_documents(path, "sw", **named)] == ["d0", "d0", "d1", "d2", "d2"]
    (tmp_path / "folder").mkdir()
    path.rename(tmp_path / "folder" / "pairs.jsonl")
    assert document_names(tmp_path / "folder", **named) == ["d0", "d0", "d1", "d2", "d2"]
