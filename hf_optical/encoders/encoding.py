"""Encode texts with sentence-transformers models, longest first, in blocks; NaN and infinity are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.multi_vector_encoder import MultiVectorEncoder

from hf_optical.data.texts import one_form
from hf_optical.encoders.content_tokens import content_rows, prompt_tokens
from hf_optical.encoders.token_vectors import TokenVectors
from hf_optical.encoders.token_view import boundary_token_ids
from hf_optical.errors import InputError, NonFiniteError

Encoder = SentenceTransformer | MultiVectorEncoder
Role = Literal["query", "document"]
Interaction = Literal["dense", "maxsim"]
Vectors = np.ndarray | TokenVectors

_BATCHES_PER_BLOCK = 4
_NAME: ContextVar[str] = ContextVar("name of the bars", default="")


@contextmanager
def bars_named(name: str) -> Iterator[None]:
    """Context in which progress bars name the table row for which texts are encoded."""
    token = _NAME.set(name)
    try:
        yield
    finally:
        _NAME.reset(token)


def resolve_interaction(model: Encoder, interaction: Interaction | None = None) -> Interaction:
    """Determine how texts are compared: by one vector each (``"dense"``) or by all token vectors (``"maxsim"``).

    Args:
        model: Any encoder of sentence-transformers.
        interaction: ``None`` for the model's own way; ``"maxsim"`` to use a dense model's token vectors.

    Returns:
        ``"dense"`` or ``"maxsim"``.

    Raises:
        InputError: If a multi-vector model is asked for dense vectors, or the word is unknown.
    """
    late = isinstance(model, MultiVectorEncoder)
    if interaction is None:
        return "maxsim" if late else "dense"
    if interaction not in ("dense", "maxsim"):
        raise InputError(f"interaction is {interaction!r}", "use 'dense' or 'maxsim'")
    if late and interaction == "dense":
        raise InputError(
            f"{model_name(model)} is a multi-vector model and has no single vector per text",
            "use interaction 'maxsim', or load the model as a SentenceTransformer",
        )
    return interaction


def model_name(model: Encoder) -> str:
    """Name a model for messages: its Hub id or folder if known, otherwise its class."""
    card = getattr(model, "model_card_data", None)
    base = getattr(card, "model_id", None) or getattr(card, "base_model", None)
    return str(base or getattr(model.transformers_model, "name_or_path", "") or type(model).__name__)


def encode_texts(
    model: Encoder,
    texts: Sequence[str],
    role: Role,
    *,
    interaction: Interaction | None = None,
    content_only: bool = False,
    batch_size: int = 32,
    show_progress: bool = False,
) -> Vectors:
    """Encode texts as queries or documents, in one form of Unicode, with the model's own prompts.

    Args:
        model: A ``SentenceTransformer`` or ``MultiVectorEncoder``; it is left in evaluation mode.
        texts: The texts.
        role: Which prompt and route to use: ``encode_query`` or ``encode_document``.
        interaction: See :func:`resolve_interaction`. A dense model's token vectors (special tokens included) are
            L2-normalised; a multi-vector model's are used unchanged.
        content_only: Leave out the token vectors of special tokens and of the prompt; see
            :func:`~hf_optical.encoders.content_tokens.content_rows`.
        batch_size: Texts per forward pass.
        show_progress: Whether to show a progress bar.

    Returns:
        ``(n, dimension)`` float32 for dense, :class:`TokenVectors` for MaxSim, in the order of ``texts``.

    Raises:
        NonFiniteError: If a vector has a NaN or an infinity; the first texts are named.

    Example:
        .. code-block:: python

            vectors = encode_texts(SentenceTransformer("all-MiniLM-L6-v2"), ["Habari?"], "query")
    """
    blocks = encode_blocks(
        model,
        texts,
        role,
        interaction=interaction,
        content_only=content_only,
        batch_size=batch_size,
        show_progress=show_progress,
    )
    if resolve_interaction(model, interaction) == "dense":
        return gather_dense(blocks, len(texts), lambda shape: np.empty(shape, np.float32))
    return _gather_tokens(list(blocks), len(texts))


def encode_blocks(
    model: Encoder,
    texts: Sequence[str],
    role: Role,
    *,
    interaction: Interaction | None = None,
    content_only: bool = False,
    batch_size: int = 32,
    show_progress: bool = False,
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Yield ``(positions in texts, one float32 array per text)``, longest texts first.

    Only one block is in memory at a time, so that a corpus can be written directly to disk. For the arguments see
    :func:`encode_texts`.
    """
    kind = resolve_interaction(model, interaction)
    encode = model.encode_query if role == "query" else model.encode_document
    # Sorted once globally; within a block sentence-transformers sorts again, without effect.
    order = np.argsort([-len(text) for text in texts], kind="stable")
    size = batch_size * _BATCHES_PER_BLOCK
    with _progress(len(order), role, show_progress) as progress:
        for start in range(0, len(order), size):
            positions = order[start : start + size]
            batch = [one_form(texts[position]) for position in positions]
            if kind == "dense":
                arrays = list(
                    np.asarray(encode(batch, convert_to_numpy=True, **_options(batch_size)), dtype=np.float32)
                )
            else:
                arrays = token_arrays(model, encode, batch, role, content_only=content_only, **_options(batch_size))
            _refuse_non_finite(arrays, batch, model, role)
            progress.update(len(batch))
            yield positions, arrays


def gather_dense(
    blocks: Iterator[tuple[np.ndarray, list[np.ndarray]]],
    n: int,
    allocate: Callable[[tuple[int, int]], np.ndarray],
) -> np.ndarray:
    """Put dense blocks into one array made by ``allocate((n, dimension))``, in the order of the texts."""
    out: np.ndarray | None = None
    for positions, arrays in blocks:
        if out is None:
            out = allocate((n, len(arrays[0])))
        out[positions] = np.stack(arrays)
    return out if out is not None else allocate((0, 0))


def _gather_tokens(blocks: Sequence[tuple[np.ndarray, list[np.ndarray]]], n: int) -> TokenVectors:
    """Put blocks of token vectors into one :class:`TokenVectors`."""
    if not blocks:
        return TokenVectors.from_list([])
    packed = TokenVectors.from_list([array for _, arrays in blocks for array in arrays])
    positions = np.concatenate([positions for positions, _ in blocks])
    starts, lengths = np.empty(n, np.int64), np.empty(n, np.int64)
    starts[positions], lengths[positions] = packed.starts, packed.lengths
    return TokenVectors(packed.values, starts, lengths)


def token_arrays(
    model: Encoder,
    encode: Callable[..., Any],
    texts: Sequence[str],
    role: Role,
    *,
    content_only: bool = False,
    **options: Any,
) -> list[np.ndarray]:
    """Encode the token vectors of texts with a given ``encode`` method of the model, in the order of the texts.

    Args:
        model: The model of the method.
        encode: ``encode_query`` or ``encode_document`` of the model, or of adapters around it.
        texts: The texts.
        role: Which of the two methods it is.
        content_only: As in :func:`encode_texts`.
        options: Options of sentence-transformers' ``encode``.

    Returns:
        One float32 array ``(tokens, dimension)`` per text.
    """
    late = isinstance(model, MultiVectorEncoder)
    if content_only:
        boundary, prompt = boundary_token_ids(model), prompt_tokens(model, role)
        items = encode(texts, output_value=None, **options)
        rows = [content_rows(item, boundary, prompt) for item in items]
    elif late:
        return [np.asarray(tokens, dtype=np.float32) for tokens in encode(texts, convert_to_numpy=True, **options)]
    else:
        rows = encode(texts, output_value="token_embeddings", convert_to_numpy=False, **options)
    units = rows if late else [torch.nn.functional.normalize(one.float(), dim=-1) for one in rows]
    return [one.float().cpu().numpy() for one in units]


def _options(batch_size: int) -> dict[str, Any]:
    return {"batch_size": batch_size, "show_progress_bar": False}


def _refuse_non_finite(arrays: list[np.ndarray], batch: list[str], model: Encoder, role: Role) -> None:
    bad = [text for array, text in zip(arrays, batch, strict=True) if not np.isfinite(array).all()]
    if bad:
        shown = "; ".join(repr(text[:80]) for text in bad[:3])
        raise NonFiniteError(
            f"{model_name(model)} returns NaN or infinity for {len(bad)} of {len(batch)} texts read as {role}: "
            f"{shown}. "
            "Remedy: check the model's weights, and encode in float32."
        )


def _progress(texts: int, role: Role, show: bool) -> Any:
    from tqdm.auto import tqdm

    name = _NAME.get()
    named = f"{name}: encoding {role} texts" if name else f"Encoding {role} texts"
    return tqdm(total=texts, desc=named, unit=" texts", disable=not show)
