"""Plain Hub ids in BEIR's layout, from a local copy, and MTEB tasks by name, with MTEB's own mock tasks."""

from __future__ import annotations

import importlib
import sys

import pytest

from hf_optical.data.benchmarks import retrieval_folder
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.errors import InputError

CONFIGS = """---
configs:
- config_name: default
  data_files:
  - split: dev
    path: qrels/dev.jsonl
  - split: test
    path: qrels/test.jsonl
- config_name: corpus
  data_files:
  - split: corpus
    path: corpus.jsonl
- config_name: queries
  data_files:
  - split: queries
    path: queries.jsonl
---
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_OPTICAL_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / "copy"
    (folder / "qrels").mkdir(parents=True)
    (folder / "README.md").write_text(CONFIGS)
    (folder / "corpus.jsonl").write_text('{"_id": "1", "title": "Nile", "text": "a river"}\n')
    (folder / "queries.jsonl").write_text('{"_id": "a", "text": "mto"}\n{"_id": "b", "text": "dev"}\n')
    for split, query in (("test", "a"), ("dev", "b")):
        (folder / "qrels" / f"{split}.jsonl").write_text(f'{{"query-id": "{query}", "corpus-id": "1", "score": 1}}\n')
    return folder


def test_a_hub_set_in_the_layout_of_beir(copy):
    found = read_retrieval_set(f"owner/name:sw-en@{copy}", "sw")
    assert (found.queries, found.corpus) == ({"a": "mto"}, {"1": "a river"})
    assert read_retrieval_set(f"owner/name:sw-en@{copy}", "sw", use_titles=True).corpus == {"1": "Nile a river"}
    assert found.qrels == {"a": {"1": 1}}
    assert read_retrieval_set(f"owner/name:sw-en:dev@{copy}", "sw").queries == {"b": "dev"}


def test_a_copy_that_changes_is_read_anew(copy):
    first = read_retrieval_set(f"owner/name:sw-en@{copy}", "sw")
    (copy / "corpus.jsonl").write_text('{"_id": "1", "title": "", "text": "another"}\n')
    assert read_retrieval_set(f"owner/name:sw-en@{copy}", "sw").corpus == {"1": "another"} != first.corpus


def test_a_hub_set_of_another_layout(copy):
    (copy / "README.md").write_text(CONFIGS.replace("config_name: queries", "config_name: questions"))
    with pytest.raises(InputError, match=r"owner/name: there is no configuration queries \(found "):
        retrieval_folder(f"owner/name:sw@{copy}")
    (copy / "README.md").write_text(CONFIGS)
    for split in ("test", "dev"):
        (copy / "qrels" / f"{split}.jsonl").write_text('{"q": "a", "d": "1"}\n')
    with pytest.raises(InputError, match="judgements have the columns q, d"):
        retrieval_folder(f"owner/name:sw@{copy}")


@pytest.fixture
def tasks(monkeypatch):
    pytest.importorskip("mteb", reason="needs the extra mteb")
    from mteb.mocks.mock_tasks import retrieval

    registry = importlib.import_module("mteb.get_tasks")._TASKS_REGISTRY  # a function hides the module's name
    for name in ("MockRetrievalTask", "MockMultilingualRetrievalTask"):
        monkeypatch.setitem(registry, name, getattr(retrieval, name))
    return retrieval


def test_a_task_by_name(tasks):
    found = read_retrieval_set("mteb:MockRetrievalTask", "en", "en")
    task = tasks.MockRetrievalTask()
    task.load_data()
    task.convert_v1_dataset_format_to_v2(num_proc=None)
    data = task.dataset["default"][task.eval_splits[0]]
    assert found.queries == dict(zip(data["queries"]["id"], data["queries"]["text"], strict=True))
    assert found.qrels == {query: dict(judged) for query, judged in data["relevant_docs"].items()}
    assert set(found.corpus) == set(data["corpus"]["id"])
    for identifier, text in zip(data["corpus"]["id"], data["corpus"]["text"], strict=True):
        assert found.corpus[identifier].endswith(text)


def test_a_subset_of_a_task(tasks):
    with pytest.raises(InputError, match=r"has several subsets: eng, fra.*mteb:MockMultilingualRetrievalTask:SUBSET"):
        retrieval_folder("mteb:MockMultilingualRetrievalTask")
    found = read_retrieval_set("mteb:MockMultilingualRetrievalTask:fra", "fr", "fr")
    assert found.queries


def test_tasks_that_cannot_be_read(tasks, monkeypatch):
    with pytest.raises(InputError, match="NFCorpus"):
        retrieval_folder("mteb:NFCorpsu")
    with pytest.raises(InputError, match="name a retrieval task"):
        retrieval_folder("mteb:Banking77Classification")
    with pytest.raises(InputError, match=r"mteb:NFCorpus: the data of NFCorpus .* cannot be reached"):
        retrieval_folder("mteb:NFCorpus")
    with pytest.raises(InputError, match=r"is that of the queries.*mteb:XPQARetrieval:eng-fra:QUERIES-"):
        retrieval_folder("mteb:XPQARetrieval:eng-fra")
    with pytest.raises(InputError, match="name of an MTEB task is missing"):
        retrieval_folder("mteb")
    monkeypatch.setitem(tasks.MockRetrievalTask.metadata.dataset, "trust_remote_code", True)
    with pytest.raises(InputError, match="code from the Hub, which is never run"):
        retrieval_folder("mteb:MockRetrievalTask")


def test_languages_of_a_pair_of_which_the_first_is_the_documents(tasks):
    from hf_optical.data.benchmarks.mteb_task import _languages, _subset, _task

    task = _task("BelebeleRetrieval")
    subset = _subset(task, "eng_Latn-swh_Latn")
    assert _languages(task, "BelebeleRetrieval", subset, "") == ("swh_Latn", "eng_Latn")


def test_without_mteb(monkeypatch):
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(InputError, match=r"mteb is not installed.*pip install 'mteb>="):
        retrieval_folder("mteb:NFCorpus")
