"""Index in Qdrant, for dense vectors and late interaction: a folder on this machine, or a server by its URL."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hf_optical.encoders.encoding import Vectors
from hf_optical.errors import HFOpticalError, InputError, pip_install
from hf_optical.places import held
from hf_optical.search.hit import Hit
from hf_optical.search.index import DocumentIndex

_NAMESPACE = uuid.UUID("6f1d1f6a-6d0f-5a53-9b0e-6d1a0d9f4a57")
_POINTS = 256  # points per request
_SCROLLED = 1_000  # points per request that reads texts only
_NUMBERS = 1_000_000  # numbers of token vectors per request, which keeps it below the servers' limit of 32 MB


class QdrantIndex(DocumentIndex):
    """Index of documents in a Qdrant collection (extra ``index``).

    The id of a point is computed from the document's id, and the point stores a digest of the document's content. An
    upload that was killed can thus be repeated and sends only what is missing, and a changed text replaces the old one.

    Token vectors are compared by MaxSim, the only score that Qdrant offers for them. For other scores, rerank the
    results with :class:`~hf_optical.search.reranking.TokenReranker`.

    The local mode is meant for experiments: it writes every point to disk separately, loads all points when the folder
    is opened, searches by brute force in one process, and warns above 20,000 documents. qdrant-client pickles its
    files, so open only folders of your own.

    Args:
        documents: As in :class:`~hf_optical.search.index.DocumentIndex`.
        queries: As in :class:`~hf_optical.search.index.DocumentIndex`.
        location: A folder (Qdrant's embedded local mode: exact, one process at a time), ``":memory:"``, or the
            ``http(s)://`` URL of a server or cluster, whose key is read from ``QDRANT_API_KEY``.
        collection: Name of the collection, which is created if it does not exist.
        exact: Whether to compare every document. ``False`` lets a server use its HNSW graph, which is faster and may
            miss documents.
        options: ``interaction`` and ``batch_size``, as in :class:`~hf_optical.search.index.DocumentIndex`.

    Raises:
        InputError: qdrant-client is not installed, the folder is in use, or the collection is of another kind.
        HFOpticalError: The server cannot be reached, or refuses the request.
    """

    def __init__(
        self,
        documents: Any = None,
        queries: Any = None,
        *,
        location: str | Path = ":memory:",
        collection: str = "documents",
        exact: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(documents, queries, **options)
        try:
            import qdrant_client
        except ImportError as error:
            raise InputError("qdrant-client is not installed", pip_install("index")) from error
        self._models = qdrant_client.models
        self.collection, self.exact, self.location = collection, exact, str(location)
        self._is_server = self.location.startswith(("http://", "https://"))
        self._holding = ExitStack()
        self.client: Any = self._connect(qdrant_client.QdrantClient)
        with self._errors():
            self._width = self._existing_width()

    def close(self) -> None:
        """Close the connection, or release the folder."""
        self.client.close()
        self._holding.close()

    def __enter__(self) -> QdrantIndex:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def query_vectors(self, vectors: Vectors, *, top_k: int = 10) -> list[list[Hit]]:
        """See :meth:`~hf_optical.search.index.DocumentIndex.query_vectors`."""
        if self._width is None:
            return [[] for _ in range(len(vectors))]
        models = self._models
        rows = [np.asarray(vector, dtype=np.float32) for vector in vectors]
        self._check_width(rows, "queries")
        requests = [
            models.QueryRequest(
                query=row.tolist(),
                limit=top_k,
                # The embedded mode is always exact, and warns if this is requested.
                params=models.SearchParams(exact=self.exact) if self._is_server else None,
                with_payload=["id"],
            )
            for row in rows
        ]
        found: list[list[Hit]] = []
        with self._errors():
            for start in range(0, len(requests), _POINTS):
                batch = requests[start : start + _POINTS]
                for answer in self.client.query_batch_points(self.collection, requests=batch):
                    found.append([Hit(point.payload["id"], float(point.score)) for point in answer.points])
        return found

    def texts(self, ids: Sequence[str] | None = None) -> dict[str, str | None]:
        """See :meth:`~hf_optical.search.index.DocumentIndex.texts`; older versions stored no texts (``None``)."""
        if self._width is None:
            return {}
        fields = ["id", "text"]
        points: Iterable[Any]
        if ids is None:
            points = self._scrolled(fields)
        else:
            with self._errors():
                points = self.client.retrieve(
                    self.collection, ids=[_point_id(name) for name in ids], with_payload=fields, with_vectors=False
                )
        return {point.payload["id"]: point.payload.get("text") for point in points}

    def ids(self) -> list[str]:
        """See :meth:`~hf_optical.search.index.DocumentIndex.ids`."""
        return [point.payload["id"] for point in self._scrolled(["id"])]

    def _scrolled(self, fields: list[str]) -> Iterator[Any]:
        """Yield all points with the given fields and without vectors."""
        place: Any = None
        while self._width is not None:
            with self._errors():
                points, place = self.client.scroll(
                    self.collection, limit=_SCROLLED, offset=place, with_payload=fields, with_vectors=False
                )
            yield from points
            if place is None:
                return

    def __len__(self) -> int:
        if self._width is None:
            return 0
        with self._errors():
            return int(self.client.count(self.collection, exact=True).count)

    def _digests(self, ids: Sequence[str]) -> list[str | None]:
        if self._width is None:
            return [None] * len(ids)
        with self._errors():
            points = self.client.retrieve(
                self.collection, ids=[_point_id(name) for name in ids], with_payload=["digest"], with_vectors=False
            )
        stored = {str(point.id): point.payload["digest"] for point in points}
        return [stored.get(_point_id(name)) for name in ids]

    def _store(
        self,
        ids: Sequence[str],
        digests: Sequence[str],
        vectors: Sequence[np.ndarray],
        texts: Sequence[str | None],
    ) -> None:
        with self._errors():
            if self._width is None:
                self._create(int(vectors[0].shape[-1]))
        self._check_width(vectors, "documents")
        models = self._models
        for rows in _requests(vectors):
            points = [
                models.PointStruct(
                    id=_point_id(ids[row]),
                    vector=vectors[row].tolist(),
                    payload={"id": ids[row], "digest": digests[row], "text": texts[row]},
                )
                for row in rows
            ]
            with self._errors():
                self.client.upsert(self.collection, points=points, wait=True)

    def _remove(self, ids: Sequence[str]) -> None:
        points = self._models.PointIdsList(points=[_point_id(name) for name in ids])
        with self._errors():
            self.client.delete(self.collection, points_selector=points, wait=True)

    def _create(self, width: int) -> None:
        """Create the collection for vectors of this width."""
        models = self._models
        late = self.interaction == "maxsim"
        # MaxSim compares token vectors by inner product: encoders that mean cosine have normalised them.
        parameters = models.VectorParams(
            size=width,
            distance=models.Distance.DOT if self.similarity == "dot" else models.Distance.COSINE,
            multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
            if late
            else None,
            hnsw_config=models.HnswConfigDiff(m=0) if late else None,
        )
        self.client.create_collection(self.collection, vectors_config=parameters)
        self._width = width

    def _existing_width(self) -> int | None:
        """Return the width of the vectors in the collection, or ``None`` if there is no collection yet."""
        if not self.client.collection_exists(self.collection):
            return None
        parameters = self.client.get_collection(self.collection).config.params.vectors
        late = getattr(parameters, "multivector_config", None) is not None
        if not hasattr(parameters, "size") or late != (self.interaction == "maxsim"):
            raise InputError(
                f"the collection {self.collection!r} holds vectors of another kind",
                "choose another collection, or encoders of its kind",
                path=self.location,
            )
        return int(parameters.size)

    def _check_width(self, vectors: Sequence[np.ndarray], what: str) -> None:
        for number, vector in enumerate(vectors, start=1):
            if vector.shape[-1] != self._width:
                raise InputError(
                    f"found {what} of {vector.shape[-1]} numbers in a collection of {self._width}",
                    "encode all with models of one space",
                    row=number,
                )

    def _connect(self, client: Any) -> Any:
        """Open the location with a client of this class, and lock it if it is a folder."""
        with self._errors():
            if self._is_server:
                return client(url=self.location, api_key=os.environ.get("QDRANT_API_KEY"), timeout=60)
            if self.location == ":memory:":
                return client(":memory:")
            try:
                # Qdrant locks the folder too, but its error does not name the process that holds it.
                self._holding.enter_context(held(self.location, "location"))
                return client(path=self.location)
            except InputError as error:
                problem = f"the folder is open in another process or index: it {error.problem}"
                raise InputError(problem, error.remedy, path=self.location) from None
            except RuntimeError as error:
                raise InputError(
                    "the folder is open in another process or index",
                    "close it there; several processes need a server",
                    path=self.location,
                ) from error

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of Qdrant's client into errors with a remedy."""
        from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

        try:
            yield
        except UnexpectedResponse as error:
            remedy = "set QDRANT_API_KEY" if error.status_code in (401, 403) else "see the server's log"
            raise HFOpticalError(
                f"{self.location}: Qdrant refused the request ({error.status_code} {error.reason_phrase}). "
                f"Remedy: {remedy}."
            ) from error
        except (ApiException, ConnectionError, TimeoutError) as error:
            raise HFOpticalError(
                f"{self.location}: Qdrant cannot be reached ({error}). Remedy: start it or check the URL, and run the "
                "command again; documents that are stored are not sent twice."
            ) from error


def _point_id(document: str) -> str:
    """Return the id of a document's point, a UUID computed from the document's id.

    Example:
        >>> _point_id("a") == _point_id("a") != _point_id("b")
        True
    """
    return str(uuid.uuid5(_NAMESPACE, document))


def _requests(vectors: Sequence[np.ndarray]) -> Iterator[list[int]]:
    """Group rows into requests of limited numbers of points and of numbers."""
    batch: list[int] = []
    size = 0
    for row, vector in enumerate(vectors):
        if batch and (len(batch) == _POINTS or size + vector.size > _NUMBERS):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += vector.size
    if batch:
        yield batch
