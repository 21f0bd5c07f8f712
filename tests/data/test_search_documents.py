"""Documents of a search: titles are read on demand, and their absence is announced."""

from __future__ import annotations

import json

import pytest

from hf_optical.data.search_documents import read_search_documents


@pytest.mark.parametrize("titles", [False, True])
def test_a_search_says_that_titles_are_not_read(tmp_path, caplog, titles):
    rows = [{"id": "a", "title": "Lake", "text": "It is deep."}, {"id": "b", "text": "Rain."}]
    file = tmp_path / "documents.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_search_documents(file, titles=titles)
    assert found == {"a": "Lake It is deep." if titles else "It is deep.", "b": "Rain."}
    assert ("1 of 2 documents have a title, which is not read" in caplog.text) is not titles
