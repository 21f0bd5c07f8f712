"""Teacher whose vectors are read from a cache, so that its weights need not be loaded."""

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
    """Teacher whose vectors are read from a cache, for losses and collator.

    Pass it to the trainer as ``teacher=``. If a batch has a text that the cache does not have, ``online`` encodes the
    whole batch; without ``online`` the collator raises an error that names the row.

    Args:
        folder: Folder of a cache that :meth:`for_teacher` or :meth:`from_dataset` made.
        online: The teacher itself, for texts that are not in the cache; ``None`` if its weights are not available.
        verify: Whether to compare every shard with its hash.

    Raises:
        InputError: There is no cache, it is damaged, or it is the cache of another teacher than ``online``.

    Example:
        ::

            cached = CachedTeacher.for_teacher(teacher, "cache")
            cached.fill(rows["source"])  # once
            # later trainings do not need the teacher's weights
            trainer = OTDistillationTrainer(student, args, rows, teacher=CachedTeacher("cache"))
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
        """Open the cache of a teacher, or create an empty one.

        Args:
            teacher: The teacher, which encodes texts that the cache does not have.
            folder: Folder of the cache.
            prompt: Prompt before the English texts; by default the teacher's own prompt for queries.
            max_length: Largest number of tokens per text; by default the teacher's own limit.
            dtype: ``"float16"``, or ``"int8"`` for half the size.
            verify: Whether to compare every shard with its hash.

        Raises:
            InputError: The folder holds something else, or a cache of another teacher, prompt, length or dtype; the
                message names the difference.
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
        """Load a published cache, from the Hub or from a folder, into ``folder`` and open it.

        Args:
            source: Hub id, or the folder that :func:`~hf_optical.teacher_cache.publication.build_dataset` made.
            folder: Folder for the cache; a complete cache in it is only opened.
            revision: Revision of the data set on the Hub.
            online: The teacher itself, for texts that are not in the cache.

        Raises:
            InputError: The source is not a teacher cache, or its content is not what was published.
        """
        from hf_optical.teacher_cache.publication import restore

        return cls(restore(source, user_path(folder), revision=revision), online)

    def fill(self, texts: Iterable[str], *, show_progress: bool = True, batch_size: int = 64) -> bool:
        """Encode the texts that the cache does not have, and add them to it.

        Args:
            texts: English sentences; duplicates are encoded once.
            show_progress: Whether to print the expected size before anything is written, and to show a progress bar.
            batch_size: Texts per forward pass.

        Returns:
            Whether all texts are in the cache now. If the disk has too little room, a warning is logged, the result is
            ``False``, and ``online`` encodes the other texts during training.

        Raises:
            InputError: Texts are missing in the cache and there is no teacher to encode them.
            NonFiniteError: The teacher's vectors are not finite.
        """
        texts = list(dict.fromkeys(texts))
        if self.online is None:
            missing = (self.reader.find(texts) < 0).nonzero().flatten().tolist()
            if missing:
                raise InputError(
                    f"{len(missing)} texts are not in the teacher cache, the first is {texts[missing[0]][:80]!r}",
                    "give the teacher itself too, which encodes them",
                    path=self.folder,
                )
            return True
        with self._resting():
            whole = fill(self.folder, self.online, texts, show_progress=show_progress, batch_size=batch_size)
        self.reader.refresh()
        return whole

    @contextlib.contextmanager
    def _resting(self) -> Any:
        """Switch to evaluation mode (no dropout) for the block."""
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
        """The teacher's tokenizer, which is saved with the cache."""
        if self.online is not None:
            return self.online.tokenizer
        if self._tokenizer is None:
            from transformers import AutoTokenizer

            self._tokenizer = AutoTokenizer.from_pretrained(self.folder / TOKENIZER_FOLDER, trust_remote_code=False)
        return self._tokenizer

    @property
    def prompts(self) -> dict[str, str]:
        """The prompt with which the cache's texts were encoded."""
        return {"query": self.identity.prompt or ""}

    @property
    def late_interaction(self) -> bool:
        """Whether the teacher is a late-interaction model."""
        return self.identity.late_interaction

    @property
    def vector_widths(self) -> dict[str, int]:
        """Widths of the teacher's vectors, by its names for them."""
        widths = {"token_embeddings": self.identity.width}
        return widths if self.late_interaction else {**widths, "sentence_embedding": self.identity.sentence_width}

    def token_view(self, rows: Tensor) -> TokenView:
        """Return the teacher's token view of rows from :meth:`CacheReader.find`, (B,), on their device."""
        with torch.no_grad():
            return self.reader.view(rows, rows.device)

    def forward(self, features: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Run the teacher itself on features.

        Raises:
            InputError: The teacher itself was not given.
        """
        if self.online is None:
            raise InputError(
                "only the teacher's cache is given and not the teacher, and the batch was not made from the cache",
                "make batches with OTDistillationDataCollator.for_models(student, teacher), or give the teacher too",
                path=self.folder,
            )
        return self.online(features, **options)

    def extra_repr(self) -> str:
        """Describe folder, size and dtype of the cache in ``repr``."""
        return f"{str(self.folder)!r}, {self.manifest.texts} texts, {self.identity.dtype}"


def _refuse_foreign(folder: Path, found: CacheIdentity, wanted: CacheIdentity) -> None:
    """Raise an error if a cache has another identity than the requested one."""
    if differences := found.differences(wanted):
        raise InputError(
            f"the folder holds another teacher cache: {'; '.join(differences)}",
            "choose another folder, or remove this one",
            path=folder,
            field="teacher_cache",
        )
