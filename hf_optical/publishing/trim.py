"""Trimming of a model's vocabulary to the pieces that texts of the published languages need.

Most of the file of an encoder for a hundred languages are embedding rows for languages that a student does not need.
Trimming changes nothing else: for text whose pieces are all kept the trimmed model gives the same vectors, which
:func:`prove` checks.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from tempfile import TemporaryDirectory
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Transformer
from torch import nn
from tqdm.auto import tqdm

from hf_optical.encoders.encoding import Encoder, encode_texts
from hf_optical.encoders.parts import (
    embeddings_of,
    rebuilt_tokenizer,
    rebuilt_transformer,
    settings_of,
    tokenizer_of,
    transformer_of,
)
from hf_optical.errors import InputError
from hf_optical.publishing.tokenizer_rows import check_kind, rows_to_keep, unknown_id, with_rows
from hf_optical.publishing.trim_proof import TrimProof, saved_bytes
from hf_optical.students.vocabulary import check_texts, size_of

Model = TypeVar("Model", SentenceTransformer, MultiVectorEncoder)

_BATCH = 1_000  # texts per call of the tokenizer


class Trimmed(Generic[Model]):
    """Trimmed model with the origin of its embedding rows.

    Args:
        model: The trimmed model, as read back from disk.
        kept: Row ``i`` of its embedding table is row ``kept[i]`` of the whole model's table.
    """

    def __init__(self, model: Model, kept: Sequence[int]) -> None:
        self.model: Model = model
        self.kept = list(kept)


def trim(model: Model, texts: Iterable[str], *, min_count: int = 1, show_progress: bool = False) -> Trimmed[Model]:
    """Trim a model's vocabulary to the pieces that texts of the given languages need.

    Args:
        model: A dense or late-interaction encoder with a fast tokenizer (Unigram as in XLM-R, WordPiece as in BERT);
            it is not changed.
        texts: Sentences of *every* language that the model is still to read, including English if needed.
        min_count: Least number of occurrences in the texts for which a piece is kept. With 2 the file is smaller, and
            more words of other text are split into more pieces; measure the effect with
            :func:`~hf_optical.publishing.trim_proof.retrieval_before_and_after`.
        show_progress: Whether to show a progress bar.

    Returns:
        The trimmed model. It reads other text too, split into more pieces.

    Raises:
        InputError: There are no texts, an entry is not a text, the tokenizer cannot be trimmed, the model has LoRA
            adapters in it, or its special tokens cannot be renumbered.

    Example:
        .. code-block:: python

            trimmed = trim(SentenceTransformer("FacebookAI/xlm-roberta-base"), sentences)
            print(prove(model, trimmed, other_sentences).sentence())
            trimmed.model.save_pretrained("small")
    """
    module = transformer_of(model)
    if getattr(module.model, "peft_config", None):
        raise InputError(
            "the model has LoRA adapters in it, which were saved for the whole vocabulary",
            "trim the base before adding adapters, or merge them first",
        )
    if min_count < 1:
        raise InputError(f"is {min_count}", "give at least 1", field="min_count")
    tokenizer = tokenizer_of(module)
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    check_kind(spec)
    rows = check_texts(texts)
    counts: Counter[int] = Counter()
    characters: set[str] = set()
    for ids, batch in _encoded(module, rows, show_progress):
        counts.update(number for line in ids for number in line)
        for text in batch:
            characters.update(_normalized(tokenizer.backend_tokenizer, text))
    used = {number for number, count in counts.items() if count >= min_count}
    used |= _needed(model, module)
    kept = rows_to_keep(spec, used, characters)
    return Trimmed(_with_kept_rows(model, module, with_rows(spec, kept), kept), kept)


def prove(
    model: Model,
    trimmed: Trimmed[Model],
    texts: Iterable[str],
    *,
    max_encoded: int = 10_000,
    batch_size: int = 32,
    show_progress: bool = False,
) -> TrimProof:
    """Compare the trimmed model with the whole one on any texts, also on others than it was trimmed with.

    A text is covered if all its pieces are kept and, for WordPiece, none of them is the unknown token.

    Args:
        model: The whole model.
        trimmed: Result of :func:`trim` for it.
        texts: Sentences of the kept languages.
        max_encoded: Largest number of covered sentences to embed, evenly spread over all; token ids are compared for
            all of them.
        batch_size: Texts per forward pass.
        show_progress: Whether to show progress bars.

    Returns:
        The comparison; its ``check()`` raises an error if the models differ on covered texts.

    Raises:
        InputError: There are no texts, or none is covered.
    """
    rows = check_texts(texts)
    before, after = transformer_of(model), transformer_of(trimmed.model)
    new = {old: number for number, old in enumerate(trimmed.kept)}
    spec = json.loads(tokenizer_of(before).backend_tokenizer.to_str())
    excluded = {unknown_id(spec)} if check_kind(spec) != "Unigram" else set()
    covered: list[str] = []
    total = pieces = pieces_kept = same = 0
    for ids, batch in _encoded(before, rows, show_progress):
        total += len(batch)
        pieces += sum(len(line) for line in ids)
        pieces_kept += sum(number in new for line in ids for number in line)
        pairs = [
            (text, [new[number] for number in line])
            for text, line in zip(batch, ids, strict=True)
            if all(number in new and number not in excluded for number in line)
        ]
        found = _ids(after, [text for text, _ in pairs])
        same += sum(wanted == line for (_, wanted), line in zip(pairs, found, strict=True))
        covered += [text for text, _ in pairs]
    if not covered:
        raise InputError("no text is covered by the trimmed vocabulary", "prove on sentences of the kept languages")
    chosen = [covered[i] for i in sorted({int(i) for i in np.linspace(0, len(covered) - 1, max_encoded)})]
    return TrimProof(
        texts=total,
        covered=len(covered),
        pieces_kept=pieces_kept / pieces,
        identical_ids=same,
        encoded=len(chosen),
        largest_difference=_largest_difference(model, trimmed.model, chosen, batch_size, show_progress),
        rows_before=len(embeddings_of(before.model).weight),
        rows_after=len(trimmed.kept),
        bytes_before=saved_bytes(model),
        bytes_after=saved_bytes(trimmed.model),
    )


def _encoded(module: Transformer, texts: Sequence[str], show: bool) -> Iterator[tuple[list[list[int]], list[str]]]:
    """Tokenize texts in batches, and yield the token ids with the texts of each batch."""
    lines = iter(tqdm(texts, desc="Reading texts", unit="texts", disable=not show))
    while batch := list(islice(lines, _BATCH)):
        yield _ids(module, batch), batch


def _ids(module: Transformer, texts: list[str]) -> list[list[int]]:
    """Tokenize texts without truncation, so that the pieces of long texts are all taken into account."""
    if not texts:
        return []
    if module.do_lower_case:
        texts = [text.lower() for text in texts]
    return tokenizer_of(module)(texts, truncation=False, padding=False, verbose=False)["input_ids"]  # type: ignore[return-value]


def _normalized(backend: Any, text: str) -> str:
    return backend.normalizer.normalize_str(text) if backend.normalizer is not None else text


def _needed(model: Encoder, module: Transformer) -> set[int]:
    """Return ids that are needed for any text: special tokens, prompts, words that late interaction skips or adds."""
    tokenizer = tokenizer_of(module)
    vocabulary = tokenizer.get_vocab()
    prompts = [prompt for prompt in model.prompts.values() if prompt]
    needed = {number for line in _ids(module, prompts) for number in line}
    words = [*tokenizer.all_special_tokens]
    if module.query_expansion is not None:
        words.append(str(module.query_expansion["token"]))
    for part in model._modules.values():
        words += getattr(part, "skiplist_words", None) or []
        needed |= set(getattr(part, "keep_only_token_ids", None) or [])
    return needed | {vocabulary[word] for word in words if word in vocabulary}


def _with_kept_rows(model: Model, module: Transformer, spec: dict[str, Any], kept: list[int]) -> Model:
    """Build a model with a smaller embedding table, save it and load it again.

    The proof is thus about the model as it will be published.
    """
    tokenizer = rebuilt_tokenizer(tokenizer_of(module), spec)
    table = embeddings_of(module.model).weight.detach()
    if max(kept) >= len(table):
        raise InputError(
            f"the tokenizer knows id {max(kept)}, and the embedding table has {len(table)} rows",
            "give a model whose tokenizer belongs to it",
        )
    body = _with_table(module.model, table[torch.tensor(kept, device=table.device)], kept)
    assert size_of(spec) == len(kept)
    parts: list[nn.Module] = [rebuilt_transformer(module, body, tokenizer)]
    for part in list(model._modules.values())[1:]:
        parts.append(copy.deepcopy(part))
        if ids := getattr(part, "keep_only_token_ids", None):
            parts[-1].keep_only_token_ids = [kept.index(number) for number in ids]  # type: ignore[assignment]
    made = type(model)(modules=parts, device=str(model.device), **settings_of(model))
    with TemporaryDirectory() as folder:
        made.save_pretrained(folder, create_model_card=False)
        dtype = next(module.model.parameters()).dtype
        return type(model)(folder, device=str(model.device), model_kwargs={"dtype": dtype}).eval()


def _with_table(model: Any, table: torch.Tensor, kept: list[int]) -> Any:
    """Copy a transformer with another embedding table, (kept, dimension); the old table is not copied."""
    whole = model.get_input_embeddings()
    body = copy.deepcopy(model, {id(whole): whole})
    new = {old: number for number, old in enumerate(kept)}
    padding = whole.padding_idx
    positions = [
        part.padding_idx
        for name, part in body.named_modules()
        if "position" in name and isinstance(part, nn.Embedding) and part.padding_idx is not None
    ]
    if positions and padding is not None and new[padding] != padding:
        raise InputError(
            f"the padding token would move from id {padding} to {new[padding]}, but the model counts positions from it",
            "give a tokenizer whose special tokens come first, or publish without trimming",
        )
    smaller = nn.Embedding.from_pretrained(
        table.clone(), freeze=False, padding_idx=None if padding is None else new[padding]
    )
    body.set_input_embeddings(smaller.requires_grad_(whole.weight.requires_grad))
    body.config.vocab_size = len(table)
    for name in ("bos", "pad", "eos", "cls", "sep", "mask", "unk", "decoder_start"):
        old = getattr(body.config, f"{name}_token_id", None)
        if isinstance(old, int):
            # A configuration may name ids that are not kept, such as a bos that BERT's tokenizer does not use.
            setattr(body.config, f"{name}_token_id", new.get(old))
    return body


def _largest_difference(model: Encoder, trimmed: Encoder, texts: list[str], batch_size: int, show: bool) -> float:
    """Return the largest difference between two numbers of the models' vectors, as queries and as documents."""
    worst = 0.0
    for role in ("query", "document"):
        options: dict[str, Any] = {"batch_size": batch_size, "show_progress": show}
        a, b = (encode_texts(each, texts, role, **options) for each in (model, trimmed))  # type: ignore[arg-type]
        values = [(a, b)] if isinstance(a, np.ndarray) else zip(a, b, strict=True)
        worst = max(worst, *(float(np.abs(np.asarray(x) - np.asarray(y)).max()) for x, y in values))
    return worst
