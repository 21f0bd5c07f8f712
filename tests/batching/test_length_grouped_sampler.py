"""Batches of similar length: every row once, no equal texts, exact length on every rank."""

from __future__ import annotations

import copy
import pickle
from collections import Counter
from unittest import mock

import numpy as np
import pytest
import tiny_models
from accelerate.data_loader import BatchSamplerShard
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_optical.batching import LengthGroupedBatchSampler, TokenLengths
from hf_optical.errors import InputError

LENGTH = "hf_optical.batching.length_grouped.world_size"


def sampler_of(dataset, batch_size=4, drop_last=False, **options):
    return LengthGroupedBatchSampler(dataset, batch_size, drop_last, **options)


def distinct(rows):
    rng = np.random.default_rng(0)
    return Dataset.from_dict({"source": [f"{i} " + "x" * int(rng.integers(1, 200)) for i in range(rows)]})


def ranks(sampler, world):
    """The batches that accelerate gives each rank, as the ST trainer sets it up for training."""
    shards = [BatchSamplerShard(sampler, world, rank, even_batches=False) for rank in range(world)]
    return [(len(shard), list(shard)) for shard in shards]


@given(
    texts=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=80),
    batch_size=st.integers(1, 6),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_no_two_equal_texts_and_no_row_lost_without_need(texts, batch_size, seed):
    dataset = Dataset.from_dict({"source": [str(a) for a, _ in texts], "translation": [str(b) for _, b in texts]})
    try:
        batches = list(sampler_of(dataset, batch_size, seed=seed))
    except InputError:
        # Only where texts are too few: each row blocks at most those that hold one of its two texts.
        held_by = Counter(text for pair in texts for text in set(pair))
        assert (batch_size - 1) * 2 * max(held_by.values()) >= len(texts)
        return
    for batch in batches:
        held = [{*texts[row]} for row in batch]
        assert sum(map(len, held)) == len(set().union(*held)), "two rows of a batch share a text"
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)


def test_copies_are_moved_apart_not_dropped():
    texts = [str(i // 10) for i in range(200)]  # ten copies of each, 25 batches of 8
    batches = list(sampler_of(Dataset.from_dict({"source": texts}), 8))
    assert sorted(row for batch in batches for row in batch) == list(range(200))
    assert all(len({texts[row] for row in batch}) == 8 for batch in batches)


def test_copies_in_excess_give_way_to_other_rows(caplog):
    texts = ["same"] * 20 + [str(i) for i in range(20)]
    sampler = sampler_of(Dataset.from_dict({"source": texts}), 4)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 10
    assert all(len({texts[row] for row in batch}) == 4 for batch in batches)
    assert "10 rows are left out" in caplog.text


def test_duplicates_allowed_on_request():
    rows = Dataset.from_dict({"source": ["same"] * 8})
    batches = list(sampler_of(rows, no_duplicates=False))
    assert sorted(row for batch in batches for row in batch) == list(range(8))
    with pytest.raises(InputError, match="cannot be filled"):
        list(sampler_of(rows))


@given(
    rows=st.integers(1, 70),
    batch_size=st.integers(1, 8),
    world=st.integers(1, 4),
    drop_last=st.booleans(),
    epoch=st.integers(0, 3),
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_exact_length_on_every_rank(rows, batch_size, world, drop_last, epoch):
    dataset = distinct(rows)
    with mock.patch(LENGTH, return_value=world):
        if drop_last and rows < batch_size * world:
            with pytest.raises(InputError, match="drop_last"):
                sampler_of(dataset, batch_size, drop_last)
            return
        sampler = sampler_of(dataset, batch_size, drop_last)
    sampler.set_epoch(epoch)
    assert len(list(sampler)) == len(sampler)
    shares = ranks(sampler, world)
    assert {length for length, _ in shares} == {len(sampler) // world}
    assert all(len(batches) == length for length, batches in shares)
    seen = {row for _, batches in shares for batch in batches for row in batch}
    assert drop_last or seen == set(range(rows))
    if world == 1 and not drop_last:
        assert sorted(row for batch in sampler for row in batch) == list(range(rows))


def test_order_depends_on_seed_and_epoch_alone():
    dataset = distinct(60)
    first, again, other = sampler_of(dataset), sampler_of(dataset), sampler_of(dataset, seed=1)
    epoch_0 = list(first)
    assert epoch_0 == list(again) == list(first)
    assert epoch_0 != list(other)
    first.set_epoch(1)
    epoch_1 = list(first)
    assert epoch_1 != epoch_0
    again.set_epoch(1)
    assert list(again) == epoch_1


def test_less_padding_than_random_batches():
    dataset = distinct(2000)
    lengths = np.array([len(text) for text in dataset["source"]])

    def padded(batches):
        return sum(lengths[batch].max() * len(batch) for batch in batches) / lengths.sum()

    random = np.random.default_rng(1).permutation(2000).reshape(-1, 8).tolist()
    assert padded(sampler_of(dataset, 8)) < 1.1 < 1.5 < padded(random)


def test_length_of_a_named_column():
    dataset = Dataset.from_dict(
        {
            "source": ["a" * (i + 1) for i in range(40)],
            "translation": [f"{i} " + "b" * ((i * 7) % 40) for i in range(40)],
        }
    )
    batches = list(sampler_of(dataset, 4, length_column="source"))
    assert all(max(batch) - min(batch) == 3 for batch in batches)


def test_reads_the_rows_behind_a_selection_and_a_transform():
    plain = Dataset.from_dict({"source": ["a", "bb", "a", "ccc", "dddd", "bb"], "label": [0, 1, 2, 3, 4, 5]})
    chosen = plain.select([0, 2, 1, 5])  # a a bb bb
    chosen.set_transform(lambda batch: {**batch, "dataset_name": ["x"] * len(batch["source"])})
    for epoch in range(5):
        sampler = sampler_of(chosen, 2, valid_label_columns=["label"])
        sampler.set_epoch(epoch)
        assert {frozenset({row // 2 for row in batch}) for batch in sampler} == {frozenset({0, 1})}


def test_options_by_one_argument_that_the_host_can_save():
    make = pickle.loads(pickle.dumps(LengthGroupedBatchSampler.with_options(mega_batches=2)))
    sampler = make(distinct(20), batch_size=4, drop_last=False, valid_label_columns=None, generator=None, seed=0)
    assert sampler.mega_batches == 2


def test_the_epoch_reaches_the_sampler_through_the_dataset_and_copies_do_not_interfere():
    dataset = distinct(20)
    sampler = sampler_of(dataset)
    dataset.set_epoch(4)
    assert sampler.epoch == 4
    copy.deepcopy(dataset).set_epoch(5)
    pickle.loads(pickle.dumps(dataset)).set_epoch(5)
    assert sampler.epoch == 4


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"source": ["a", None]}, {}, "row 2, field 'source': the text is missing"),
        ({"number": [1, 2]}, {}, "no column of text"),
        ({"source": ["a", "b"]}, {"mega_batches": 0}, "mega_batches is 0"),
        ({"source": ["a", "b"]}, {"length_column": "nowhere"}, "no column 'nowhere'"),
    ],
)
def test_bad_input_is_named(columns, options, message):
    with pytest.raises(InputError, match=message):
        sampler_of(Dataset.from_dict(columns), 2, **options)


def test_batches_are_similar_in_tokens_where_the_model_counts(tmp_path):
    """Long words that are one token, and short ones that are many: characters say the opposite of tokens."""
    model = tiny_models.dense(tmp_path, [*(f"{'x' * i}{i}" for i in range(40)), *"abcdefgh"])
    few = [f"{'x' * i}{i}" for i in range(40)]
    many = [" ".join("abcdefgh"[(i + k) % 8] for k in range(3 + i % 17)) for i in range(40)]
    texts = [text for pair in zip(few, many, strict=True) for text in pair]
    dataset = Dataset.from_dict({"source": texts[::-1], "translation": texts})
    count = TokenLengths(model, max_length=12)
    assert count(["a b", " ".join("abcdefgh" * 3)]) == [4, 12]
    assert pickle.loads(pickle.dumps(count))._tokenizer is None

    def padded(**options):
        batches = sampler_of(dataset, length_column="translation", no_duplicates=False, **options)
        return sum(max(count([texts[row] for row in batch])) * len(batch) for batch in batches)

    real = sum(count(texts))
    assert padded(length_of=count) < 1.15 * real < padded()
