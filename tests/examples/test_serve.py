"""The example of serving, asked over HTTP."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import tiny_models

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'hf-optical[serve]'")
APP = Path(__file__).parents[2] / "examples" / "serve" / "app.py"


def test_a_question_is_answered_over_http(tmp_path, monkeypatch):
    from fastapi.testclient import TestClient

    tiny_models.dense(tmp_path).save_pretrained(str(tmp_path / "teacher"))
    tiny_models.dense(tmp_path, seed=1).save_pretrained(str(tmp_path / "student"))
    documents = {"a": "the goat sleeps", "b": "a child runs", "c": "the big river"}
    lines = [json.dumps({"id": name, "text": text}) for name, text in documents.items()]
    (tmp_path / "documents.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("TEACHER", str(tmp_path / "teacher"))
    monkeypatch.setenv("MODEL", str(tmp_path / "student"))
    monkeypatch.setenv("DOCUMENTS", str(tmp_path / "documents.jsonl"))
    spec = importlib.util.spec_from_file_location("serve_app", APP)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with TestClient(module.app) as client:
        answer = client.post("/search", json={"question": "a child runs", "top_k": 2, "hybrid": True})
        assert answer.status_code == 200
        found = answer.json()
        assert len(found) == 2 and found[0]["id"] == "b" and found[0]["text"] == "a child runs"
        assert found[0]["score"] > found[1]["score"] > 0
        assert client.post("/search", json={"question": ""}).status_code == 422
        assert client.post("/search", json={"question": "a", "top_k": 0}).status_code == 422


def test_it_is_short_enough_to_be_read():
    code = APP.read_text(encoding="utf-8").split('"""', 2)[2]
    assert len([line for line in code.splitlines() if line.strip()]) <= 32
