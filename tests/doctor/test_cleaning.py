"""What the doctor writes always trains: names, formats, rows, and a file of which nothing is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hf_optical.data.bitext import read_bitext
from hf_optical.data.languages import normalize
from hf_optical.doctor import Checks, examine, write_clean
from hf_optical.doctor.cleaning import dropped_beside
from hf_optical.doctor.scripts import usual_script
from hf_optical.errors import InputError

PAIRS = [("The goat sleeps here", "Mbuzi analala hapa"), ('She said "wait"', 'Alisema "subiri"'), ("Water", "Maji")]
QUICK = {"near": False, "misaligned": False}


def cleaned(tmp_path, *sources, name="clean.jsonl", drop=(), language="sw", **fields):
    checks = Checks(drop=list(drop), **QUICK)
    found = [examine(source, language=language, checks=checks, **fields) for source in sources]
    clean = tmp_path / name
    return clean, write_clean(found, clean, dropped_beside(clean))


def read(path, language="sw"):
    rows = read_bitext(path, language=language)
    return list(zip(rows["source"], rows["translation"], strict=True))


def tsv(folder, name, header=None, pairs=PAIRS):
    path = folder / name
    path.write_text("".join(f"{a}\t{b}\n" for a, b in ([header] if header else []) + list(pairs)), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".tsv", ".csv", ".jsonl.gz", ".tsv.gz"])
@pytest.mark.parametrize("header", [None, ("en", "sw"), ("source", "target"), ("english", "non_english")])
def test_what_is_written_is_read_in_every_format(tmp_path, suffix, header):
    path, counts = cleaned(tmp_path, tsv(tmp_path, "raw.tsv", header), name=f"clean{suffix}")
    assert counts == (3, 0) and read(path) == PAIRS
    assert dropped_beside(path).name == "clean.dropped.jsonl"
    assert not dropped_beside(path).exists(), "nothing was left out"


def test_files_with_other_names_get_one_pair_of_names(tmp_path):
    first, second = (
        tsv(tmp_path, "a.tsv", ("en", "sw"), PAIRS[:2]),
        tsv(tmp_path, "b.tsv", ("source", "target"), PAIRS[2:]),
    )
    path, counts = cleaned(tmp_path, first, second)
    assert counts == (3, 0) and read(path) == PAIRS
    assert list(json.loads(path.read_text().splitlines()[2])) == ["en", "xx"]


def test_columns_named_by_hand_are_found_without_it(tmp_path):
    others = {"passage_en": "A passage", "en": "note"}
    rows = [{"id": f"r-{i}", "question_en": a, "answer": b, **others} for i, (a, b) in enumerate(PAIRS)]
    (tmp_path / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = {"source_field": "question_en", "translation_field": "answer"}
    path, _ = cleaned(tmp_path, tmp_path / "raw.jsonl", **fields)
    assert read(path) == PAIRS
    assert json.loads(path.read_text().splitlines()[0])["other.passage_en"] == "A passage"


def test_rows_that_no_reader_takes_are_never_written(tmp_path):
    rows = [
        *({"en": a, "sw": b} for a, b in PAIRS),
        {"en": "x", "sw": None},
        {"en": "", "sw": "y"},
        {"en": "a\x00", "sw": "b"},
    ]
    rows += [{"en": "\u3164", "sw": "z"}, {"en": 3, "sw": "z"}]
    (tmp_path / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    path, counts = cleaned(tmp_path, tmp_path / "raw.jsonl", drop=["none"])
    assert counts == (3, 6) and read(path) == PAIRS
    assert all(json.loads(line)["kinds"] for line in dropped_beside(path).read_text().splitlines())


def test_texts_that_only_a_quoted_cell_holds(tmp_path):
    pairs = [('"a ""b"""', "mbuzi"), ('"plain"', "maji"), ('a ""b""', "mbwa")]
    (tmp_path / "raw.jsonl").write_text("".join(json.dumps({"en": a, "sw": b}) + "\n" for a, b in pairs))
    for name in ("clean.tsv", "clean.csv"):
        assert read(cleaned(tmp_path, tmp_path / "raw.jsonl", name=name)[0]) == pairs
    (tmp_path / "tab.jsonl").write_text(json.dumps({"en": "a\tb", "sw": "c"}) + "\n")
    with pytest.raises(InputError, match="TSV file cannot hold"):
        cleaned(tmp_path, tmp_path / "tab.jsonl", name="tab.tsv", drop=["none"])
    assert not (tmp_path / "tab.tsv").exists()
    with pytest.raises(InputError, match=r"\.parquet cannot be written"):
        cleaned(tmp_path, tmp_path / "raw.jsonl", name="clean.parquet")


SERBIAN = [("The house is big today", "Kuća je danas velika"), ("We are going to school", "Mi idemo u školu")]


def test_a_file_that_is_emptied_is_an_error_whose_remedy_works(tmp_path):
    raw = tsv(tmp_path, "sr.tsv", ("en", "sr"), SERBIAN)
    with pytest.raises(InputError, match=r"none of the 2 rows is left \(script: 2\)") as caught:
        cleaned(tmp_path, raw, language="sr", source_field="en", translation_field="sr")
    assert not (tmp_path / "clean.jsonl").exists() and not (tmp_path / "clean.dropped.jsonl").exists()
    code = caught.value.remedy.split()[-1]
    assert code == normalize("sr-Latn") and "--language" in caught.value.remedy
    path, counts = cleaned(tmp_path, raw, language=code, source_field="en", translation_field="sr")
    assert counts == (2, 0) and read(path, "sr-Latn") == SERBIAN


def test_columns_the_wrong_way_round_are_not_written(tmp_path):
    english = "The child of which they spoke is in this house and it was not for them that we have this."
    rows = [{"en": f"Mtoto yumo nyumbani na watu wengi sana leo hapa {i}", "sw": f"{english} {i}"} for i in range(40)]
    (tmp_path / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match="reads as English"):
        cleaned(tmp_path, tmp_path / "raw.jsonl")


def test_a_side_of_codes_is_noted():
    rows = [{"en": f"The goat number {i}", "sw": f"row-{i}"} for i in range(5)]
    notes = examine(
        rows, language="sw", source_field="en", translation_field="sw", checks=Checks(**QUICK)
    ).verdict.notes
    assert any("translation side holds codes" in note for note in notes)
    assert not any("side holds" in note for note in examine(PAIRS, language="sw").verdict.notes)


def test_two_cleaned_files_of_one_folder_keep_their_lists(tmp_path):
    for name in ("a", "b"):
        cleaned(
            tmp_path,
            tsv(tmp_path, f"{name}.tsv", ("en", "sw"), [*PAIRS, ("same text", "same text")]),
            name=f"{name}.clean.jsonl",
        )
    assert len(list(Path(tmp_path).glob("*.dropped.jsonl"))) == 2


def test_scripts():
    assert usual_script(["नमस्ते"]) == "Deva" and usual_script(["ߒߞߏ"]) == "Nkoo" and usual_script(["ሰላም"]) == "Ethi"


def test_a_header_alone_is_no_bitext(tmp_path):
    with pytest.raises(InputError, match="the file has no rows"):
        examine(tsv(tmp_path, "a.tsv", ("en", "sw"), []), language="sw")


@pytest.mark.parametrize("cell", ["mbuzi\ranalala", "mbuzi\r", "\rmbuzi", "mbuzi\x0ba", "mbuzi, a", '"mbuzi"'])
def test_cells_with_a_lone_carriage_return_are_quoted_in_csv(tmp_path, cell):
    rows = [("the goat sleeps", cell), ("the dog eats", "mbwa anakula"), ("the cow runs", "ng'ombe anakimbia")]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"en": en, "sw": sw}) + "\n" for en, sw in rows))
    found = examine(tmp_path / "a.jsonl", checks=Checks(near=False, misaligned=False, drop=["none"]))
    kept, _ = write_clean([found], tmp_path / "clean.csv", tmp_path / "dropped.jsonl")
    again = read_bitext(tmp_path / "clean.csv")
    assert kept == len(again) == 3 and sorted(again["translation"]) == sorted(sw for _, sw in rows)
