"""Retrieval pairs made of bitext that comes in documents."""

from __future__ import annotations

import json

import pytest

from hf_optical.data.contexts import Sentence, context_pairs, read_documents


@pytest.fixture
def bitext(tmp_path):
    def write(name, tag, rows):
        path = tmp_path / name
        lines = [{"id": i, "en": en, "xx": f"{tag} {en}", **({"doc": doc} if doc else {})} for i, en, doc in rows]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return path

    return write


def test_sentences_without_a_document_are_left_out_wherever_the_others_are(bitext):
    # The column is absent from the first hundred rows, by which columns are otherwise known.
    rows = [(str(i), f"lone {i}", None) for i in range(150)] + [(f"d{i}", f"line {i}", "story") for i in range(3)]
    found = read_documents(bitext("de.jsonl", "de", rows), "de")
    assert [sentence.id for sentence in found] == ["d0", "d1", "d2"]
    assert found[1] == Sentence("d1", "story", {"eng_Latn": "line 1", "deu_Latn": "de line 1"})
    assert read_documents(bitext("none.jsonl", "de", rows[:5]), "de") == []


def test_every_sentence_asks_for_the_rest_of_its_window(bitext):
    rows = [(f"d{i}", f"line {i}", "story") for i in range(5)] + [("e0", "alone", "other")]
    pairs = context_pairs([read_documents(bitext("sw.jsonl", "sw", rows), "sw")], width=3)
    assert set(pairs) == {"mono/eng_Latn", "mono/swh_Latn", "cross/eng_Latn-swh_Latn", "cross/swh_Latn-eng_Latn"}
    cross = pairs["cross/swh_Latn-eng_Latn"]
    assert cross.rows["query"] == [f"sw line {i}" for i in range(5)]  # a window of one sentence gives nothing
    assert cross.rows["passage"] == ["line 1 line 2", "line 0 line 2", "line 0 line 1", "line 4", "line 3"]
    # One id a window, the same in every language: no two pairs of a window may share a batch.
    assert len(set(cross.ids)) == 2 and cross.ids[:3] == [cross.ids[0]] * 3
    assert all(found.ids == cross.ids for found in pairs.values())
    assert not any(query in passage for query, passage in zip(cross.rows["query"], cross.rows["passage"], strict=True))


def test_bitexts_that_share_sentences_are_joined_on_their_ids(bitext):
    shared = [(f"d{i}", f"line {i}", "story") for i in range(4)]
    documents = [
        read_documents(bitext("sw.jsonl", "sw", shared), "sw"),
        read_documents(bitext("mr.jsonl", "mr", shared[:2]), "mr"),
    ]
    pairs = context_pairs(documents, width=2)
    assert len(pairs["cross/swh_Latn-mar_Deva"].rows) == 2  # only the first window is in both
    assert pairs["cross/mar_Deva-swh_Latn"].rows[0] == {"query": "mr line 0", "passage": "sw line 1"}
    assert len(pairs["mono/eng_Latn"].rows) == 4  # English is not counted once for each bitext
