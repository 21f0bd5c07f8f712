"""Documents of the index in the training of a mapped student."""

from collections import Counter

import numpy as np
import pytest
from datasets import Dataset
from tiny_sets import write_rows

from hf_optical.runs.index_documents import documents_in_training
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_data import TrainingData

TEXTS = [f"document number {number}" for number in range(60)]


@pytest.fixture
def index(tmp_path):
    folder = tmp_path / "index"
    folder.mkdir()
    np.save(folder / "vectors.npy", np.random.default_rng(0).normal(size=(60, 4)))
    write_rows(folder / "texts.jsonl", [{"text": text} for text in TEXTS])
    return str(folder)


def config(index, **options):
    return TrainConfig(
        **{"teacher": "a", "student": "b", "bitext": ["c"], "language": "sw", "max_steps": 5, "index_rows": index}
        | options
    )


def data(pairs):
    english = [f"sentence {number}" for number in range(pairs)]
    return TrainingData({"swh_Latn": Dataset.from_dict({"source": english, "translation": english})})


def start(share):
    return {"map": {"chosen": {"index": share}}}


@pytest.mark.parametrize(("share", "pairs", "rows"), [(0.25, 90, 30), (0.5, 90, 90), (0.75, 50, 150)])
def test_documents_have_the_share_of_the_map(index, share, pairs, rows):
    given = data(pairs)
    found = documents_in_training(config(index), given, start(share))
    assert len(found.rows) == rows and found.documents == min(rows, 60)
    assert found.rows["source"][:] == found.rows["translation"][:]
    times = Counter(found.rows["source"][:])
    assert max(times.values()) - min(times.values()) <= 1 and set(times) <= set(TEXTS)
    given.documents = found.rows
    assert list(given.sets()) == ["bitext/eng_Latn-swh_Latn", "bitext/eng_Latn-eng_Latn"]
    assert f"{found.documents} documents of the index" in found.sentence() and f"{share:.0%}" in found.sentence()


def test_the_same_seed_draws_the_same_documents(index):
    one, again, other = (
        documents_in_training(config(index, seed=seed), data(60), start(0.25)).rows["source"][:] for seed in (0, 0, 1)
    )
    assert one == again != other


@pytest.mark.parametrize(
    ("options", "share"),
    [
        ({"index_rows": None}, 0.25),
        ({"student": "extend"}, 0.25),
        ({"max_steps": 0}, 0.25),
        ({"adapter": "lora"}, 0.25),
        ({}, 0.0),
    ],
)
def test_no_documents_where_they_have_no_place(index, options, share):
    assert documents_in_training(config(index, **options), data(60), start(share)) is None


@pytest.mark.parametrize("report", [None, {"map": None}, {}])
def test_a_start_without_a_map_trains_on_pairs_alone(index, report):
    assert documents_in_training(config(index), data(60), report) is None
