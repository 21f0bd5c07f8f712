"""Rows of an index as people keep them: a folder, a Parquet file, a Qdrant collection."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hf_optical.data.bitext import read_bitext
from hf_optical.data.vector_rows import VectorRows
from hf_optical.errors import InputError, NonFiniteError

TEXTS = [f"document {number}" for number in range(2_500)]
VECTORS = np.random.default_rng(0).normal(size=(2_500, 3)).astype(np.float32)


def joined(rows):
    blocks = list(rows)
    assert max(len(texts) for texts, _ in blocks) <= 1_024
    return [text for texts, _ in blocks for text in texts], np.concatenate([vectors for _, vectors in blocks])


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "vectors.npy", VECTORS)
    lines = (json.dumps({"id": str(number), "text": text}) for number, text in enumerate(TEXTS))
    (tmp_path / "documents.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def parquet(path, texts, vectors, names=("passage", "embedding")):
    pq.write_table(pa.table({names[0]: texts, names[1]: [None if v is None else list(v) for v in vectors]}), path)
    return str(path)


def test_a_folder_is_read_in_blocks_and_again(folder):
    rows = VectorRows(str(folder))
    for _ in range(2):
        texts, vectors = joined(rows)
        assert texts == TEXTS
        np.testing.assert_array_equal(vectors, VECTORS)


def test_parquet_whose_columns_are_guessed(tmp_path):
    texts, vectors = joined(VectorRows(parquet(tmp_path / "index.parquet", TEXTS, VECTORS)))
    assert texts == TEXTS
    np.testing.assert_allclose(vectors, VECTORS)


def test_qdrant_collection(tmp_path):
    qdrant = pytest.importorskip("qdrant_client")
    client = qdrant.QdrantClient(path=str(tmp_path / "index"))
    size = qdrant.models.VectorParams(size=3, distance=qdrant.models.Distance.DOT)
    client.create_collection("docs", vectors_config=size)
    client.upsert(
        "docs",
        [
            qdrant.models.PointStruct(id=number, vector=VECTORS[number].tolist(), payload={"text": TEXTS[number]})
            for number in range(30)
        ],
    )
    client.close()
    texts, vectors = joined(VectorRows(f"{tmp_path / 'index'}#docs"))
    assert sorted(texts) == sorted(TEXTS[:30])
    np.testing.assert_allclose(vectors[texts.index("document 7")], VECTORS[7], rtol=1e-6)
    with pytest.raises(InputError, match="no collection 'other'"):
        list(VectorRows(f"{tmp_path / 'index'}#other"))


def test_faults_are_named(folder, tmp_path):
    np.save(folder / "vectors.npy", VECTORS[:-1])
    with pytest.raises(InputError, match="2500 texts and 2499 vectors"):
        list(VectorRows(str(folder)))
    broken = VECTORS[:20].copy()
    broken[11, 1] = np.inf
    with pytest.raises(NonFiniteError, match="row 12"):
        list(VectorRows(parquet(tmp_path / "inf.parquet", TEXTS[:20], broken)))
    with pytest.raises(InputError, match=r"row 3, field 'embedding'"):
        list(VectorRows(parquet(tmp_path / "short.parquet", TEXTS[:4], [*VECTORS[:2], VECTORS[2][:2], VECTORS[3]])))
    for missing in (0, 2):
        vectors = [None if row == missing else VECTORS[row] for row in range(4)]
        with pytest.raises(InputError, match=rf"row {missing + 1}, field 'embedding': the vector is missing"):
            list(VectorRows(parquet(tmp_path / "missing.parquet", TEXTS[:4], vectors)))
    with pytest.raises(InputError, match=r"row 2.*text"):
        list(VectorRows(parquet(tmp_path / "empty.parquet", ["a", " "], VECTORS[:2])))
    with pytest.raises(InputError, match=r"any of vector.*it has passage, numbers"):
        list(VectorRows(parquet(tmp_path / "other.parquet", TEXTS[:2], VECTORS[:2], ("passage", "numbers"))))
    with pytest.raises(InputError, match="no such index"):
        VectorRows(str(tmp_path / "nothing"))


def test_a_column_name_that_is_no_text_is_damage(tmp_path):
    for read, row in (
        (lambda path: list(VectorRows(str(path))), {"texte": "a", "vector": [1.0, 0.0]}),
        (lambda path: read_bitext(path, language="sw"), {"texte": "a", "sw": "b"}),
    ):
        path = tmp_path / "spoilt.parquet"
        pq.write_table(pa.Table.from_pylist([row]), path, store_schema=False)
        path.write_bytes(path.read_bytes().replace(b"texte", b"\xd0exte"))
        with pytest.raises(InputError, match="not a readable Parquet file"):
            read(path)
