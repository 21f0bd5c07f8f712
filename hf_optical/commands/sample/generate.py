"""Generation of the sample data: bitext, questions and passages, and gold alignments, without facts in two splits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypedDict

from hf_optical.commands.sample.facts import Fact, Question, draw_event, draw_existence, draw_question
from hf_optical.commands.sample.grammar import LANGUAGES, align, say, text
from hf_optical.commands.sample.lexicon import Lexicon, lexicon
from hf_optical.errors import InputError

_ATTEMPTS = 200  # draws of a fact or question before the words count as exhausted


class Pair(TypedDict):
    """English sentence, its translation, and links as pairs of word indices (source, translation)."""

    source: str
    translation: str
    alignment: list[tuple[int, int]]


@dataclass(frozen=True)
class Sample:
    """Texts, questions and alignments of the sample data.

    Attributes:
        bitext: Training pairs by language.
        held_out: Pairs by language whose facts occur in no training pair, for the alignment error rate.
        retrieval: English questions, each with a passage that answers it, on which the teacher is trained.
        corpus: English passages by id.
        queries: For each language, including English, the questions by id.
        qrels: For each question the ids of all passages that answer it.
    """

    bitext: Mapping[str, list[Pair]]
    held_out: Mapping[str, list[Pair]]
    retrieval: list[tuple[str, str]]
    corpus: Mapping[str, str]
    queries: Mapping[str, Mapping[str, str]]
    qrels: Mapping[str, list[str]]


class _Fresh:
    """Generator of facts whose content does not occur in any part of the sample drawn before."""

    def __init__(self, random: Random, words: Lexicon) -> None:
        self.random, self.words = random, words
        self.taken: set[tuple[Any, ...]] = set()
        self.said: set[str] = set()

    def fact(self, draw: Callable[[], Fact]) -> Fact:
        """Draw facts with a function until one is new."""
        for _ in range(_ATTEMPTS):
            fact = draw()
            if fact.core not in self.taken:
                self.taken.add(fact.core)
                return fact
        raise InputError("there are too few words for so many different facts", "ask for fewer pairs or passages")

    def passage(self) -> list[Fact]:
        """Draw two to four events with the same person, who has a name in some passages."""
        person = self.random.choice(self.words.persons)
        name = self.random.choice(self.words.names) if self.random.random() < 0.15 else None
        count = self.random.choice((2, 3, 3, 4))
        return [self.fact(lambda: draw_event(self.random, self.words, person, name)) for _ in range(count)]

    def content(self) -> Fact | Question:
        """Draw the content of a sentence of bitext: mostly events, sometimes questions or statements of existence."""
        chance = self.random.random()
        if chance < 0.1:
            return self.fact(lambda: draw_existence(self.random, self.words))
        name = self.random.choice(self.words.names) if self.random.random() < 0.15 else None
        event = self.fact(lambda: draw_event(self.random, self.words, name=name))
        return draw_question(self.random, event) if chance < 0.4 else event

    def pairs(self, count: int, language: str) -> list[Pair]:
        """Draw parallel sentences whose English is new in the whole sample."""
        pairs: list[Pair] = []
        while len(pairs) < count:
            content = self.content()
            source, translation = say(content, "eng_Latn"), say(content, language)
            if text(source) in self.said:
                continue
            self.said.add(text(source))
            pairs.append(Pair(source=text(source), translation=text(translation), alignment=align(source, translation)))
        return pairs


def generate(
    seed: int = 0,
    n_bitext: int = 4000,
    n_passages: int = 400,
    languages: Sequence[str] = LANGUAGES,
    *,
    n_queries: int = 200,
    n_retrieval: int = 4000,
    n_held_out: int = 200,
) -> Sample:
    """Generate sample data; equal arguments give equal data.

    Args:
        seed: Seed of the random generator.
        n_bitext: Number of training pairs per language.
        n_passages: Number of passages of the evaluation corpus.
        languages: FLORES codes, from `grammar.LANGUAGES`.
        n_queries: Number of questions of the evaluation.
        n_retrieval: Number of question-passage pairs for the teacher.
        n_held_out: Number of pairs per language that are kept for the alignment error rate.

    Raises:
        InputError: A language has no grammar here, or there are too few words for so many texts.

    Example:
        >>> sample = generate(n_bitext=5, n_passages=4, n_queries=2, n_retrieval=3, n_held_out=1)
        >>> len(sample.bitext["swh_Latn"]), len(sample.corpus), sorted(sample.queries)[0]
        (5, 4, 'eng_Latn')
    """
    for language in languages:
        if language not in LANGUAGES:
            problem, remedy = f"there is no grammar for {language!r}", f"choose one of {', '.join(LANGUAGES)}"
            raise InputError(problem, remedy, field="languages")
    fresh = _Fresh(Random(seed), lexicon())
    passages = [fresh.passage() for _ in range(n_passages)]
    questions = _questions(fresh, passages, n_queries)
    retrieval = _retrieval(fresh, n_retrieval)
    held_out = {language: fresh.pairs(n_held_out, language) for language in languages}
    names = [f"p{number}" for number in range(n_passages)]
    return Sample(
        bitext={language: fresh.pairs(n_bitext, language) for language in languages},
        held_out=held_out,
        retrieval=retrieval,
        corpus={name: _passage_text(facts) for name, facts in zip(names, passages, strict=True)},
        queries={
            language: {f"q{number}": text(say(each, language)) for number, each in enumerate(questions)}
            for language in ("eng_Latn", *languages)
        },
        qrels={
            f"q{number}": [
                name for name, facts in zip(names, passages, strict=True) if any(map(question.answered_by, facts))
            ]
            for number, question in enumerate(questions)
        },
    )


def write(sample: Sample, folder: str | Path) -> None:
    """Write sample data as the files that the recipes read.

    These are `bitext.<lang>.jsonl` and `alignments.<lang>.jsonl` (source, translation, alignment),
    `en_retrieval.jsonl` (query, passage), and `eval/` with `corpus.en.jsonl`, `queries.<lang>.jsonl` (id, text,
    text_en) and `qrels.all.trec`.

    Args:
        sample: The data.
        folder: Folder for the files, created if missing; existing files of these names are replaced.
    """
    folder = Path(folder)
    (folder / "eval").mkdir(parents=True, exist_ok=True)
    for language, pairs in sample.bitext.items():
        _write_rows(folder / f"bitext.{language}.jsonl", pairs)
        _write_rows(folder / f"alignments.{language}.jsonl", sample.held_out[language])
    _write_rows(folder / "en_retrieval.jsonl", ({"query": query, "passage": text} for query, text in sample.retrieval))
    _write_rows(folder / "eval" / "corpus.en.jsonl", ({"id": id, "text": text} for id, text in sample.corpus.items()))
    english = sample.queries["eng_Latn"]
    for language, queries in sample.queries.items():
        name = "en" if language == "eng_Latn" else language
        rows = ({"id": id, "text": text, "text_en": english[id]} for id, text in queries.items())
        _write_rows(folder / "eval" / f"queries.{name}.jsonl", rows)
    qrels = [f"{query} 0 {passage} 1\n" for query, passages in sample.qrels.items() for passage in passages]
    (folder / "eval" / "qrels.all.trec").write_text("".join(qrels), encoding="utf-8")


def _questions(fresh: _Fresh, passages: list[list[Fact]], count: int) -> list[Question]:
    """Draw different questions about facts of the passages."""
    questions: list[Question] = []
    for _ in range(_ATTEMPTS * count):
        if len(questions) == count:
            return questions
        question = draw_question(fresh.random, fresh.random.choice(fresh.random.choice(passages)))
        said = text(say(question, "eng_Latn"))
        if said not in fresh.said:
            fresh.said.add(said)
            questions.append(question)
    raise InputError(f"{len(passages)} passages do not allow {count} questions", "ask for more passages")


def _retrieval(fresh: _Fresh, count: int) -> list[tuple[str, str]]:
    """Draw passages, and pair each with a question about each of its facts."""
    pairs: list[tuple[str, str]] = []
    while len(pairs) < count:
        facts = fresh.passage()
        asked = (text(say(draw_question(fresh.random, fact), "eng_Latn")) for fact in facts)
        passage = _passage_text(facts)
        pairs += [(question, passage) for question in asked if question not in fresh.said]
    return pairs[:count]


def _passage_text(facts: Iterable[Fact]) -> str:
    return " ".join(text(say(fact, "eng_Latn")) for fact in facts)


def _write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
