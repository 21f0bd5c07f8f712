"""What a run knows its data by."""

from __future__ import annotations

import json

import pytest

from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_data import read_training_data


def fingerprints(folder, **options):
    config = TrainConfig(teacher="t", language="sw", held_out=0.0, output_dir=str(folder / "out"), **options)
    return [(one["path"], one["sha256"]) for one in read_training_data(config).fingerprints]


@pytest.mark.parametrize("named", ["corpus.en", "corpus.sw", "corpus"])
@pytest.mark.parametrize("option", ["bitext", "lexicon", "start_lexicon"])
def test_both_parallel_files_are_known(tmp_path, named, option):
    (tmp_path / "pairs.tsv").write_text("en\tsw\nthe goat sleeps\tmbuzi analala\n")
    (tmp_path / "corpus.en").write_text("the goat\nthe dog\n")
    (tmp_path / "corpus.sw").write_text("mbuzi\nmbwa\n")
    files = {"bitext": [str(tmp_path / "pairs.tsv")]}
    files[option] = [str(tmp_path / named)] if option == "bitext" else str(tmp_path / named)
    first = fingerprints(tmp_path, **files)
    assert [name for name, _ in first][-2:] == ["corpus.en", "corpus.sw"]
    assert fingerprints(tmp_path, **files) == first
    for name, changed in (("corpus.sw", "mbuzi\nmbwa mdogo\n"), ("corpus.en", "the goat\nthe small dog\n")):
        (tmp_path / name).write_text(changed)
        now = fingerprints(tmp_path, **files)
        assert [place for place, (old, new) in enumerate(zip(first, now, strict=True)) if old != new] == [
            [one for one, _ in first].index(name)
        ]
        first = now


def test_questions_are_drawn_and_smaller_draws_are_part_of_larger(tmp_path):
    (tmp_path / "pairs.tsv").write_text("en\tsw\n" + "".join(f"the goat {i}\tmbuzi {i}\n" for i in range(60)))
    rows = [{"id": str(i), "query": f"nani {i}?", "passage": f"the goat number {i}"} for i in range(30)]
    (tmp_path / "asked.jsonl").write_text("\n".join(json.dumps(row) for row in rows))

    def drawn(most):
        config = TrainConfig(
            teacher="T",
            language="swh_Latn",
            bitext=[str(tmp_path / "pairs.tsv")],
            query_passages=[f"cross/sw-en={tmp_path / 'asked.jsonl'}", f"mono/en={tmp_path / 'asked.jsonl'}"],
            max_questions=most,
        )
        found = read_training_data(config).retrieval
        assert len(found["mono/eng_Latn"].ids) == 30  # English ones are all kept
        return found["cross/swh_Latn-eng_Latn"]

    few, more = drawn(5), drawn(12)
    assert (len(few.ids), len(more.ids), len(drawn(None).ids)) == (5, 12, 30)
    assert set(few.ids) < set(more.ids)
    assert few.rows["query"][0] == f"nani {few.ids[0]}?"


def test_licences_are_counted_when_the_data_are_read(tmp_path):
    rows = [
        {"en": f"the goat {i}", "sw": f"mbuzi {i}", "license": "CC-BY-NC-4.0" if i % 2 else "CC0"} for i in range(6)
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    config = TrainConfig(teacher="T", language="swh_Latn", bitext=[str(tmp_path / "pairs.jsonl")], held_out=0.0)
    data = read_training_data(config)
    (entry,) = data.with_licences(data.fingerprints)
    assert entry["licences"] == {"CC0": 3, "CC-BY-NC-4.0": 3}
    assert "licences" not in data.fingerprints[0]  # which decide whether a run may be resumed
