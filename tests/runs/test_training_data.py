"""What a run knows its data by."""

from __future__ import annotations

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
