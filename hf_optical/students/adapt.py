"""Adaptation of any encoder as a student, by modules that map its tokens into the teacher's space."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.util.file_io import is_sentence_transformer_model, load_file_path
from torch import nn

from hf_optical.encoders.model_folder import LOAD_ERRORS, check_model_folder, check_weights, first_line, whole_weights
from hf_optical.encoders.parts import Encoder, assembled, tokenizer_of, transformer_of
from hf_optical.encoders.shared_space import SharedSpace, measure_shared_space
from hf_optical.errors import InputError
from hf_optical.students.index_sample import IndexRows
from hf_optical.students.map_choice import FEWEST_PAIRS, MapReport
from hf_optical.students.mapped import mapped_student
from hf_optical.students.normal_form import read_one_form

# Models are loaded in float32, whatever the type in their files, and never from pickled weights.
_HOW = {"dtype": torch.float32, "use_safetensors": True}
_CLASSES: dict[str, type[SentenceTransformer] | type[MultiVectorEncoder]] = {
    "SentenceTransformer": SentenceTransformer,
    "MultiVectorEncoder": MultiVectorEncoder,
}


@dataclass(frozen=True)
class StartReport:
    """Report on how another encoder was mapped into the teacher's space.

    Attributes:
        space: Measurement of whether the encoder is in the teacher's space already; ``None`` if widths or classes rule
            this out.
        map: Report on the choice of the map; ``None`` if none was fitted.
    """

    space: SharedSpace | None
    map: MapReport | None

    def sentence(self) -> str:
        """Describe the start in a sentence."""
        parts = [part.sentence() for part in (self.space, self.map) if part is not None]
        if self.map is None:
            parts.append("it is used as it is" if self.space is not None else "its map into that space is random")
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return the entry of ``results.json``."""
        return {
            "space": None if self.space is None else {**vars(self.space), "same": self.space.same},
            "map": None if self.map is None else self.map.as_dict(),
        }


def adapt_student(
    model_name_or_path: str | Path,
    teacher: Encoder,
    seed: int = 0,
    *,
    pairs: tuple[Sequence[str], Sequence[str]] | None = None,
    index: IndexRows | None = None,
    on_report: Callable[[StartReport], None] | None = None,
) -> Encoder:
    """Make a student from an encoder that already reads the new language, such as XLM-R or a multilingual retriever.

    A complete Sentence Transformers model is used as it is if it has the teacher's class and measurements show that it
    is in the teacher's space (:func:`~hf_optical.encoders.shared_space.measure_shared_space`; an equal width does not
    show this). From any other encoder the transformer is taken, a `Dense` maps its tokens to the teacher's, and copies
    of the teacher's later modules follow (pooling, projection, normalisation, masks). With ``pairs`` the `Dense` is
    fitted (:func:`~hf_optical.students.mapped.mapped_student`), so that the student starts in the
    teacher's space. Without them it is a random one that preserves angles. The saved student can query the teacher's
    index without the teacher.

    Args:
        model_name_or_path: Hub id or local folder of a transformers encoder or a Sentence Transformers model.
        teacher: The teacher, which is not changed.
        seed: Random seed of a random `Dense` and of held-out pairs.
        pairs: English sentences and their translations, on which the spaces are measured and the map is fitted; with
            fewer than 20 no map is fitted.
        index: Documents of the teacher's index with their vectors, on which the map is fitted too.
        on_report: Function that is called with the report, if something was measured or fitted.

    Returns:
        A new model of the teacher's class in single precision, with the teacher's similarity function. It keeps its own
        prompts if it has any and has no random `Dense`; otherwise the prompts are the teacher's.

    Raises:
        InputError: The id cannot be loaded, the folder is missing or has no model that can be loaded, or there are too
            few pairs.

    Example:
        >>> adapt_student("FacebookAI/xlm-roberta-base", teacher)  # doctest: +SKIP
        SentenceTransformer(...)
    """
    report = on_report if on_report is not None else _ignore
    complete: Any
    transformer: Transformer
    complete, transformer = _loaded(str(model_name_or_path), teacher)
    read_one_form(transformer)
    space = None
    if complete is not None and _width(complete) == _width(teacher):
        space = measure_shared_space(complete, teacher, *(pairs or ()))
        if space.same or pairs is None or len(pairs[0]) < FEWEST_PAIRS:
            report(StartReport(space, None))
            return _as_it_is(complete, teacher)
    _carry_settings(transformer, transformer_of(teacher))
    if pairs is None or len(pairs[0]) < FEWEST_PAIRS:
        report(StartReport(space, None))
        return assembled(teacher, [transformer, *_projection(transformer, transformer_of(teacher), seed)])
    student, chosen = mapped_student(transformer, teacher, *pairs, complete=complete, index=index, seed=seed)
    report(StartReport(space, chosen))
    return student


def _ignore(report: StartReport) -> None:
    """Ignore a report."""


def _loaded(name: str, teacher: Encoder) -> tuple[SentenceTransformer | MultiVectorEncoder | None, Transformer]:
    """Load the whole model, if there is one, and its transformer."""
    looks_like_path = Path(name).is_absolute() or name.startswith(("./", "../", "~")) or name.count("/") > 1
    if looks_like_path and not Path(name).is_dir():
        raise InputError("the folder does not exist", "give a local folder of a model, or a Hub id", path=name)
    if Path(name).exists():
        check_model_folder(Path(name))
    try:
        with whole_weights(name):
            complete = _complete(name, teacher)
            transformer = _transformer(name) if complete is None else None
    except InputError:
        raise
    except LOAD_ERRORS as error:
        near = difflib.get_close_matches(name, ("copy", "extend", "replace"), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(
            f"no encoder could be loaded from {name!r} ({first_line(error)})",
            f"{hint}check the id and the network, or give a local folder with the model",
        ) from error
    found: Any = complete if complete is not None else transformer
    check_weights(found, name)
    return complete, transformer if transformer is not None else transformer_of(found)


def _complete(name: str, teacher: Encoder) -> SentenceTransformer | MultiVectorEncoder | None:
    """Return the Sentence Transformers model at ``name``, if there is one of a class that has token embeddings."""
    if not is_sentence_transformer_model(name):
        return None
    config = load_file_path(name, "config_sentence_transformers.json")
    kind = json.loads(Path(config).read_text(encoding="utf-8")).get("model_type") if config else None
    # Older files do not name the class, because there was only one.
    loader = _CLASSES.get(kind or "SentenceTransformer")
    return None if loader is None else loader(name, device=str(teacher.device), model_kwargs=dict(_HOW))


def _transformer(name: str) -> Transformer:
    return Transformer(name, model_kwargs=dict(_HOW))


def _width(model: SentenceTransformer | MultiVectorEncoder) -> tuple[type, int | None, int | None]:
    """Return class, width of sentence vectors and width of token vectors, which a projection may make different."""
    return type(model), model.get_embedding_dimension(), transformer_of(model).get_embedding_dimension()


def _as_it_is(student: Any, teacher: Encoder) -> Any:
    """Return the model with the teacher's similarity, and its prompts if the model has none."""
    student.similarity_fn_name = teacher.similarity_fn_name
    if not any(student.prompts.values()):
        student.prompts = dict(teacher.prompts)
        student.default_prompt_name = teacher.default_prompt_name
    return student.requires_grad_(True).eval()


def _carry_settings(first: Transformer, teacher: Transformer) -> None:
    """Set the teacher's lengths per task in the student's transformer, and a limit that its positions allow."""
    first.query_length, first.document_length = teacher.query_length, teacher.document_length
    expansion = teacher.query_expansion
    if expansion is not None:
        token = expansion["token"] and tokenizer_of(first).mask_token
        expansion = {**expansion, "token": token}
    first.query_expansion = expansion
    for part, module in first.model.named_modules():
        if part.endswith("position_embeddings") and isinstance(module, nn.Embedding) and module.padding_idx is not None:
            # RoBERTa's positions start above the padding id, so that fewer can be used than its configuration says.
            first.max_seq_length = min(first.max_seq_length or 512, module.num_embeddings - module.padding_idx - 1)


def _projection(first: Transformer, teacher: Transformer, seed: int) -> list[Dense]:
    """Return the `Dense` from the student's token width to the teacher's, or an empty list if they are equal."""
    width, wanted = first.get_embedding_dimension(), teacher.get_embedding_dimension()
    if width == wanted:
        return []
    dense = Dense(
        width,
        wanted,
        bias=False,
        activation_function=nn.Identity(),
        module_input_name="token_embeddings",
    )
    # Orthonormal rows preserve the angles between tokens as well as a linear map can.
    nn.init.orthogonal_(dense.linear.weight, generator=torch.Generator().manual_seed(seed))
    return [dense]
