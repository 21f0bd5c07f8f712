"""Lexicons, questions with passages, and retrieval sets that are not what they should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bad_input import Bad, Flags, Place, packed, tsv


def _lexicon(content: str | bytes, name: str = "lexicon.tsv") -> Callable[[Place], Flags]:
    return lambda place: {"lexicon": place.file(name, content)}


def _pairs(content: str | bytes, name: str = "questions.jsonl", kind: str = "mono/en") -> Callable[[Place], Flags]:
    return lambda place: {"query_passages": f"{kind}={place.file(name, content)}"}


def _rows(*rows: dict) -> str:
    sound = [{"query": f"the goat {i}", "passage": f"the goat sleeps {i}"} for i in range(6)]
    return "".join(json.dumps(row) + "\n" for row in [*sound, *rows])


def _set(spoil: Callable[[Path], object], **flags: str | None) -> Callable[[Place], Flags]:
    def make(place: Place) -> Flags:
        folder = place.copy("eval")
        spoil(folder)
        return {"eval": str(folder), **flags}

    return make


def _append(name: str, content: str | bytes) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        with (folder / name).open("ab") as file:
            file.write(content.encode() if isinstance(content, str) else content)

    return spoil


def _write(name: str, content: str | bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def _remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _somali(place: Place) -> Flags:
    return {"language": "so", "bitext": place.file("pairs.tsv", tsv(header="en\tso"))}


def _counted(name: str, identifier: str, spoil: Callable[[Path], object], file: str) -> Bad:
    """What is left out on request, and counted in a warning."""
    says = (file, identifier, "1 in all", "left out")
    return Bad(name, says, _set(spoil, on_problem="warn"), "evaluate", "warning")


_QUERIES, _CORPUS, _QRELS = "queries.sw.jsonl", "corpus.en.jsonl", "qrels.all.trec"
_NOBODY = '{"id": "q99", "text": "mbuzi"}\n'

LEXICONS = [
    Bad("lexicon_empty", ("lexicon.tsv", "empty"), _lexicon(b""), "lexicon"),
    Bad("lexicon_one_column", ("lexicon.tsv", "two columns"), _lexicon("en\ngoat\n"), "lexicon"),
    Bad("lexicon_blank", ("lexicon.tsv", "row 3", "'sw'"), _lexicon("en\tsw\ngoat\tmbuzi\ndog\t \n"), "lexicon"),
    Bad("lexicon_latin1", ("lexicon.tsv", "row 2", "UTF-8"), _lexicon(b"en\tsw\nmother\tm\xe8re\n"), "lexicon"),
    Bad("lexicon_cut", ("lexicon.tsv.gz", "gzip"), _lexicon(packed(tsv())[:-9], "lexicon.tsv.gz"), "lexicon"),
    Bad("lexicon_nowhere", ("x.tsv", "no such file"), lambda place: {"lexicon": place.path("x.tsv")}, "lexicon"),
    Bad("lexicon_of_a_run", ("lexicon.tsv", "row 2", "'sw'"), _lexicon("en\tsw\ngoat\t \n")),
]

PAIRS = [
    Bad(
        "pairs_unnamed",
        ("'query_passages'", "NAME=FILE"),
        lambda place: {"query_passages": place.file("questions.jsonl", _rows())},
    ),
    Bad("pairs_kind", ("'query_passages'", "trio/eng_Latn"), _pairs(_rows(), kind="trio/en")),
    Bad("pairs_language", ("'swq'", "swh_Latn"), _pairs(_rows(), kind="mono/swq")),
    Bad("pairs_nowhere", ("nowhere.jsonl", "no such file"), lambda place: {"query_passages": "mono/en=nowhere.jsonl"}),
    Bad("pairs_empty", ("questions.jsonl", "empty"), _pairs(b"")),
    Bad("pairs_header_only", ("questions.tsv", "no row"), _pairs("query\tpassage\n", "questions.tsv")),
    Bad("pairs_columns", ("questions.tsv", "query"), _pairs("a\tb\nwho?\tthe goat\n", "questions.tsv")),
    Bad(
        "pairs_columns_twice",
        ("questions.tsv", "row 1", "'passage'"),
        _pairs("query\tpassage\tpassage\nwho?\tthe goat\tthe dog\n", "questions.tsv"),
    ),
    Bad("pairs_question_empty", ("row 7", "'query'", "empty"), _pairs(_rows({"query": "", "passage": "the goat"}))),
    Bad("pairs_passage_number", ("row 7", "'passage'", "int"), _pairs(_rows({"query": "the goat", "passage": 3}))),
    Bad("pairs_passage_missing", ("row 7", "'passage'", "missing"), _pairs(_rows({"query": "the goat"}))),
    Bad("pairs_id_nested", ("row 7", "'id'"), _pairs(_rows({"id": ["x"], "query": "the goat", "passage": "a dog"}))),
    Bad("pairs_utf16_cut", ("questions.jsonl", "UTF-16"), _pairs(_rows().encode("utf-16")[:-1])),
]

SETS = [
    Bad("eval_nowhere", ("nowhere", "no such folder"), lambda place: {"eval": place.path("nowhere")}),
    Bad("eval_a_file", ("set.jsonl", "folder"), lambda place: {"eval": place.file("set.jsonl", "{}\n")}),
    Bad("eval_no_files", ("not a retrieval set", "corpus"), lambda place: {"eval": str(place.folder)}),
    Bad("eval_no_qrels", ("no qrels file",), _set(_remove(_QRELS))),
    Bad("eval_language_without_queries", ("Somali", "som_Latn"), _somali),
    Bad(
        "eval_query_twice", (_QUERIES, "row 25", "'q0'", "row 1"), _set(_append(_QUERIES, '{"id": "q0", "text": "x"}'))
    ),
    Bad("eval_document_twice", (_CORPUS, "row 25", "'c1'"), _set(_append(_CORPUS, '{"id": "c1", "text": "x"}'))),
    Bad("eval_query_empty", (_QUERIES, "empty text", "'q99'"), _set(_append(_QUERIES, '{"id": "q99", "text": " "}'))),
    Bad("eval_text_null", (_CORPUS, "row 25", "'text'", "null"), _set(_append(_CORPUS, '{"id": "c99", "text": null}'))),
    Bad("eval_text_missing", (_CORPUS, "row 25", "'text'"), _set(_append(_CORPUS, '{"id": "c99", "body": "x"}'))),
    Bad("eval_id_missing", (_CORPUS, "row 25", "'id'"), _set(_append(_CORPUS, '{"text": "x"}'))),
    Bad("eval_query_unjudged", (_QUERIES, "'q99'", "positive"), _set(_append(_QUERIES, _NOBODY))),
    Bad("eval_document_missing", (_QRELS, "'c99'", "row 25"), _set(_append(_QRELS, "q0 0 c99 1\n"))),
    Bad("eval_qrels_columns", (_QRELS, "row 25", "2 columns"), _set(_append(_QRELS, "q0 c0\n"))),
    Bad("eval_qrels_grade", (_QRELS, "row 25", "'high'"), _set(_append(_QRELS, "q0 0 c1 high\n"))),
    Bad("eval_qrels_half_grade", (_QRELS, "row 25", "'0.5'"), _set(_append(_QRELS, "q0 0 c1 0.5\n"))),
    Bad("eval_qrels_two_grades", (_QRELS, "row 25", "row 1"), _set(_append(_QRELS, "q0 0 c0 0\n"))),
    Bad("eval_qrels_empty", (_QRELS, "empty"), _set(_write(_QRELS, ""))),
    Bad("eval_qrels_negative", (_QRELS, "no judgement is positive"), _set(_write(_QRELS, "q0 0 c0 0\n"))),
    Bad("eval_qrels_of_others", (_QRELS, "no judgement concerns"), _set(_write(_QRELS, "x 0 y 1\n"))),
    Bad("eval_qrels_utf16_cut", (_QRELS, "UTF-16"), _set(_write(_QRELS, "q0 0 c0 1\n".encode("utf-16")[:-1]))),
    Bad("eval_corpus_empty", (_CORPUS, "empty"), _set(_write(_CORPUS, ""))),
    Bad("eval_corpus_cut", ("corpus.en.jsonl.gz", "gzip"), _set(lambda folder: _gzipped(folder / _CORPUS))),
    Bad("eval_corpus_broken", (_CORPUS, "row 25", "JSON"), _set(_append(_CORPUS, '{"id": "c99", "text"'))),
    Bad("eval_two_files", ("queries.swh_Latn.jsonl", "same language"), _set(_write("queries.swh_Latn.jsonl", _NOBODY))),
]

MEASURED = [
    Bad("evaluate_document_missing", (_QRELS, "'c99'"), _set(_append(_QRELS, "q0 0 c99 1\n")), "evaluate"),
    _counted("evaluate_document_missing_counted", "'c99'", _append(_QRELS, "q0 0 c99 1\n"), _QRELS),
    _counted("evaluate_query_empty_counted", "'q99'", _append(_QUERIES, '{"id": "q99", "text": " "}'), _QUERIES),
    Bad(
        "evaluate_unknown_language_of_a_file",
        ("queries.swq.jsonl", "is not read", "swq"),
        _set(_write("queries.swq.jsonl", _NOBODY)),
        "evaluate",
        "warning",
    ),
    Bad("evaluate_unknown_set", ("nowhere", "no such folder"), lambda place: {"eval": "nowhere"}, "evaluate"),
    Bad("evaluate_language", ("som_Latn",), lambda place: {"languages": "so"}, "evaluate"),
    Bad("evaluate_metric", ("'metric'", "ndcg@10"), lambda place: {"metric": "bleu"}, "evaluate"),
    Bad("evaluate_on_problem", ("on_problem",), lambda place: {"on_problem": "ignore"}, "evaluate"),
    Bad("evaluate_interaction", ("interaction", "'cosine'"), lambda place: {"interaction": "cosine"}, "evaluate"),
    Bad("evaluate_top_k", ("top_k",), lambda place: {"top_k": "0"}, "evaluate"),
    Bad("evaluate_batch_size", ("batch_size",), lambda place: {"batch_size": "-4"}, "evaluate"),
    Bad("evaluate_no_copy", ("ciral", "no such folder"), lambda place: {"eval": "ciral:so@nowhere"}, "evaluate"),
    Bad(
        "evaluate_cache_is_a_file",
        ("cache",),
        lambda place: {"document_cache": place.file("cache", "not a folder")},
        "evaluate",
    ),
]


def _gzipped(path: Path) -> None:
    path.with_name(f"{path.name}.gz").write_bytes(packed(path.read_bytes())[:-12])
    path.unlink()


CASES = [*LEXICONS, *PAIRS, *SETS, *MEASURED]
