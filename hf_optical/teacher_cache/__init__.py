"""Cache of the frozen teacher's token vectors, which are computed once per English text.

``CachedTeacher`` takes the teacher's place in trainer and loss; ``build_dataset`` and ``publish`` turn a cache into a
data set on the Hub. ``VectorTeacher`` takes the place of a model that is not available, with the vectors of its index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_optical.teacher_cache.cached_teacher import CachedTeacher
    from hf_optical.teacher_cache.identity import CacheIdentity, identity_of
    from hf_optical.teacher_cache.publication import build_dataset, publish
    from hf_optical.teacher_cache.vector_teacher import VectorTeacher

__all__ = ["CacheIdentity", "CachedTeacher", "VectorTeacher", "build_dataset", "identity_of", "publish"]
_PLACES = {
    "CachedTeacher": "cached_teacher",
    "CacheIdentity": "identity",
    "VectorTeacher": "vector_teacher",
    "identity_of": "identity",
    "build_dataset": "publication",
    "publish": "publication",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
