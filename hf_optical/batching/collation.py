"""Collator of bitext: the teacher's tokenizer for the English, the student's for the translation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.data_collator import BaseDataCollator
from sentence_transformers.base.model import BaseModel
from sentence_transformers.multi_vector_encoder.data_collator import MultiVectorEncoderDataCollator

from hf_optical.encoders.feature_keys import CACHED_ROWS, MIRROR, TEACHER_TOKENIZED
from hf_optical.encoders.prompts import with_text_start
from hf_optical.encoders.teachers import Teacher, TeacherStandIn, document_prompt, query_prompt
from hf_optical.errors import InputError

BITEXT_COLUMNS = ("source", "translation")
_TOKENIZER_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "model", "added_tokens")


def same_tokenization(student: BaseModel, teacher: Teacher) -> bool:
    """Return whether two models turn a text into the same token ids (vocabulary, rules, query prompt)."""
    if query_prompt(student) != query_prompt(teacher):
        return False
    return student.tokenizer is teacher.tokenizer or tokenizer_parts(student) == tokenizer_parts(teacher)


def tokenizer_parts(model: Teacher) -> dict[str, Any]:
    """Return the parts that determine how a tokenizer reads a text (vocabulary, rules), ready for JSON."""
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is None:  # a slow tokenizer: only the vocabulary can be compared
        return {"class": type(model.tokenizer).__name__, "vocab": model.tokenizer.get_vocab()}
    described = json.loads(backend.to_str())
    return {name: described.get(name) for name in _TOKENIZER_PARTS}


@dataclass
class OTDistillationDataCollator(BaseDataCollator):
    """Tokenise bitext rows for a student and its teacher; other rows as sentence-transformers does.

    For rows with the columns ``source`` (English) and ``translation`` the batch holds, in this order whatever the order
    of the columns: the English tokenised for the *teacher*, the translation tokenised for the *student*, and with
    ``mirror`` the English tokenised for the student. Rows of other kinds (``query``, ``passage``...) pass through
    sentence-transformers' collator, unless the teacher encodes their passages, which are then tokenised for it as
    documents. Make it with :meth:`for_models`.

    With a teacher cache the English is not tokenised: the batch holds the numbers of its rows in the cache and the
    token ids stored there. A batch with a text that the cache lacks is tokenised for the teacher itself, if there is
    one.

    Raises:
        InputError: A text is missing, empty or not a string, or it is not in the cache and there is no teacher to
            encode it.
    """

    teacher_preprocess_fn: Callable | None = None
    student_prompt: str | None = None
    teacher_prompt: str | None = None
    mirror: bool = False
    late_interaction: bool = False
    row_adapter: Callable[[dict[str, Any], str | None], str] | None = None
    teacher_cache: Any = field(default=None, repr=False)
    student_tokenizer: Any = field(default=None, repr=False)
    teacher_tokenizer: Any = field(default=None, repr=False)
    document_encoder: str = "student"
    teacher_document_prompt: str | None = None
    _host: BaseDataCollator | None = field(default=None, init=False, repr=False)

    @classmethod
    def for_models(
        cls, student: BaseModel, teacher: Teacher | None, *, mirror: bool = False, **options: Any
    ) -> OTDistillationDataCollator:
        """Make a collator for a student and its teacher, with their query prompts.

        Args:
            student: Encoder of the translation.
            teacher: Encoder of the English, or a :class:`~hf_optical.teacher_cache.CachedTeacher`; ``None`` if there is
                no bitext.
            mirror: Also tokenise the English for the student (needed by the ``source`` term).
            document_encoder: ``"teacher"`` if the teacher encodes the passages of questions, because they are an index
                that stays unchanged (:class:`~hf_optical.losses.IndexContrastLoss`).
            options: Options of sentence-transformers' collator: ``prompts``, ``router_mapping``, ``max_length``...;
                ``row_adapter``, which chooses the student's language adapter for each row.
        """
        cache, reading = (teacher.reader, teacher.online) if isinstance(teacher, TeacherStandIn) else (None, teacher)
        return cls(
            preprocess_fn=student.preprocess,
            teacher_preprocess_fn=reading.preprocess if reading is not None else None,
            teacher_cache=cache,
            student_tokenizer=student.tokenizer,
            teacher_tokenizer=reading.tokenizer if reading is not None else None,
            student_prompt=query_prompt(student),
            teacher_prompt=query_prompt(teacher) if teacher is not None else None,
            teacher_document_prompt=document_prompt(reading) if reading is not None else None,
            mirror=mirror,
            late_interaction=isinstance(student, MultiVectorEncoder),
            **options,
        )

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """Turn rows into the tensors of one batch."""
        if self.row_adapter is None or not features:
            return self._collate(features)
        from hf_optical.adapters.rows import ROW_KEY, row_numbers
        from hf_optical.adapters.training import LANGUAGE_COLUMN

        name = features[0].get("dataset_name")
        numbers = row_numbers([self.row_adapter(row, name) for row in features])
        batch = self._collate([{key: row[key] for key in row if key != LANGUAGE_COLUMN} for row in features])
        columns = [key[: -len("_input_ids")] for key in batch if key.endswith("_input_ids")]
        return {**batch, **{f"{column}_{ROW_KEY}": numbers for column in columns}}

    def _collate(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        if not features or not set(BITEXT_COLUMNS) <= set(features[0]):
            return self._query_passages(features)
        name = features[0].get("dataset_name")
        # Words are compared at inner layers too, whose vectors are not cached.
        cache = None if str(name).startswith("lexicon/") else self.teacher_cache
        if self.teacher_preprocess_fn is None and cache is None:
            return self._host_collator()(features)
        english = [self._text(row, "source", name) for row in features]
        translation = [self._text(row, "translation", name) for row in features]
        batch: dict[str, Any] = {} if name is None else {"dataset_name": name}
        batch |= self._english(english, self._prompt("source", batch), cache, name)
        batch[f"source_{TEACHER_TOKENIZED}"] = True
        batch |= self._tokenize("translation", translation, "student", self._prompt("translation", batch))
        if self.mirror:
            # The name must not begin with the name of another column, because sentence-transformers groups tensors by
            # string prefix.
            batch |= self._tokenize("mirror", english, "student", self._prompt("translation", batch))
            batch[f"mirror_{MIRROR}"] = True
        return batch

    def _query_passages(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        """Collate rows other than bitext as sentence-transformers does, or with passages tokenised for the teacher."""
        if self.document_encoder == "student" or not features or "query" not in features[0]:
            return self._host_collator()(features)
        name = features[0].get("dataset_name")
        batch: dict[str, Any] = {} if name is None else {"dataset_name": name}
        for column in [column for column in features[0] if column != "dataset_name"]:
            texts = [row[column] for row in features]
            if column == "query":
                batch |= self._tokenize(column, texts, "student", self._prompt(column, batch))
            else:
                # As the index was made: up to the teacher's maximal length, whatever the limit in training.
                preprocess, _ = self._reader("teacher")
                passages = preprocess(texts, prompt=self.teacher_document_prompt, task=None)
                batch |= {f"{column}_{key}": value for key, value in passages.items()}
                batch[f"{column}_{TEACHER_TOKENIZED}"] = True
        return batch

    def _english(self, texts: list[str], prompt: str | None, cache: Any, name: str | None) -> dict[str, Any]:
        """Prepare the English for the teacher: row numbers of its cache, or tokens."""
        if cache is not None:
            cache.check_reading(prompt, self._get_max_length_for_task("query"))
            rows = cache.find(texts)
            missing = (rows < 0).nonzero().flatten().tolist()
            if not missing:
                features = {**cache.features(rows), CACHED_ROWS: rows}
                return {f"source_{key}": value for key, value in features.items()}
            if self.teacher_preprocess_fn is None:
                raise InputError(
                    f"{len(missing)} of {len(texts)} texts of a batch are not in the teacher cache {cache.folder}; the "
                    f"first is {texts[missing[0]][:80]!r}, in row {missing[0] + 1} of the batch",
                    "also pass the teacher itself to the trainer (teacher=, teacher_cache=), so that it can encode "
                    "them",
                    path=name,
                    field="source",
                )
        return self._tokenize("source", texts, "teacher", prompt)

    def source_prompt(self, name: str | None) -> str | None:
        """Return the teacher's prompt for the English of a data set."""
        return self._prompt("source", {} if name is None else {"dataset_name": name})

    def _prompt(self, column: str, batch: dict[str, Any]) -> str | None:
        """Return the prompt of the training arguments for this column, or else the model's own query prompt."""
        prompts = self._resolve_prompts(batch)
        given = self._get_prompt_for_column(prompts, column) if prompts else None
        return given if given is not None else self.teacher_prompt if column == "source" else self.student_prompt

    def _tokenize(self, column: str, texts: list[str], side: str, prompt: str | None) -> dict[str, Any]:
        preprocess, tokenizer = self._reader(side)
        options: dict[str, Any] = {"prompt": prompt, "task": "query" if self.late_interaction else None}
        length = self._get_max_length_for_task("query")
        if length is not None:
            options["max_length"] = length
        features = with_text_start(preprocess(texts, **options), tokenizer, prompt)
        return {f"{column}_{key}": value for key, value in features.items()}

    def _reader(self, side: str) -> tuple[Callable, Any]:
        """Return the function that tokenises texts for the student or for the teacher, and its tokenizer."""
        if side == "student":
            return self.preprocess_fn, self.student_tokenizer
        assert self.teacher_preprocess_fn is not None
        return self.teacher_preprocess_fn, self.teacher_tokenizer

    def _host_collator(self) -> BaseDataCollator:
        if self._host is None:
            host = MultiVectorEncoderDataCollator if self.late_interaction else BaseDataCollator
            self._host = host(
                preprocess_fn=self.preprocess_fn,
                valid_label_columns=self.valid_label_columns,
                router_mapping=self.router_mapping,
                prompts=self.prompts,
                max_length=self.max_length,
            )
        return self._host

    @staticmethod
    def _text(row: dict[str, Any], column: str, name: str | None) -> str:
        text = row[column]
        if isinstance(text, str) and text.strip():
            return text
        other = row["translation" if column == "source" else "source"]
        raise InputError(
            f"the text is {text!r}, in the row whose other side is {str(other)[:80]!r}",
            "remove or repair the row",
            path=name,
            field=column,
        )
