"""Training data of a run: bitext by language, and sets of questions and passages, named by kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets

from hf_optical.batching.policy import HybridPolicy
from hf_optical.data.bitext import read_bitext
from hf_optical.data.contexts import context_pairs, read_documents
from hf_optical.data.fingerprint import file_fingerprint, rows_hash
from hf_optical.data.held_out import Split, document_names, split_bitext
from hf_optical.data.languages import ENGLISH, language_name, normalize
from hf_optical.data.lexicon import read_lexicon
from hf_optical.data.licences import licence_counts
from hf_optical.data.pairs import PairReport
from hf_optical.data.parallel_files import parallel_files
from hf_optical.data.query_passages import QueryPassages, read_query_passages
from hf_optical.errors import InputError
from hf_optical.runs.options import TrainConfig


@dataclass
class TrainingData:
    """The training sets of a run.

    Args:
        bitext: Rows with columns ``source`` and ``translation``, by FLORES code of the translations.
        held_out: Pairs of the same files that are not used for training, by language; empty if none are held out.
        retrieval: Questions and passages by name (``mono/...``, ``cross/...``).
        documents: Documents of the index that are trained on as English sentences of themselves, or None.
        lexicon: Word pairs to inject before training, or None.
        start_lexicon: Word pairs that help to grow the student, or None.
        fingerprints: Path, rows and hash of each file that was read.
        licences: Licences and origins by the hash of the file, with counts of rows.
        notes: The columns and numbers of rows that were read; they are printed, because a guess may be wrong.
        report: Findings of the readers, including the rows that were left out.
    """

    bitext: dict[str, Dataset]
    held_out: dict[str, Dataset] = field(default_factory=dict)
    retrieval: dict[str, QueryPassages] = field(default_factory=dict)
    documents: Dataset | None = None
    lexicon: Dataset | None = None
    start_lexicon: Dataset | None = None
    fingerprints: list[dict[str, Any]] = field(default_factory=list)
    licences: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    report: PairReport = field(default_factory=PairReport)

    @property
    def languages(self) -> list[str]:
        """Return the FLORES codes of the languages of the run."""
        return list(self.bitext)

    @property
    def pairs(self) -> int:
        """Return the total number of training pairs."""
        return sum(len(rows) for rows in self.bitext.values())

    def count_licences(self, path: str) -> None:
        """Count licences and origins in the file whose fingerprint was added last."""
        self.licences[self.fingerprints[-1]["sha256"]] = licence_counts(path)

    def with_licences(self, fingerprints: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add the counted licences and origins to the fingerprints, for ``results.json`` and the model card."""
        return [{**entry, **self.licences.get(entry["sha256"], {})} for entry in fingerprints]

    def all_bitext(self) -> Dataset:
        """Concatenate the pairs of all languages, for the vocabulary and the first rows of a grown student."""
        return (
            concatenate_datasets(list(self.bitext.values()))
            if len(self.bitext) > 1
            else next(iter(self.bitext.values()))
        )

    def for_growing(self) -> Dataset:
        """Return the texts from which a student is grown: all bitext and the words of a lexicon."""
        if self.start_lexicon is None:
            return self.all_bitext()
        columns = ["source", "translation"]
        return concatenate_datasets([rows.select_columns(columns) for rows in (self.all_bitext(), self.start_lexicon)])

    def sets(self, *, bitext: bool = True) -> dict[str, Dataset]:
        """Return the training sets by name, in the order that the sampler uses."""
        found = {f"bitext/{ENGLISH}-{language}": rows for language, rows in self.bitext.items()} if bitext else {}
        if self.documents is not None:
            found[f"bitext/{ENGLISH}-{ENGLISH}"] = self.documents
        return found | {name: pairs.rows for name, pairs in self.retrieval.items()}

    def ids(self) -> dict[str, list[str]]:
        """Return the underlying ids of questions and passages."""
        return {name: pairs.ids for name, pairs in self.retrieval.items()}


def read_training_data(config: TrainConfig) -> TrainingData:
    """Read bitext, and questions and passages.

    Raises:
        InputError: As in the readers; also if a language is given twice, a set has no known form, or there is no set
            for a kind of batches that the options ask for, or no pairs to judge a share of the start.
    """
    files = bitext_by_language(config.bitext, config.language)
    report = PairReport()
    skipping: dict[str, Any] = {"on_bad_rows": config.on_bad_rows, "report": report}
    splits = {code: _bitext(config, code, source, report) for code, source in files.items()}
    data = TrainingData({code: split.train for code, split in splits.items()}, notes=report.messages, report=report)
    data.held_out = {code: split.held_out for code, split in splits.items() if len(split.held_out)}
    if config.start_share and not data.held_out:
        raise InputError(
            f"is {config.start_share}, and of {data.pairs} pairs none are held out to judge the mean",
            "leave it out, or give more pairs",
            field="start_share",
        )
    data.notes += [_of_split(code, split) for code, split in splits.items() if config.share_held_out]
    for code, source in files.items():
        data.fingerprints += _fingerprints(source, data.bitext[code], code, _fields(config))
        data.count_licences(source)
    if config.lexicon:
        data.lexicon = read_lexicon(config.lexicon, language=data.languages[0], **skipping)
        data.fingerprints += _fingerprints(config.lexicon, data.lexicon, data.languages[0])
    if config.start_lexicon:
        data.start_lexicon = read_lexicon(config.start_lexicon, language=data.languages[0], **skipping)
        data.fingerprints += _fingerprints(config.start_lexicon, data.start_lexicon, data.languages[0])
    collected: dict[str, list[QueryPassages]] = defaultdict(list)
    for item in config.query_passages:
        name, equals, path = item.partition("=")
        if not equals:
            raise InputError(
                f"found {item!r}", "write NAME=FILE, e.g. mono/eng_Latn=questions.jsonl", field="query_passages"
            )
        questions = read_query_passages(path, _named(name), use_titles=config.titles)
        collected[_named(name)].append(_drawn(questions, config) if name.startswith("cross/") else questions)
        data.fingerprints.append(file_fingerprint(path))
        data.count_licences(path)
    if config.context_window:
        fields = _fields(config)
        documents = [read_documents(source, code, **fields) for code, source in files.items() if Path(source).exists()]
        made = context_pairs(documents, config.context_window)
        if not made:
            raise InputError(
                "no bitext has a column of documents",
                "add a column 'doc' to it, or set context_window to 0",
                field="context_window",
            )
        for name, pairs in made.items():
            collected[name].append(pairs)
    data.retrieval = {name: _joined(parts) for name, parts in sorted(collected.items())}
    _check_retrieval(config, data)
    return data


def _check_retrieval(config: TrainConfig, data: TrainingData) -> None:
    """Stop where batches of a kind are wanted that there is no set of, or passages are of no use."""
    if data.retrieval:
        HybridPolicy(**config.policy_options()).check_kinds({name.partition("/")[0] for name in data.sets()})
        if config.reads_index_of == "teacher":
            _check_passages_are_english(data.retrieval)


def _check_passages_are_english(names: Iterable[str]) -> None:
    """Stop at passages that the index cannot hold, for the teacher is to read them."""
    for name in names:
        language = name.partition("/")[2].rpartition("-")[2]
        if language != ENGLISH:
            raise InputError(
                f"the passages of {name} are in {language_name(language)}, and the index that stays is English",
                "leave them out (and context_window), or let the student read both sides: document_encoder: student",
                field="query_passages",
            )


def bitext_by_language(items: Sequence[str], alone: str | None) -> dict[str, str]:
    """Return the bitext file of each language.

    Args:
        items: ``CODE=FILE``, or ``FILE``.
        alone: Language of a ``FILE`` without a code.

    Raises:
        InputError: A language is unknown, is English, or has two files.
    """
    files: dict[str, str] = {}
    for item in items:
        code, equals, path = item.partition("=")
        if not equals or Path(item).exists():
            code, path = alone or "", item
        language = normalize(code)
        if language == ENGLISH:
            raise InputError("is English", "name the language of the translations", field="language")
        if language in files:
            raise InputError(
                f"{language} has two files, {files[language]} and {path}",
                "join them, or write CODE=FILE for each language",
                field="bitext",
            )
        files[language] = path
    return files


def _bitext(config: TrainConfig, code: str, source: str, report: PairReport) -> Split:
    rows = read_bitext(
        source,
        **_fields(config),
        language=code,
        on_bad_rows=config.on_bad_rows,  # type: ignore[arg-type]
        report=report,
    )
    share = config.share_held_out
    documents = document_names(source, language=code, **_fields(config)) if share else None
    if config.max_pairs and config.max_pairs < len(rows):
        if documents is not None:
            rows = rows.add_column("doc", documents)
        rows = rows.shuffle(seed=config.seed).select(range(config.max_pairs))
        if documents is not None:
            documents, rows = list(rows["doc"]), rows.remove_columns("doc")
    return split_bitext(rows, documents, share=share, seed=config.seed)


def _fields(config: TrainConfig) -> dict[str, str | None]:
    """Return the columns of bitext that the options name."""
    return {"source_field": config.source_field, "translation_field": config.translation_field}


def _of_split(code: str, split: Split) -> str:
    held, documents = len(split.held_out), split.documents
    if not held:
        return f"{language_name(code)}: no pairs are held out, because there are too few ({len(split.train)})"
    text = f"{language_name(code)}: {held} pairs are held out to choose the best step by"
    text += f"as whole documents where rows name one ({documents})" if documents else ""
    text += f"; {split.echoes} more are left out because one of their sides is held out" if split.echoes else ""
    return f"{text}; {len(split.train)} are used for training"


def _fingerprints(
    source: str, rows: Dataset, language: str, fields: Mapping[str, str | None] = {}
) -> list[dict[str, Any]]:
    """The hash of a file, or of both parallel files; of a Hub data set that of its rows, for its id says little."""
    if files := parallel_files(Path(source), language):
        return [file_fingerprint(files.english), file_fingerprint(files.other)]
    if Path(source).exists():
        columns = [name for name in fields.values() if name is not None]
        return [file_fingerprint(source, columns=columns, language=language)]
    return [{"path": source, "rows": len(rows), "sha256": rows_hash(rows)}]


def _named(name: str) -> str:
    """Replace language codes by FLORES codes in a name such as ``cross/sw-en``."""
    kind, _, languages = name.partition("/")
    return f"{kind}/" + "-".join(normalize(code) for code in languages.split("-")) if languages else name


def _drawn(questions: QueryPassages, config: TrainConfig) -> QueryPassages:
    """As many questions as the options want, drawn with the seed; the smaller draws are part of the larger."""
    most = config.max_questions
    if most is None or most >= len(questions.ids):
        return questions
    places = sorted(np.random.default_rng(config.seed).permutation(len(questions.ids))[:most].tolist())
    return QueryPassages(questions.rows.select(places), [questions.ids[place] for place in places])


def _joined(parts: list[QueryPassages]) -> QueryPassages:
    if len(parts) == 1:
        return parts[0]
    ids = [identifier for part in parts for identifier in part.ids]
    return QueryPassages(concatenate_datasets([part.rows for part in parts]), ids)
