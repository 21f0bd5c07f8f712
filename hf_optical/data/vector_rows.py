"""Reader of the texts and vectors of an index, streamed from a folder, a Parquet file or a Qdrant collection."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_optical.data.columnar import damage_reported
from hf_optical.data.tables import Fault, read_records, renamed
from hf_optical.data.texts import text_fault
from hf_optical.errors import InputError, NonFiniteError, pip_install

VECTORS_FILE = "vectors.npy"
TEXT_NAMES = ("text", "passage", "content", "document", "chunk", "page_content", "body")
VECTOR_NAMES = ("vector", "embedding", "embeddings", "emb", "vectors")
_BLOCK = 1_024

Block = tuple[list[Any], np.ndarray]


class VectorRows:
    """Iterable over the rows of an index in blocks of up to 1,024, which are read anew in every iteration.

    Args:
        source: One of

            - a folder with ``vectors.npy`` of shape ``(n, d)``, and the n texts in the same order in one JSONL, TSV,
              CSV (also with ``.gz``) or Parquet file with a column of text;
            - a Parquet file with a column of text and one of vectors;
            - ``LOCATION#COLLECTION``: a Qdrant collection (extra ``index``), where the location is the URL of a server
              or the folder of the local mode. The points must have their text in the payload. An API key is read from
              the environment variable ``QDRANT_API_KEY``.
        text_field: Column or payload field of the text. By default the first usual name that exists (``text``,
            ``passage``...).
        vector_field: Column of the vector, by default the first usual name that exists (``vector``, ``embedding``...);
            or name of a Qdrant vector, by default the only one.

    Raises:
        InputError: There is no such index. Raised while reading: a column is missing, there are not as many texts as
            vectors, a row has no text, or vectors differ in width; the message names the row.
        NonFiniteError: Raised while reading: a vector is not finite.

    Example:
        ::

            for texts, vectors in VectorRows("index.parquet"):
                ...  # 1,024 strings and an array (1024, d)
    """

    def __init__(self, source: str, *, text_field: str | None = None, vector_field: str | None = None) -> None:
        self.source, self._text, self._vector = source, text_field, vector_field
        location, mark, collection = source.rpartition("#")
        path = Path(source)
        if mark and not path.exists():
            self._read: Any = lambda: self._qdrant(location, collection)
        elif path.is_dir():
            self._read = lambda: self._folder(path)
        elif path.is_file():
            self._read = lambda: self._parquet(path)
        else:
            raise InputError(
                "there is no such index",
                f"give a folder with {VECTORS_FILE} and the texts, a Parquet file, or LOCATION#COLLECTION of Qdrant",
                path=source,
            )

    def __iter__(self) -> Iterator[Block]:
        row, width = 0, None
        for texts, vectors in self._read():
            width = vectors.shape[1] if width is None else width
            self._check(texts, vectors, row, width)
            row += len(texts)
            yield texts, vectors
        if not row:
            raise InputError("the index is empty", "give an index with at least one document", path=self.source)

    def _check(self, texts: Sequence[Any], vectors: np.ndarray, before: int, width: int) -> None:
        for number, text in enumerate(texts, start=before + 1):
            if fault := text_fault(text):
                raise InputError(
                    fault, "fill it, or remove the row", path=self.source, row=number, field=self._text or "text"
                )
        if vectors.shape[1] != width:
            raise InputError(
                f"the vector has {vectors.shape[1]} numbers, but the first one had {width}",
                "give the vectors of one model",
                path=self.source,
                row=before + 1,
            )
        bad = ~np.isfinite(vectors).all(axis=1)
        if bad.any():
            raise NonFiniteError(
                f"{self.source}, row {before + 1 + int(bad.argmax())}: the vector is not finite (NaN or infinity). "
                "Remedy: encode the row again, or remove it."
            )

    def _folder(self, folder: Path) -> Iterator[Block]:
        file = folder / VECTORS_FILE
        if not file.is_file():
            raise InputError(
                f"there is no {VECTORS_FILE}", "save the vectors there, with shape (documents, width)", path=folder
            )
        tables = [path for path in sorted(folder.iterdir()) if _is_table(path)]
        if len(tables) != 1:
            raise InputError(
                f"found {len(tables)} tables of texts beside {VECTORS_FILE}",
                "put one table there, with the texts in the order of the vectors",
                path=folder,
            )
        vectors = np.load(file, mmap_mode="r")
        if vectors.ndim != 2:
            raise InputError(
                f"the array has the shape {vectors.shape}", "give an array of shape (documents, width)", path=file
            )
        start, texts = 0, []
        records = read_records(tables[0])
        column = _column(list(records.columns), self._text, TEXT_NAMES, tables[0])
        for number, row in renamed(records.rows, records.columns) if records.first is not None else records.rows:
            if isinstance(row, Fault):
                raise InputError(row.problem, "correct the row", path=tables[0], row=number, field=row.field)
            texts.append(row.get(column))
            if len(texts) == _BLOCK:
                yield self._paired(texts, vectors, start)
                start, texts = start + len(texts), []
        if texts:
            yield self._paired(texts, vectors, start)
        if start + len(texts) != len(vectors):
            raise InputError(
                f"there are {start + len(texts)} texts and {len(vectors)} vectors",
                "give one vector for each text, in the same order",
                path=folder,
            )

    @staticmethod
    def _paired(texts: list[Any], vectors: np.ndarray, start: int) -> Block:
        found = np.asarray(vectors[start : start + len(texts)], dtype=np.float32)
        return texts[: len(found)], found

    def _parquet(self, path: Path) -> Iterator[Block]:
        import pyarrow.parquet as pq

        with damage_reported(path, "Parquet file"):
            table = pq.ParquetFile(path)
            names = table.schema_arrow.names
            text = _column(names, self._text, TEXT_NAMES, path)
            vector = _column(names, self._vector, VECTOR_NAMES, path)
            row = 0
            for batch in table.iter_batches(batch_size=_BLOCK, columns=[text, vector]):
                texts, lists = batch.column(text).to_pylist(), batch.column(vector).to_pylist()
                widths = [None if one is None else len(one) for one in lists]
                wrong = next((at for at, width in enumerate(widths) if width is None or width != widths[0]), None)
                if wrong is not None:
                    problem = f"the vector has {widths[wrong]} numbers, but the first one of its block {widths[0]}"
                    raise InputError(
                        "the vector is missing" if widths[wrong] is None else problem,
                        "give every row a vector of the same width",
                        path=path,
                        row=row + wrong + 1,
                        field=vector,
                    )
                row += len(texts)
                yield texts, np.asarray(lists, dtype=np.float32)

    def _qdrant(self, location: str, collection: str) -> Iterator[Block]:
        try:
            from qdrant_client import QdrantClient
        except ImportError as error:
            raise InputError("qdrant-client is not installed", pip_install("index")) from error
        server = location.startswith(("http://", "https://"))
        if not server and not Path(location).is_dir():
            raise InputError("there is no such folder", "give the URL or folder of a Qdrant index", path=location)
        key: dict[str, Any] = {"api_key": os.environ.get("QDRANT_API_KEY")} if server else {}
        client: Any = QdrantClient(url=location, **key) if server else QdrantClient(path=location)
        try:
            if not client.collection_exists(collection):
                raise InputError(f"has no collection {collection!r}", "name one that it has", path=location)
            offset: Any = None
            while True:
                points, offset = client.scroll(
                    collection, limit=_BLOCK, offset=offset, with_payload=True, with_vectors=True
                )
                if points:
                    payloads = [point.payload or {} for point in points]
                    text = _column(list(payloads[0]), self._text, TEXT_NAMES, location)
                    vectors = [self._of_point(point.vector, collection) for point in points]
                    yield [payload.get(text) for payload in payloads], np.asarray(vectors, dtype=np.float32)
                if offset is None:
                    return
        finally:
            client.close()

    def _of_point(self, vector: Any, collection: str) -> Any:
        if not isinstance(vector, dict):
            return vector
        name = self._vector or (next(iter(vector)) if len(vector) == 1 else None)
        if name not in vector:
            raise InputError(
                f"the collection {collection!r} has the vectors {', '.join(vector)}", "name one of them",
                path=self.source, field="vector_field",
            )  # fmt: skip
        return vector[name]


def _is_table(path: Path) -> bool:
    name = path.name.removesuffix(".gz")
    return path.is_file() and name.endswith((".jsonl", ".tsv", ".csv", ".parquet"))


def _column(names: Sequence[str], given: str | None, usual: Sequence[str], source: Any) -> str:
    """Return the column that the user names, or else the first column with a usual name."""
    found = given if given is not None else next((name for name in usual if name in names), None)
    if found is None or found not in names:
        wanted = repr(given) if given is not None else f"any of {', '.join(usual)}"
        raise InputError(
            f"has no column {wanted}; it has {', '.join(names)}", "name the column", path=source, field=given
        )
    return found
