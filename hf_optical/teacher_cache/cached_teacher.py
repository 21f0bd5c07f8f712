"""A stand-in for the teacher that answers from a cache, with or without the teacher's weights at hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from sentence_transformers.base.model import BaseModel
from torch import Tensor

from hf_optical.encoders.teachers import TeacherStandIn, query_prompt
from hf_optical.encoders.token_view import TokenView
from hf_optical.errors import InputError
from hf_optical.places import user_path
from hf_optical.teacher_cache.filling import fill, prepare
from hf_optical.teacher_cache.identity import CacheIdentity, identity_of
from hf_optical.teacher_cache.manifest import TOKENIZER_FOLDER, Manifest
from hf_optical.teacher_cache.reading import CacheReader


class CachedTeacher(TeacherStandIn):
    """Teacher read from a cache, for losses and collator.

    Give it to the trainer as ``teacher=``. A text that the cache does not have is read by ``online``, the whole batch
    with it; without one, the collator stops and names the row.

    Args:
        folder: A cache, made by :meth:`for_teacher` or :meth:`from_dataset`.
        online: The teacher itself, for texts that are not in the cache; ``None`` where its weights are not at hand.
        verify: Compare every shard with its hash.

    Raises:
        InputError: No cache, a damaged one, or one of another teacher than ``online``.

    Example:
        ::

            cached = CachedTeacher.for_teacher(teacher, "cache")
            cached.fill(rows["source"])                                       # once
            trainer = OTDistillationTrainer(student, args, rows, teacher=CachedTeacher("cache"))   # ever after
    """

    def __init__(self, folder: str | Path, online: BaseModel | None = None, *, verify: bool = True) -> None:
        super().__init__()
        self.reader = CacheReader(folder, verify=verify)
        self.online = online
        self._tokenizer: Any = None
        self.default_prompt_name: str | None = None
        if online is not None:
            identity = self.identity
            wanted = identity_of(online, prompt=identity.prompt, max_length=identity.max_length, dtype=identity.dtype)
            _refuse_foreign(self.folder, identity, wanted)

    @classmethod
    def for_teacher(
        cls,
        teacher: BaseModel,
        folder: str | Path,
        *,
        prompt: str | None = None,
        max_length: int | None = None,
        dtype: str = "float16",
        verify: bool = True,
    ) -> CachedTeacher:
        """Open or make the cache of this teacher.

        Args:
            teacher: Reads what the cache does not have.
            folder: Of the cache.
            prompt: Under which the English is read; by default the teacher's own for queries.
            max_length: Tokens per text; by default the teacher's own limit.
            dtype: ``"float16"``, or ``"int8"`` for half the size.
            verify: As above.

        Raises:
            InputError: The folder holds something else: another teacher's cache, or one with another prompt, length or
                dtype; names what differs.
        """
        prompt = prompt if prompt is not None else query_prompt(teacher)
        identity = identity_of(teacher, prompt=prompt, max_length=max_length, dtype=dtype)
        found = prepare(user_path(folder), identity, teacher)
        _refuse_foreign(user_path(folder), found.identity, identity)
        self = cls(folder, verify=verify)
        self.online = teacher
        return self

    @classmethod
    def from_dataset(
        cls, source: str, folder: str | Path, *, revision: str | None = None, online: BaseModel | None = None
    ) -> CachedTeacher:
        """Download a published cache (Hub or folder) into ``folder`` and open it.

        Args:
            source: Hub id, or the folder that :func:`~hf_optical.teacher_cache.publication.build_dataset` made.
            folder: Where the cache goes; one that is already there is opened.
            revision: Of the Hub's data set.
            online: As above.

        Raises:
            InputError: It is not a teacher cache, or not all of it arrived.
        """
        from hf_optical.teacher_cache.publication import restore

        return cls(restore(source, user_path(folder), revision=revision), online)

    def fill(self, texts: Iterable[str], *, show_progress: bool = True, batch_size: int = 64) -> bool:
        """Have the teacher read the texts that the cache does not have.

        Args:
            texts: English sentences; equal ones are read once.
            show_progress: A bar, and the size before anything is written.
            batch_size: Texts per forward pass.

        Returns:
            Whether all are in the cache now. ``False``: the disk is short, which was said; ``online`` reads the rest.

        Raises:
            InputError: Texts are missing and there is no teacher to read them.
            NonFiniteError: The teacher's vectors are not finite.
        """
        texts = list(dict.fromkeys(texts))
        if self.online is None:
            missing = (self.reader.find(texts) < 0).nonzero().flatten().tolist()
            if missing:
                raise InputError(
                    f"{len(missing)} texts are not in the teacher cache, the first is {texts[missing[0]][:80]!r}",
                    "give the teacher itself too, which reads them",
                    path=self.folder,
                )
            return True
        with self._resting():
            whole = fill(self.folder, self.online, texts, show_progress=show_progress, batch_size=batch_size)
        self.reader.refresh()
        return whole

    @contextlib.contextmanager
    def _resting(self) -> Any:
        training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(training)

    @property
    def folder(self) -> Path:
        """Folder of the cache."""
        return self.reader.folder

    @property
    def identity(self) -> CacheIdentity:
        """Identity of the teacher and its settings."""
        return self.reader.identity

    @property
    def manifest(self) -> Manifest:
        """Manifest: the shards of the cache."""
        return self.reader.manifest

    @property
    def tokenizer(self) -> Any:
        """The teacher's tokenizer, kept beside the vectors."""
        if self.online is not None:
            return self.online.tokenizer
        if self._tokenizer is None:
            from transformers import AutoTokenizer

            self._tokenizer = AutoTokenizer.from_pretrained(self.folder / TOKENIZER_FOLDER, trust_remote_code=False)
        return self._tokenizer

    @property
    def prompts(self) -> dict[str, str]:
        """The prompt under which the cache's texts were read."""
        return {"query": self.identity.prompt or ""}

    @property
    def late_interaction(self) -> bool:
        """Whether the teacher scores token by token."""
        return self.identity.late_interaction

    @property
    def vector_widths(self) -> dict[str, int]:
        """Widths of what the teacher puts out, as it names them."""
        widths = {"token_embeddings": self.identity.width}
        return widths if self.late_interaction else {**widths, "sentence_embedding": self.identity.sentence_width}

    def token_view(self, rows: Tensor) -> TokenView:
        """The teacher's view of rows that :meth:`CacheReader.find` found, on the rows' device."""
        with torch.no_grad():
            return self.reader.view(rows, rows.device)

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Run the teacher itself on features.

        Raises:
            InputError: There is none here.
        """
        if self.online is None:
            raise InputError(
                "the teacher's weights are not here, only its cache, and the batch was not made from the cache",
                "make batches with OTDistillationDataCollator.for_models(student, teacher), or give the teacher too",
                path=self.folder,
            )
        return self.online(features, **options)

    def extra_repr(self) -> str:
        """Folder and size."""
        return f"{str(self.folder)!r}, {self.manifest.texts} texts, {self.identity.dtype}"


def _refuse_foreign(folder: Path, found: CacheIdentity, wanted: CacheIdentity) -> None:
    """Stop if a cache is not of what is asked for."""
    if differences := found.differences(wanted):
        raise InputError(
            f"the teacher cache there is another one: {'; '.join(differences)}",
            "choose another folder, or remove this one",
            path=folder,
            field="teacher_cache",
        )
