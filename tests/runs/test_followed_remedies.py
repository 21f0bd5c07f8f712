"""Remedies that are followed, word for word, help."""

import json
import re

import pytest
import tiny_models

from hf_optical.configuration.parsing import parse
from hf_optical.errors import InputError
from hf_optical.runs.evaluation_panels import EvaluationPanels
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_data import read_training_data


@pytest.fixture
def flags(tmp_path):
    rows = [f"{row['source']}\t{row['translation']}" for row in tiny_models.bitext(30)]
    (tmp_path / "sw.tsv").write_text("\n".join(["en\tsw", *rows, "the dog sleeps\t"]) + "\n")
    folder = tmp_path / "eval"
    folder.mkdir()
    for name, field in (("corpus.en", "d"), ("queries.sw", "q")):
        texts = [json.dumps({"id": f"{field}{i}", "text": text}) for i, text in enumerate(("goat house", "dog river"))]
        (folder / f"{name}.jsonl").write_text("\n".join(texts) + "\n")
    (folder / "qrels.sw.trec").write_text("q0 0 d0 1\n")
    return ["--teacher", "t", "--language", "sw", "--bitext", str(tmp_path / "sw.tsv"), "--eval", str(folder)]


def remedy(read, flags):
    """The option that the error of a reader names."""
    with pytest.raises(InputError) as stop:
        read(parse(TrainConfig, flags))
    return re.search(r"--on_\w+ \w+", stop.value.remedy)[0].split()


def test_bad_rows_are_left_out_as_the_remedy_says(flags):
    option = remedy(read_training_data, flags)
    data = read_training_data(parse(TrainConfig, [*flags, *option]))
    assert data.report.skipped == 1
    assert data.report.bad_rows[0].row == 32
    assert "1 bad rows left out" in " ".join(data.notes)


def test_queries_that_nobody_judged_are_left_out_as_the_remedy_says(flags):
    def read(config):
        return EvaluationPanels(config, ["swh_Latn"])

    option = remedy(read, flags)
    (item,) = read(parse(TrainConfig, [*flags, *option])).sets
    assert list(item.queries) == ["q0"]
