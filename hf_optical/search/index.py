"""Base of all indexes, which stores documents by a digest of their content, so that none is encoded or stored twice."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from hf_optical.data.texts import text_fault
from hf_optical.encoders.encoding import Encoder, Interaction, Vectors, encode_texts, resolve_interaction
from hf_optical.encoders.token_vectors import TokenVectors
from hf_optical.errors import InputError
from hf_optical.evaluation.document_cache import DocumentCache, fingerprint
from hf_optical.evaluation.retrieval import own_similarity
from hf_optical.evaluation.search import Similarity
from hf_optical.search.hit import Hit, SyncCounts
from hf_optical.search.hybrid import DEPTH, WordSearch, fuse
from hf_optical.search.queries import QueryEncoders

_CHUNK = 1_024  # documents that are looked up, encoded and stored together


class DocumentIndex(ABC):
    """Index of documents in one vector space.

    Args:
        documents: Encoder of the documents: the teacher, or the model that made the index. ``None`` if documents are
            added as vectors only.
        queries: Encoder of queries, or encoders by language as in :class:`~hf_optical.search.queries.QueryEncoders`.
            By default the document encoder.
        interaction: ``"dense"``, ``"maxsim"``, or ``None`` for that of the document encoder.
        batch_size: Texts per forward pass.
        cache: Cache of document vectors, such as :func:`~hf_optical.evaluation.default_cache.default_cache`, from which
            an empty index takes documents that the encoder has already encoded. ``None`` by default.

    Raises:
        InputError: There is no encoder, or documents and queries have different interactions.
    """

    def __init__(
        self,
        documents: Encoder | None = None,
        queries: Any = None,
        *,
        interaction: Interaction | None = None,
        batch_size: int = 32,
        cache: DocumentCache | None = None,
    ) -> None:
        if documents is None and queries is None:
            raise InputError("there is no encoder", "give the encoder of the documents, or of the queries, or both")
        self.documents, self.batch_size = documents, batch_size
        if documents is not None:
            interaction = resolve_interaction(documents, interaction)
        if isinstance(queries, QueryEncoders):
            self.queries = queries
        else:
            chosen = documents if queries is None else queries
            self.queries = QueryEncoders(chosen, interaction=interaction, batch_size=batch_size)
        self.interaction: Interaction = self.queries.interaction
        if documents is not None and interaction != self.interaction:
            raise InputError(
                f"documents are compared by {interaction} and queries by {self.interaction}",
                "use encoders of one kind",
            )
        encoder = documents if documents is not None else self.queries.any_encoder()
        # Token vectors are compared by inner product: encoders that mean cosine have normalised them.
        self.similarity: Similarity = own_similarity(encoder) if self.interaction == "dense" else "dot"
        self._cache = cache
        self._space: str | None = None
        self._words: WordSearch | None = None  # built by the first hybrid search, and again after a change

    def add(
        self,
        ids: Sequence[str],
        texts: Sequence[str] | None = None,
        *,
        vectors: np.ndarray | Sequence[np.ndarray] | TokenVectors | None = None,
        show_progress: bool = False,
    ) -> int:
        """Add documents as texts or as vectors; documents that are stored with the same content are skipped.

        A document whose content has changed is replaced. After an interruption, the same call continues where it
        stopped.

        Args:
            ids: Ids of the documents, all different.
            texts: Texts of the documents.
            vectors: In place of texts: ``(n, dimension)``, or for MaxSim one ``(tokens, dimension)`` array each.
            show_progress: Whether to show a progress bar.

        Returns:
            Number of documents that were new or changed.

        Raises:
            InputError: An id occurs twice, a text is empty (the message names its number), vectors have another width,
                or both or neither of texts and vectors are given.
        """
        given = texts if texts is not None else vectors
        if given is None or (texts is not None and vectors is not None):
            raise InputError("give either texts or vectors", "pass one of them")
        self._check(ids, texts, given)
        known = vectors if texts is None else self._cached(texts, show_progress)
        added = 0
        with tqdm(total=len(ids), desc="Indexing", unit="documents", disable=not show_progress) as bar:
            for start in range(0, len(ids), _CHUNK):
                rows = range(start, min(start + _CHUNK, len(ids)))
                added += self._add_chunk(
                    [str(ids[row]) for row in rows],
                    None if texts is None else [texts[row] for row in rows],
                    None if known is None else [known[row] for row in rows],
                )
                bar.update(len(rows))
        return added

    def query(
        self,
        texts: Sequence[str],
        *,
        languages: str | Sequence[str | None] | None = None,
        top_k: int = 10,
        hybrid: bool = False,
    ) -> list[list[Hit]]:
        """Find the best documents of every query.

        Args:
            texts: The queries.
            languages: Their language code, or one code per query, which selects the encoder.
            top_k: Number of documents to return; fewer are returned if the index has fewer.
            hybrid: Whether to search by words with BM25 too, and to fuse both rankings by reciprocal ranks; scores are
                then sums of reciprocal ranks. Words help for names and numbers. This needs documents that were added
                as texts, and the ``bm25`` extra; the BM25 index is kept in memory.

        Returns:
            One list of documents per query, best first.

        Raises:
            InputError: A query is empty, a language has no encoder, ``top_k`` is below 1, or the queries' vectors have
                another width than the documents'.
        """
        if top_k < 1:
            raise InputError(f"is {top_k}", "ask for at least one document", field="top_k")
        vectors = self.queries.encode(texts, languages)
        if not len(texts) or not len(self):
            return [[] for _ in texts]
        if not hybrid:
            return self.query_vectors(vectors, top_k=top_k)
        if self._words is None:
            self._words = WordSearch(self.texts())
        depth = max(DEPTH, top_k)
        return fuse([self.query_vectors(vectors, top_k=depth), self._words.query(texts, top_k=depth)], top_k)

    def delete(self, ids: Sequence[str]) -> int:
        """Remove the documents with these ids, of which unknown ones are ignored, and return the number removed."""
        names = list(dict.fromkeys(map(str, ids)))
        there = [name for name, digest in zip(names, self._digests(names), strict=True) if digest is not None]
        if there:
            self._words = None
            self._remove(there)
        return len(there)

    def sync(
        self, ids: Sequence[str], texts: Sequence[str], *, remove_most: bool = False, show_progress: bool = False
    ) -> SyncCounts:
        """Make the index hold exactly these documents: add new ones, replace changed ones and remove all others.

        Documents are removed last, so that searches meanwhile find every document that stays. After an interruption,
        the same call continues where it stopped.

        Args:
            ids: Ids of the documents, all different.
            texts: Texts of all documents that the index is to hold.
            remove_most: Whether to continue if more than half of the index would be removed. By default this is an
                error, because an incomplete file, or the file of another index, would empty the index.
            show_progress: Whether to show a progress bar.

        Returns:
            Numbers of documents added, changed, removed and unchanged.

        Raises:
            InputError: As :meth:`add`; or no documents are given, or most of the index would be removed. The index is
                not changed then.
        """
        self._check(ids, texts, texts)
        wanted = list(map(str, ids))
        before = self.ids()
        gone = sorted(set(before) - set(wanted))
        if not wanted or (2 * len(gone) > len(before) and not remove_most):
            raise InputError(
                f"{len(gone):,} of the {len(before):,} documents of the index are not among the {len(wanted):,} given "
                "and would be removed",
                "give all documents; or use --sync false (the method add) to only add them; or --remove_most true "
                "(remove_most=True) to remove them",
                field="documents",
            )
        new = len(set(wanted) - set(before))
        stored = self.add(wanted, texts, show_progress=show_progress)
        removed = self.delete(gone)
        return SyncCounts(new, stored - new, removed, len(wanted) - stored)

    def ids(self) -> list[str]:
        """Return the ids of all documents."""
        return list(self.texts())

    @abstractmethod
    def texts(self, ids: Sequence[str] | None = None) -> dict[str, str | None]:
        """Return texts of documents by id; ``None`` for documents that were added as vectors.

        Args:
            ids: Ids of the documents, of which unknown ones are left out; ``None`` for all documents.
        """

    @abstractmethod
    def query_vectors(self, vectors: Vectors, *, top_k: int = 10) -> list[list[Hit]]:
        """Find the best documents for queries given as vectors: ``(n, dimension)``, or token vectors for MaxSim."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of documents."""

    @abstractmethod
    def _digests(self, ids: Sequence[str]) -> list[str | None]:
        """Return the digest of the content that is stored under each id, ``None`` for unknown ids."""

    @abstractmethod
    def _store(
        self,
        ids: Sequence[str],
        digests: Sequence[str],
        vectors: Sequence[np.ndarray],
        texts: Sequence[str | None],
    ) -> None:
        """Store documents, and replace those with the same id."""

    @abstractmethod
    def _remove(self, ids: Sequence[str]) -> None:
        """Remove documents that the index holds."""

    def _cached(self, texts: Sequence[str], show_progress: bool) -> Vectors | None:
        """Return vectors of the first documents from the cache; ``None`` without a cache or if there are documents."""
        if self._cache is None or len(self):
            return None
        assert self.documents is not None  # _check has made sure
        options: dict[str, Any] = {"interaction": self.interaction, "batch_size": self.batch_size}
        # All documents at once, because the cache identifies a collection by its texts and their order.
        return self._cache.vectors(self.documents, texts, "document", show_progress=show_progress, **options)

    def _add_chunk(self, ids: list[str], texts: list[str] | None, known: list[Any] | None) -> int:
        """Store the new and changed documents of a chunk, encoded if no vectors are known; return their number."""
        given: list[Any] = texts if texts is not None else known or []
        digests = [self._digest(item, texts is not None) for item in given]
        stored = self._digests(ids)
        missing = [row for row, digest in enumerate(digests) if stored[row] != digest]
        if not missing:
            return 0
        if known is not None:
            vectors: Any = [np.asarray(known[row], dtype=np.float32) for row in missing]
        else:
            assert self.documents is not None  # _check has made sure
            options: dict[str, Any] = {"interaction": self.interaction, "batch_size": self.batch_size}
            vectors = encode_texts(self.documents, [given[row] for row in missing], "document", **options)
        self._words = None
        self._store(
            [ids[row] for row in missing],
            [digests[row] for row in missing],
            list(vectors),
            [texts[row] if texts is not None else None for row in missing],
        )
        return len(missing)

    def _digest(self, item: Any, as_text: bool) -> str:
        """Return a digest of all that a stored vector depends on: text and encoder, or the given vector itself."""
        if not as_text:
            array = np.ascontiguousarray(item, dtype=np.float32)
            return hashlib.blake2b(f"{array.shape}".encode() + array.tobytes(), digest_size=16).hexdigest()
        if self._space is None:
            assert self.documents is not None
            self._space = f"{fingerprint(self.documents)}|{self.interaction}|"
        return hashlib.blake2b((self._space + item).encode(), digest_size=16).hexdigest()

    def _check(self, ids: Sequence[str], texts: Sequence[str] | None, given: Any) -> None:
        """Raise an error for repeated ids, empty texts, or texts without an encoder for them."""
        if len(ids) != len(given):
            raise InputError(f"found {len(ids)} ids for {len(given)} documents", "give one id per document")
        seen: set[str] = set()
        for row, number in enumerate(map(str, ids), start=1):
            if number in seen:
                raise InputError(
                    f"the id {number!r} occurs twice", "give every document its own id", row=row, field="ids"
                )
            seen.add(number)
        if texts is None:
            return
        if self.documents is None:
            raise InputError("there is no document encoder for the texts", "give documents=..., or add vectors")
        for row, text in enumerate(texts, start=1):
            if fault := text_fault(text):
                raise InputError(fault, "remove the document or fill it", row=row, field="texts")


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Scale rows, (n, dimension), to length 1, so that inner products are cosines; zero rows are not changed.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return (rows / np.where(lengths == 0, 1, lengths)).astype(np.float32)
