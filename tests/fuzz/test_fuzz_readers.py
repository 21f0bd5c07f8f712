"""Whatever a file holds, a reader returns sound rows or says what is wrong."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import random
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from fuzz_profiles import fuzz
from hypothesis import strategies as st

from hf_optical.data.bitext import read_bitext
from hf_optical.data.lexicon import read_lexicon
from hf_optical.data.pairs import PairReport
from hf_optical.data.qrels import read_qrels
from hf_optical.data.query_passages import read_query_passages
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.errors import InputError

PAIRS = [("The goat sleeps.", "Mbuzi analala."), ('Water, "cold"', "Maji ya baridi"), ("ሀ", "हिन्दी")] * 2
WEIRD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["", " ", "\u200b", "\0", "\ud800", "a\tb", 'a"b', "a\r\nb", "\u2028", "\ufeff", "e\u0301"]),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)
NAMES = st.sampled_from(
    ["en", "sw", "source", "translation", "text", "id", "lang", "xx", "question", "passage", "", "a.b"]
)


@functools.cache
def sound(suffix: str) -> bytes:
    """A sound file of each format."""
    rows = [{"en": english, "sw": other} for english, other in PAIRS]
    if suffix == ".parquet":
        stream = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), stream)
        return stream.getvalue()
    text = {
        ".jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        ".json": json.dumps(rows),
        ".tsv": "en\tsw\n" + "\n".join("\t".join(pair) for pair in PAIRS),
        ".csv": "en,sw\n" + "\n".join(f'"{pair[0].replace(chr(34), chr(34) * 2)}",{pair[1]}' for pair in PAIRS),
    }[suffix.removesuffix(".gz")] + "\n"
    return gzip.compress(text.encode(), mtime=0) if suffix.endswith(".gz") else text.encode()


def spoilt(content: bytes, seed: int, edits: int) -> bytes:
    """Bytes changed, cut, doubled, or replaced by awkward ones, at random places."""
    randomness, found = random.Random(seed), bytearray(content)
    awkward = [
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b'"',
        b"\t",
        b"\r",
        b"\n\n",
        b"{",
        b"[1]",
        b"\x1f\x8b",
        b"\xed\xa0\x80",
    ]
    for _ in range(edits):
        at = randomness.randrange(len(found) + 1)
        until = min(len(found), at + randomness.choice([1, 1, 3, 40]))
        change = randomness.randrange(5)
        if change == 0:
            del found[at:until]
        elif change == 1:
            found[at:at] = randomness.choice(awkward)
        elif change == 2:
            found[at:until] = randomness.randbytes(until - at)
        elif change == 3:
            found[at:at] = found[at:until]
        else:
            del found[at:]
    return bytes(found)


SUFFIXES = st.sampled_from([".jsonl", ".jsonl.gz", ".json", ".tsv", ".tsv.gz", ".csv", ".parquet"])
BYTES = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda suffix, seed, edits: spoilt(sound(suffix), seed, edits), SUFFIXES, st.integers(0), st.integers(1, 6)
    ),
)


@contextlib.contextmanager
def written(name: str, content: bytes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


def check_texts(rows, columns) -> None:
    assert len(rows) > 0 and rows.column_names == list(columns)
    for row in rows:
        for column in columns:
            assert isinstance(row[column], str) and row[column].strip() and "\0" not in row[column]
            row[column].encode("utf-8")


@fuzz(7, suffix=SUFFIXES, seed=st.integers(0), edits=st.integers(0, 6), bad=st.sampled_from(["error", "skip"]))
def test_spoilt_bitext(suffix, seed, edits, bad):
    with written(f"pairs{suffix}", spoilt(sound(suffix), seed, edits)) as path, contextlib.suppress(InputError):
        report = PairReport()
        rows = read_bitext(path, on_bad_rows=bad, report=report)
        check_texts(rows, ("source", "translation"))
        assert report.kept == len(rows)


@fuzz(4, suffix=SUFFIXES, content=BYTES)
def test_any_bytes_as_a_lexicon(suffix, content):
    with written(f"lexicon{suffix}", content) as path, contextlib.suppress(InputError):
        check_texts(read_lexicon(path), ("source", "translation"))


@fuzz(4, rows=st.lists(st.one_of(WEIRD, st.dictionaries(NAMES, WEIRD, max_size=4)), min_size=1, max_size=5))
def test_rows_in_memory(rows):
    with contextlib.suppress(InputError):
        check_texts(read_bitext([dict(en=a, sw=b) for a, b in PAIRS] + rows), ("source", "translation"))


@fuzz(4, rows=st.lists(st.dictionaries(NAMES, WEIRD, max_size=4), max_size=4), content=BYTES, lines=st.booleans())
def test_questions_and_passages(rows, content, lines):
    good = [{"question": english, "passage": other} for english, other in PAIRS]
    found = "\n".join(json.dumps(row) for row in [*good, *rows]).encode() if lines else content
    with written("pairs.jsonl", found) as path, contextlib.suppress(InputError):
        read = read_query_passages(path, "cross/swh_Latn-eng_Latn")
        check_texts(read.rows, ("query", "passage"))
        assert all(isinstance(identifier, str) for identifier in read.ids)


@fuzz(
    4,
    spoil=st.sampled_from(["corpus", "queries", "qrels"]),
    seed=st.integers(0),
    edits=st.integers(1, 4),
    warn=st.booleans(),
)
def test_retrieval_sets(spoil, seed, edits, warn):
    files = {
        "corpus": ("corpus.en.jsonl", "".join(f'{{"id": "c{i}", "text": "a goat {i}"}}\n' for i in range(4))),
        "queries": ("queries.sw.jsonl", "".join(f'{{"id": "q{i}", "text": "mbuzi {i}"}}\n' for i in range(4))),
        "qrels": ("qrels.sw.trec", "".join(f"q{i} 0 c{i} 1\n" for i in range(4))),
    }
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(InputError):
        for kind, (name, text) in files.items():
            content = spoilt(text.encode(), seed, edits) if kind == spoil else text.encode()
            (Path(folder) / name).write_bytes(content)
        found = read_retrieval_set(folder, "sw", on_problem="warn" if warn else "error")
        assert found.queries.keys() == found.qrels.keys()
        assert all(any(grade > 0 for grade in grades.values()) for grades in found.qrels.values())
        assert all(document in found.corpus for grades in found.qrels.values() for document in grades)


@fuzz(2, content=st.one_of(st.binary(max_size=120), st.text("q0c1 \t\n.-+e9\u0663\u00b2", max_size=60).map(str.encode)))
def test_judgements(content):
    with written("qrels.trec", content) as path, contextlib.suppress(InputError):
        assert all(isinstance(found.grade, int) for found in read_qrels(path))
