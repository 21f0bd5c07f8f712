"""The card: one whole card, what it leaves out, and what the Hub's own metadata checker says."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from hf_optical.data.fingerprint import file_fingerprint
from hf_optical.data.licences import licence_counts
from hf_optical.errors import InputError
from hf_optical.evaluation.paired_statistics import bootstrap_interval
from hf_optical.publishing.card import Adapter, CardFacts, check_card, render_card
from hf_optical.publishing.provenance import (
    Teacher,
    data_provenance,
    find_teacher,
    non_commercial,
    teacher_folder,
    teacher_record,
)

EXPECTED = Path(__file__).with_name("expected_card.md")


def _scores(value: float) -> dict[str, float]:
    return {
        "ndcg@10": value,
        "mrr@10": value - 0.02,
        "recall@1": value - 0.1,
        "recall@10": value + 0.05,
        "map": value - 0.01,
    }


def _results() -> dict:
    return {
        "command": "recipes/train.py --config recipes/configs/swahili.yaml --bitext pairs.jsonl --eval news",
        "seed": 7,
        "versions": {"python": "3.11.7", "hf-optical": "0.1.0", "torch": "2.13.0", "peft": None},
        "data": [
            {"path": "pairs.jsonl", "rows": 1200, "sha256": "ab" * 32},
            {"path": "news", "rows": None, "sha256": "cd" * 32},
        ],
        "seconds": 59.7,
        "peak_memory_mb": 1479.1,
        "pairs": 1000,
        "precision": "float32",
        "processes": 1,
        "config": {
            "teacher": "sentence-transformers/all-MiniLM-L6-v2",
            "student": "extend",
            "language": "sw",
            "objective": "ot+nce",
            "max_steps": 1000,
            "max_pairs": 1000,
            "batch_size": 32,
            "learning_rate": 1e-4,
        },
        "evaluations": [
            {
                "set": "news",
                "language": "swh_Latn",
                "n": 4,
                "raw": _scores(0.25),
                "before": _scores(0.28),
                "aligned": None,
                "after": _scores(0.7),
                "ceiling": _scores(0.93),
                "english_before": _scores(0.9),
                "english_after": _scores(0.91),
                "tests": {
                    "after against raw": {"verdict": "ndcg@10 +0.450 [+0.400, +0.500], p = 0.0003, 4 queries; win."}
                },
            }
        ],
    }


def _facts(**changes) -> CardFacts:
    facts = {
        "repo_id": "someone/minilm-swahili",
        "results": _results(),
        "teacher": Teacher(
            "sentence-transformers/all-MiniLM-L6-v2", "c9745ed1d9f2", None, "sentence-transformers/all-MiniLM-L6-v2"
        ),
        "dimension": 384,
        "max_seq_length": 256,
        "vocabulary": 40_000,
        "licence": "apache-2.0",
        "per_query": {"news/swh_Latn": {"after": {str(i): {"ndcg@10": i / 4} for i in range(1, 5)}}},
        "evaluations": [
            {
                "evaluations": [
                    {
                        "set": "pool",
                        "language": "swh_Latn",
                        "document_language": "pooled",
                        "n": 10,
                        "scores": _scores(0.6),
                        "intervals": {"ndcg@10": [0.5, 0.7]},
                    }
                ],
                "bias": {
                    "pool": {
                        "rank_distance": 12.34,
                        "mean_rank_correlation": 0.5,
                        "worst_language": "som_Latn",
                        "worst_score": 0.41,
                    }
                },
            }
        ],
        "adapters": [Adapter("som_Latn", "adapters/som_Latn", 16, 590_000)],
        "data": [
            {
                **_results()["data"][0],
                "licences": {"CC-BY-4.0": 900, "CC-BY-NC-4.0": 300},
                "origin": {"bible": 900, "news": 300},
            },
            _results()["data"][1],
        ],
        "fertility": {"swh_Latn": {"value": 1.4321, "words": 12_000, "teacher": 2.5}},
        "limits": ["The pairs are mostly religious text."],
    }
    return CardFacts(**{**facts, **changes})


def test_one_whole_card():
    card = render_card(_facts())
    assert card == EXPECTED.read_text(encoding="utf-8")


def test_corrected_p_values_are_explained_once_above_the_tables():
    results = _results()
    (entry,) = results["evaluations"]
    entry["tests"]["after against raw"]["verdict"] = (
        "ndcg@10 +0.450 [+0.400, +0.500], p (Holm) = 0.0003, 4 queries; win."
    )
    card = render_card(_facts(results=results))
    assert card.count("p (Holm) is corrected for all tests") == 1
    assert card.index("p (Holm) is corrected") < card.index("p (Holm) = 0.0003")


def test_what_english_loses_is_a_limit_and_long_commands_are_folded():
    results = _results()
    results["command"] += " --output_dir outputs/a-long-name-of-a-folder"
    english = {**results["evaluations"][0], "set": "health", "language": "eng_Latn", "n": 516, "tests": {}}
    results["evaluations"].append({**english, "raw": _scores(0.767), "after": _scores(0.658)})
    card = render_card(_facts(results=results))
    assert "- English queries lose 0.109 nDCG@10 against the teacher (health, 516 queries): encode" in card
    assert "python recipes/train.py \\\n  --config recipes/configs/swahili.yaml \\\n  --bitext pairs.jsonl" in card
    results["evaluations"][-1]["after"] = _scores(0.767)
    assert "English queries lose" not in render_card(_facts(results=results))


def test_the_hub_reads_the_metadata():
    data = ModelCard(render_card(_facts())).data
    assert data.language == ["sw", "so", "en"]
    assert data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert data.library_name == "sentence-transformers"
    name, found = model_index_to_eval_results(data.to_dict()["model-index"])
    assert name == "minilm-swahili"
    by_set = {(each.dataset_type, each.metric_type): each.metric_value for each in found}
    assert by_set["news", "ndcg_at_10"] == 0.7
    assert by_set["news", "recall_at_10"] == 0.75
    assert by_set["pool", "map"] == 0.59
    assert len(found) == 8


def test_intervals_are_those_of_the_queries():
    low, high = bootstrap_interval([0.25, 0.5, 0.75, 1.0], resamples=2_000)
    assert f"[{low:.3f}, {high:.3f}]" in render_card(_facts())


def test_a_bare_run_has_a_card_too():
    results = {"config": {"teacher": "t", "language": "mr"}, "evaluations": [], "data": []}
    card = render_card(CardFacts("me/marathi", results, Teacher("t")))
    assert "Not measured." in card
    assert "model-index" not in card
    assert "Adapters" not in card and "load_adapter" not in card
    assert not re.search(r"\bnan\b|None|\binf\b", card)
    assert ModelCard(card).data.language == ["mr", "en"]


def test_late_interaction_is_said():
    card = render_card(_facts(kind="MultiVectorEncoder", dimension=128))
    assert "from sentence_transformers import MultiVectorEncoder" in card
    assert "one of 128 numbers per token" in card
    assert ModelCard(card).data.pipeline_tag == "feature-extraction"


def test_values_cannot_break_a_table():
    results = _results()
    results["data"][0]["path"] = "a|b\nc"
    card = render_card(_facts(results=results, data=results["data"]))
    assert "| a\\|b c | 1,200 |" in card


def test_scores_that_are_missing_or_not_finite_stay_out():
    results = copy.deepcopy(_results())
    results["evaluations"][0]["after"]["map"] = None
    results["evaluations"][0]["after"]["mrr@10"] = float("nan")
    found = model_index_to_eval_results(
        ModelCard(render_card(_facts(results=results, evaluations=[]))).data.to_dict()["model-index"]
    )
    assert {each.metric_type for each in found[1]} == {"ndcg_at_10", "recall_at_10"}


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("# no metadata", "no metadata"),
        ("---\nlanguage: sw\nmodel-index:\n- name: a\n---\n", "not valid"),
        ("---\nmodel-index:\n- name: a\n  results:\n  - task: {type: t}\n    dataset: {type: d, name: d}\n"
         "    metrics:\n    - {type: map, value: high}\n---\n", "'high'"),
    ],
)  # fmt: skip
def test_bad_metadata_is_refused(card, message):
    with pytest.raises(InputError, match=message):
        check_card(card)


def test_licences_and_origins_are_counted(tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    rows = [
        {"en": str(i), "sw": str(i), "license": "CC-BY-NC-4.0" if i % 3 == 0 else "CC0", "source": f"s{i % 2}"}
        for i in range(9)
    ]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = file_fingerprint(pairs)
    found = data_provenance([entry, {"path": "x", "sha256": "0"}], [pairs])
    assert found[0]["licences"] == {"CC0": 6, "CC-BY-NC-4.0": 3}
    assert found[0]["origin"] == {"s0": 5, "s1": 4}
    assert "licences" not in found[1]
    assert data_provenance(found, []) == found  # the run has counted them
    assert non_commercial(found) == "CC-BY-NC-4.0: 3 rows"
    pairs.write_text("".join(json.dumps({"source": f"sentence {i}", "translation": "x"}) + "\n" for i in range(200)))
    assert licence_counts(pairs) == {}  # sentences, not names of collections
    assert data_provenance([entry], [pairs]) == [entry]  # another file by now


def test_what_is_known_of_a_teacher(tmp_path):
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "config.json").write_text("{}")
    local = find_teacher(str(tmp_path / "t"))
    assert (local.id, local.hub_id, len(local.sha256)) == ("t", None, 64)
    assert "huggingface.co" not in local.label
    named = find_teacher(str(tmp_path / "t"), hub_id="a/b", revision="123")
    assert (named.id, named.hub_id, named.revision) == ("a/b", "a/b", "123")
    assert find_teacher("nobody/nothing-like-it").revision is None


@pytest.mark.parametrize("where", ["model", "models/english"])
def test_a_folder_stays_a_folder_wherever_it_is_published(tmp_path, monkeypatch, where):
    """Its last part, or its path from where the run was started, looks like an id of the Hub."""
    (tmp_path / "here" / where).mkdir(parents=True)
    (tmp_path / "here" / where / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path / "here")
    record = json.loads(json.dumps(teacher_record(where)))
    monkeypatch.chdir(tmp_path)
    found = find_teacher(where, record=record)
    assert found.hub_id is None and found.sha256 == record["sha256"]
    card = render_card(CardFacts("me/marathi", _results(), found))
    assert "huggingface.co/" + where not in card and "base_model" not in card
    assert 'SentenceTransformer("path/to/your/teacher")' in card  # "model" is the student's own folder too
    told = render_card(
        CardFacts(
            "me/marathi",
            {
                **_results(),
                "command": f"hf-optical train --teacher {where}",
                "config": {**_results()["config"], "teacher": where},
            },
            found,
        )
    )
    assert "hf-optical train --teacher path/to/your/teacher" in told
    named = find_teacher(where, record=record, hub_id="owner/english")
    assert "base_model: owner/english" in render_card(CardFacts("me/marathi", _results(), named))


def test_the_hub_id_of_the_packaged_teacher_is_known_by_its_files(english_teacher_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()  # another folder of that name, such as the student's
    record = teacher_record(str(english_teacher_path))
    found = find_teacher("model", record=record)
    assert found.place == found.hub_id == "sentence-transformers/all-MiniLM-L6-v2"
    assert teacher_folder("model", record["sha256"]).samefile(english_teacher_path)
    assert find_teacher("model", record={"folder": "model", "sha256": "0" * 64}).hub_id is None


def test_of_an_old_run_a_name_without_owner_is_a_folder():
    assert find_teacher("model").hub_id is None
    assert find_teacher("owner/model").hub_id == "owner/model"
