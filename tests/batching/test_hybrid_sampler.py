"""The hybrid policy: rules of a batch, shares, exact length, resuming."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from functools import partial
from unittest import mock

import numpy as np
import pytest
from accelerate import skip_first_batches
from accelerate.data_loader import BatchSamplerShard
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, SequentialSampler

from hf_optical.batching import HybridBatchSampler, HybridPolicy
from hf_optical.errors import InputError

WORLD = "hf_optical.batching.hybrid.world_size"
NAMES = [
    "mono/eng_Latn",
    "mono/swh_Latn",
    "cross/eng_Latn-swh_Latn",
    "cross/swh_Latn-eng_Latn",
    "cross/eng_Latn-som_Latn",
    "bitext/eng_Latn-swh_Latn",
]


def rows_of(name, count):
    first, second = ("source", "translation") if name.startswith("bitext") else ("query", "passage")
    return Dataset.from_dict(
        {
            first: [f"{name} {first} {i}" for i in range(count)],
            second: [f"{name} {second} {i}" for i in range(count)],
        }
    )


def build(sizes, batch_size=4, seed=0, world=1, ids="position", names=None, **options):
    names = names or NAMES[: len(sizes)]
    datasets = [rows_of(name, size) for name, size in zip(names, sizes, strict=True)]
    if ids == "position":
        ids = {name: range(size) for name, size in zip(names, sizes, strict=True)}
    policy = HybridBatchSampler.with_policy(names=names, ids=ids, **options)
    with mock.patch(WORLD, return_value=world):
        samplers = [BatchSampler(SequentialSampler(d), batch_size, False) for d in datasets]
        return policy(ConcatDataset(datasets), samplers, generator=None, seed=seed)


def located(sampler, batch):
    """Name of the dataset and number within it, for each row of a batch."""
    ends = np.array(sampler.dataset.cumulative_sizes)
    where = np.searchsorted(ends, batch, side="right")
    starts = np.concatenate([[0], ends])
    return [(NAMES[i], row - starts[i]) for i, row in zip(where, batch, strict=True)]


def check_rules(sampler, batch):
    rows = located(sampler, batch)
    names = {name for name, _ in rows}
    kinds = {name.split("/")[0] for name in names}
    assert len(kinds) == 1, "one kind per batch"
    assert len({number for _, number in rows}) == len(rows), "an underlying id occurs twice"
    if kinds != {"cross"}:
        assert len(names) == 1, "a monolingual or bitext batch mixes languages"
    return kinds.pop()


sizes = st.lists(st.integers(30, 90), min_size=6, max_size=6)


@given(
    sizes=sizes,
    alpha=st.floats(0, 1),
    bitext=st.sampled_from([0.0, 0.3, 1.0]),
    batch_size=st.integers(1, 7),
    world=st.integers(1, 4),
    weights=st.sampled_from(["uniform", "size", 0.5, 2.0]),
    gathered=st.booleans(),
    seed=st.integers(0, 999),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_rules_hold_and_every_rank_has_the_exact_length(
    sizes, alpha, bitext, batch_size, world, weights, gathered, seed
):
    make = partial(
        build, sizes, batch_size, seed, world, alpha=alpha, bitext_share=bitext, language_weights=weights,
        gathered=gathered,
    )  # fmt: skip
    sampler = make()
    batches = list(sampler)
    assert len(sampler) == len(batches) == sum(sizes) // batch_size // world * world
    for batch in batches:
        assert len(batch) == batch_size
        check_rules(sampler, batch)
    if gathered:
        for step in range(0, len(batches), world):
            check_rules(sampler, [row for batch in batches[step : step + world] for row in batch])
    shards = [BatchSamplerShard(sampler, world, rank, even_batches=False) for rank in range(world)]
    for rank, shard in enumerate(shards):
        assert list(shard) == batches[rank::world]
        assert len(shard) == len(batches) // world
    assert list(make()) == batches
    sampler.set_epoch(1)
    assert len(list(sampler)) == len(batches)


@given(alpha=st.floats(0.05, 0.95), bitext=st.floats(0.0, 0.8), world=st.integers(1, 4), seed=st.integers(0, 9999))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_realised_shares_within_three_standard_errors(alpha, bitext, world, seed):
    sampler = build([400] * 6, 2, seed, world, alpha=alpha, bitext_share=bitext)
    kinds = Counter(check_rules(sampler, batch) for batch in sampler)
    total, contrastive = len(sampler), kinds["mono"] + kinds["cross"]
    assert abs(kinds["bitext"] / total - bitext) <= 3 * np.sqrt(bitext * (1 - bitext) / total)
    assert abs(kinds["mono"] / contrastive - alpha) <= 3 * np.sqrt(alpha * (1 - alpha) / contrastive)
    report = sampler.realised()
    assert report["batches"] == {kind: kinds[kind] for kind in ("mono", "cross", "bitext")}
    assert report["alpha"] == kinds["mono"] / contrastive


@pytest.mark.parametrize(
    ("weights", "expected"), [("uniform", [0.5, 0.5]), ("size", [0.1, 0.9]), (0.5, [0.25, 0.75]), (0.0, [0.5, 0.5])]
)
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_languages_are_drawn_by_their_weights(weights, expected, alpha):
    names = ["mono/eng_Latn", "mono/swh_Latn"] if alpha else ["cross/eng_Latn-swh_Latn", "cross/eng_Latn-som_Latn"]
    ids = {names[0]: range(100), names[1]: range(100, 1000)}
    sampler = build([100, 900], 1, names=names, ids=ids, alpha=alpha, language_weights=weights)
    list(sampler)
    drawn = np.array(list(sampler.realised()["rows"].values()))
    assert drawn.sum() == 1000
    assert abs(drawn[0] / 1000 - expected[0]) <= 3 * np.sqrt(expected[0] * expected[1] / 1000)


def test_a_cross_lingual_batch_mixes_pairs():
    sampler = build([60] * 6, 12, alpha=0.0)
    assert any(len({name for name, _ in located(sampler, batch)}) > 1 for batch in sampler)


def test_rows_are_drawn_without_replacement_until_exhausted():
    sampler = build([40], 5, names=["mono/eng_Latn"], alpha=1.0)
    assert sorted(row for batch in sampler for row in batch) == list(range(40))
    twice = build([10, 30], 5, names=NAMES[:2], ids=None, alpha=1.0, language_weights="uniform")
    counts = Counter(row for batch in twice for row in batch)
    for rows in (range(10), range(10, 40)):
        assert max(counts[row] for row in rows) - min(counts[row] for row in rows) <= 1


def test_repeated_ids_are_put_off_not_lost():
    ids = {"mono/eng_Latn": [i // 4 for i in range(40)]}
    sampler = build([40], 4, names=["mono/eng_Latn"], ids=ids, alpha=1.0)
    drawn = [row for batch in sampler for row in batch]
    assert all(len({row // 4 for row in batch}) == 4 for batch in sampler)
    assert len(set(drawn)) > 30


def test_same_seed_same_order_next_epoch_another():
    one, two, other = build([60] * 6), build([60] * 6), build([60] * 6, seed=1)
    first = list(one)
    assert first == list(two)
    assert first != list(other)
    one.set_epoch(1)
    two.set_epoch(1)
    second = list(one)
    assert second != first
    assert second == list(two)
    two.set_epoch(0)
    assert list(two) == first


@pytest.mark.parametrize("world", [1, 2])
def test_resumes_in_mid_epoch_on_every_rank(world):
    """The host's own calls, in its order: a fresh loader, skipped ahead, then `set_epoch` of the epoch resumed."""
    from accelerate.data_loader import DataLoaderShard

    def loader(rank):
        sampler = build([60] * 6, 4, world=world)
        shard = BatchSamplerShard(sampler, world, rank, even_batches=False) if world > 1 else sampler
        return DataLoaderShard(sampler.dataset, batch_sampler=shard, collate_fn=lambda rows: [str(r) for r in rows])

    for rank in range(world):
        whole = loader(rank)
        whole.set_epoch(2)
        expected = list(whole)
        resumed = skip_first_batches(loader(rank), 5)
        resumed.set_epoch(2)
        assert list(resumed) == expected[5:]
        fresh = loader(rank)
        assert list(fresh) != expected


def test_without_ids_equal_texts_count_as_one_question():
    mono = Dataset.from_dict({"query": list("abcdef"), "passage": list("PPQQRR")})
    cross = Dataset.from_dict({"query": list("ghijkl"), "passage": list("PPQQRR")})
    names = ["mono/eng_Latn", "cross/swh_Latn-eng_Latn"]
    policy = HybridPolicy(names=names)
    sampler = policy(ConcatDataset([mono, cross]), [BatchSampler(mono, 3, False)] * 2)
    for batch in sampler:
        assert len({"PPQQRR"[row % 6] for row in batch}) == 3


def test_names_are_read_from_the_marks_of_the_host():
    from sentence_transformers import SentenceTransformerTrainer as Trainer

    datasets = [rows_of(name, 20) for name in NAMES[:3]]
    for name, dataset in zip(NAMES, datasets, strict=False):
        dataset.set_transform(partial(Trainer.add_dataset_name_transform, dataset_name=name))
    samplers = [BatchSampler(d, 4, False) for d in datasets]
    sampler = HybridBatchSampler.with_policy()(ConcatDataset(datasets), samplers)
    list(sampler)
    assert list(sampler.realised()["rows"]) == NAMES[:3]
    with pytest.raises(InputError, match="is named 'mono/swh_Latn'"):
        HybridPolicy(names=[NAMES[1], NAMES[0], NAMES[2]])(ConcatDataset(datasets), samplers)


def test_report_is_ready_for_json_and_logged(caplog):
    caplog.set_level("INFO", logger="hf_optical")
    sampler = build([60] * 6, bitext_share=0.2)
    assert sampler.realised()["alpha"] is None
    list(sampler)
    sampler.set_epoch(1)
    list(sampler)
    report = json.loads(json.dumps(sampler.realised()))
    assert report["epochs"] == [0, 1]
    assert sum(report["batches"].values()) == 2 * len(sampler)
    assert sum(report["rows"].values()) == 2 * len(sampler) * 4
    assert sampler.realised(1)["epochs"] == [1]
    assert "Epoch 1, realised: {'batches'" in caplog.text


def test_realised_counts_are_logged_where_training_stops_in_mid_epoch(caplog):
    caplog.set_level("INFO", logger="hf_optical")
    batches = iter(build([60] * 6))
    next(batches)
    batches.close()
    assert "Epoch 0, realised" in caplog.text


def test_ids_do_not_travel_with_the_saved_arguments():
    policy = pickle.loads(pickle.dumps(HybridPolicy(alpha=0.3, ids={"mono/eng_Latn": np.arange(10)})))
    assert policy.ids is None
    assert policy.alpha == 0.3


def test_a_kind_without_a_share_is_reported(caplog):
    build([60] * 6, alpha=1.0)
    assert "no cross batches" in caplog.text
    assert "no bitext batches" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.5}, "alpha is 1.5"),
        ({"bitext_share": -0.1}, "bitext_share is -0.1"),
        ({"language_weights": "sqrt"}, "language_weights is 'sqrt'"),
        ({"language_weights": float("nan")}, "language_weights is nan"),
        ({"names": ["mono/eng_Latn", "cross/eng_Latn-eng_Latn"]}, "pairs a language with itself"),
        ({"names": ["mono/eng_Latn", "train"]}, "the dataset is named 'train'"),
        ({"names": ["mono/eng_Latn-swh_Latn", "mono/swh_Latn"]}, "the dataset is named 'mono/eng_Latn-swh_Latn'"),
        ({"alpha": 0.5}, "share of 0.5, but no dataset is named cross"),
        ({"alpha": 1.0, "ids": {"mono/eng_Latn": range(40)}}, "not for mono/swh_Latn"),
        ({"alpha": 1.0, "ids": {"mono/eng_Latn": range(40), "mono/swh_Latn": [1]}}, "1 ids for the 40 rows"),
        ({"alpha": 1.0, "ids": {"mono/xxx_Latn": range(40)}}, "ids are given for unknown datasets"),
        (
            {"alpha": 1.0, "ids": {"mono/eng_Latn": range(40), "mono/swh_Latn": ["a"] * 39 + [None]}},
            "row 40, field 'ids': the id None",
        ),
        (
            {"alpha": 1.0, "ids": {"mono/eng_Latn": range(40), "mono/swh_Latn": [1] * 40}},
            "no 4 rows of mono/swh_Latn can be put into one batch",
        ),
        ({"alpha": 1.0, "batch_size": 81}, "do not fill a batch of 81"),
        ({"alpha": 1.0, "world": 21}, "on each of 21 processes"),
    ],
)
def test_bad_input_is_named(options, message):
    with pytest.raises(InputError, match=message):
        build([40, 40], **options)


def test_unnamed_datasets_and_unequal_columns_are_named():
    plain = rows_of("mono/eng_Latn", 10)
    with pytest.raises(InputError, match="have no names"):
        HybridPolicy()(ConcatDataset([plain]), [BatchSampler(plain, 2, False)])
    with pytest.raises(InputError, match="1 names for 2 datasets"):
        HybridPolicy(names=["mono/eng_Latn"])(ConcatDataset([plain, plain]), [BatchSampler(plain, 2, False)] * 2)
    more = plain.add_column("negative", ["n"] * 10)
    policy = HybridPolicy(names=["cross/eng_Latn-swh_Latn", "cross/eng_Latn-som_Latn"], alpha=0.0)
    with pytest.raises(InputError, match="different columns"):
        policy(ConcatDataset([plain, more]), [BatchSampler(plain, 2, False)] * 2)


def test_a_loader_reads_the_rows_that_the_sampler_names():
    sampler = build([20] * 3)
    loader = DataLoader(sampler.dataset, batch_sampler=sampler, collate_fn=lambda rows: [row["query"] for row in rows])
    for queries, batch in zip(loader, build([20] * 3), strict=True):
        assert queries == [f"{name} query {number}" for name, number in located(sampler, batch)]


@pytest.mark.parametrize(("world", "gathered"), [(1, False), (2, False), (2, True)])
def test_one_after_the_other_over_epochs(world, gathered):
    sampler = build([40] * 6, world=world, alpha=0.5, bitext_share=0.5, bitext_batches=90, gathered=gathered)
    kinds = []
    for epoch in range(3):  # of 60 batches each
        sampler.set_epoch(epoch)
        kinds += [check_rules(sampler, batch) for batch in sampler]
    assert set(kinds[:90]) == {"bitext"} and set(kinds[90:]) == {"mono", "cross"}


def test_a_negative_number_of_bitext_batches_is_refused():
    with pytest.raises(InputError, match="bitext_batches is -1"):
        HybridPolicy(bitext_batches=-1)
