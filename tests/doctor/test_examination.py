from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from script_modules import ROOT, load_script

from hf_optical.doctor import Checks, evaluation_index, examine, quick_check, write_clean
from hf_optical.doctor.kinds import bit_of, kinds_of
from hf_optical.doctor.lengths import length_scores
from hf_optical.doctor.mixture import mixture
from hf_optical.doctor.optional import LanguageCheck, check_with_model
from hf_optical.doctor.page import write_page
from hf_optical.errors import InputError


def _toy(rows: int, seed: int = 0) -> list[tuple[str, str]]:
    """A made-up language: word for word, so that the truth is known."""
    draw = random.Random(seed)
    english = ["".join(draw.choices("abcdefgh", k=6)) for _ in range(300)]
    other = ["".join(draw.choices("mnoprstu", k=6)) for _ in range(300)]
    pairs = []
    for _ in range(rows):
        chosen = draw.sample(range(300), draw.randint(6, 14))
        pairs.append((" ".join(english[i] for i in chosen), " ".join(other[i] for i in reversed(chosen))))
    return pairs


def _found(rows: list, **options: object) -> list[list[str]]:
    return [kinds_of(int(flags)) for flags in examine(rows, **options).flags]  # type: ignore[arg-type]


def test_each_row_gets_its_defects() -> None:
    rows = [
        {"en": "Good morning to you", "sw": "Habari ya asubuhi"},
        {"en": "Thank you very much", "sw": "Thank you, very much!"},
        {"en": " \u200b", "sw": "Asante"},
        {"en": "a\x07b", "sw": "Karibu sana"},
        {"en": "good morning to you!", "sw": "habari ya ASUBUHI"},
        {"en": "They bought 12 goats", "sw": "Walinunua mbuzi 21"},
        {"en": "Welcome home", "sw": "добро пожаловать"},
        {"en": "no translation", "sw": None},
        {"en": "caf\ufffd", "sw": "mkahawa"},
        {"en": "word " * 300, "sw": "neno"},
    ]
    found = _found(rows, language="sw")
    expected = [
        [],
        ["copy"],
        ["empty"],
        ["control"],
        ["duplicate"],
        ["number"],
        ["script"],
        ["unreadable"],
        ["encoding"],
    ]
    assert found[:-1] == expected
    assert "overlong" in found[-1]


def test_bad_rows_are_counted_and_do_not_stop(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(
        '{"en": "one goat", "sw": "mbuzi mmoja"}\n{broken\n\n{"en": 3, "sw": "tatu"}\n{"en": "x y", "sw": "z"}\n'
    )
    found = examine(path)
    assert found.verdict.counts["unreadable"] == 3
    assert found.numbers[found.flags & bit_of("unreadable") > 0].tolist() == [2, 3, 4]
    with pytest.raises(InputError, match="no such file"):
        examine(tmp_path / "absent.jsonl")


def test_misaligned_rows_of_a_known_language_are_found() -> None:
    pairs = _toy(1500)
    draw = random.Random(3)
    wrong = draw.sample(range(1500), 150)
    spoilt = list(pairs)
    for row, other in zip(wrong, [*wrong[1:], wrong[0]], strict=True):
        spoilt[row] = (pairs[row][0], pairs[other][1])
    marked = {row for row, kinds in enumerate(_found(spoilt)) if "misaligned" in kinds}
    assert len(marked & set(wrong)) >= 0.9 * len(wrong)
    assert len(marked & set(wrong)) >= 0.9 * len(marked)
    assert sum("misaligned" in kinds for kinds in _found(pairs)) <= 15


def test_a_file_without_any_relation_is_not_judged() -> None:
    left, right = _toy(800, 1), _toy(800, 2)
    rows = [(a, b) for (a, _), (_, b) in zip(left, right, strict=True)]
    verdict = examine(rows).verdict
    assert "misaligned" in verdict.skipped or verdict.counts["misaligned"] > 400


def test_mixture_recovers_the_share() -> None:
    rng = np.random.default_rng(0)
    for share in (0.0, 0.1, 0.4):
        random_ones = int(4000 * share)
        scores = np.concatenate([rng.normal(0, 1, random_ones), rng.normal(5, 1, 4000 - random_ones)])
        assert mixture(scores, rng.normal(0, 1, 4000)).share == pytest.approx(
            share, abs=0.04
        )  # the least of noisy bounds is a little low


def test_length_scores_do_not_move_with_the_outliers() -> None:
    rng = np.random.default_rng(0)
    english = rng.integers(30, 200, 2000)
    other = english * np.exp(rng.normal(0, 0.15, 2000))
    other[:100] *= 6
    scores, _, _ = length_scores(english, other)
    assert (np.abs(scores[:100]) > 4).all()
    assert (np.abs(scores[100:]) > 4).sum() <= 2


def test_cleaning_keeps_fields_and_says_why(tmp_path: Path) -> None:
    rows = [{"en": "Good day", "sw": "Siku njema", "id": 1}, {"en": "Same", "sw": "same", "id": 2}]
    found = examine(rows)
    kept, dropped = write_clean([found], tmp_path / "clean.jsonl", tmp_path / "dropped.jsonl")
    assert (kept, dropped) == (1, 1)
    assert json.loads((tmp_path / "clean.jsonl").read_text()) == rows[0]
    left = json.loads((tmp_path / "dropped.jsonl").read_text())
    assert (left["row"], left["kinds"], left["fields"]) == (2, ["copy"], rows[1])
    assert examine(rows, checks=Checks(drop=["none"])).verdict.dropped == 0


def test_duplicates_across_files() -> None:
    first = examine([("Good day", "Siku njema")])
    again = examine([("good day!", "siku njema"), ("Other", "Nyingine")], earlier=first.keys)
    assert again.verdict.counts["duplicate"] == 1


def test_a_file_larger_than_memory_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.jsonl"
    path.write_text("".join(json.dumps({"en": a, "sw": b}) + "\n" for a, b in _toy(5000)) + '{"en": "x", "sw": "x"}\n')
    held = examine(path, checks=Checks(misaligned=False))
    monkeypatch.setattr("hf_optical.doctor.facts._HELD_CHARACTERS", 1000)
    read_again = examine(path, checks=Checks(misaligned=False))
    assert read_again._held is None
    assert np.array_equal(held.flags, read_again.flags)
    assert held.verdict.examples == read_again.verdict.examples
    assert read_again.verdict.bytes_per_row < 100


def test_overlap_with_an_evaluation_folder(tmp_path: Path) -> None:
    for name, text in (
        ("corpus.en", "A heron waited beside the quiet pond for the whole afternoon"),
        ("queries.sw", "Korongo"),
    ):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"id": "x1", "text": text}) + "\n")
    (tmp_path / "qrels.sw.trec").write_text("x1 0 x1 1\n")
    index = evaluation_index([str(tmp_path)], "swh_Latn")
    found = examine(
        [("a heron waited beside the quiet pond for the whole afternoon.", "Korongo alisubiri")], index=index
    )
    assert found.verdict.counts["eval_exact"] == 1
    assert found.verdict.level == "dirty"
    assert "corpus.en.jsonl: x1" in found.details[0, "eval_exact"]


def test_the_page_escapes_what_the_data_say(tmp_path: Path) -> None:
    rows = [("<script>alert(1)</script> & \u202eabc\x1b", "<img src=x onerror=alert(1)>"), ("a", "b")]
    html = write_page([examine(rows).verdict], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html and "<img" not in html
    assert "&lt;script&gt;" in html
    assert "\u202e" not in html and "\x1b" not in html
    assert "http://" not in html and "https://" not in html


def test_quick_check_leaves_out_the_slow_checks() -> None:
    verdict = quick_check([("Good day", "Siku njema"), ("", "x")], language="sw")
    assert verdict.counts["empty"] == 1
    assert "near_duplicate" not in verdict.counts and "misaligned" in verdict.skipped


def test_planted_noise_is_deterministic_and_mostly_found() -> None:
    plant = load_script(ROOT / "benchmarks" / "plant_noise.py")
    pairs = _toy(1000)
    noisy, planted = plant.plant_noise(pairs, 0.2, 7)
    assert (noisy, planted) == plant.plant_noise(pairs, 0.2, 7)
    assert len(planted) == 200
    assert all((noisy[i] == pairs[i]) == (i not in planted) for i in range(1000))
    found = _found(noisy)
    for kind, expected in (("copy", "copy"), ("mojibake", "encoding")):
        assert all(expected in found[row] for row, name in planted.items() if name == kind)


def test_planted_defects_are_found() -> None:
    bench = load_script(ROOT / "benchmarks" / "doctor_planted.py")
    found = {0: {"copy", "script"}, 1: {"script"}, 2: {"copy"}}
    row = bench.score("script", {0: "copy", 1: "script"}, found)
    assert (row["recall"], row["precision"]) == (1.0, 1.0)
    row = bench.score("copy", {0: "copy", 1: "script"}, found)
    assert (row["recall"], row["precision"]) == (1.0, 0.5)


def test_the_recipe_reads_examines_and_writes(tmp_path: Path) -> None:
    path = tmp_path / "sw.jsonl"
    path.write_text(
        "".join(json.dumps({"en": a, "xx": b}) + "\n" for a, b in [("Good day", "Siku njema"), ("a b", "a b")])
    )
    command = [sys.executable, "recipes/doctor.py", str(path), "--write", str(tmp_path / "clean.jsonl")]
    command += ["--output_dir", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Swahili" in done.stdout
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["verdicts"][0]["counts"]["copy"] == 1
    assert (tmp_path / "out" / "report.html").is_file()
    assert len((tmp_path / "clean.dropped.jsonl").read_text().splitlines()) == 1
    refused = subprocess.run(
        [*command[:2], str(path), "--drop", "typo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "unknown kind of defect 'typo'" in refused.stderr


class _HashedWords:
    """Stands for an encoder of both languages: the toy's words mapped to the same random directions."""

    def __init__(self) -> None:
        draw = random.Random(0)
        english = ["".join(draw.choices("abcdefgh", k=6)) for _ in range(300)]
        other = ["".join(draw.choices("mnoprstu", k=6)) for _ in range(300)]
        directions = np.random.default_rng(0).normal(size=(300, 64))
        self._vectors = {word: v for words in (english, other) for word, v in zip(words, directions, strict=True)}

    def encode(self, texts: list[str], **options: object) -> np.ndarray:
        sums = [sum((self._vectors[word] for word in text.split()), np.full(64, 1e-6)) for text in texts]
        return np.array([vector / np.linalg.norm(vector) for vector in sums])


def test_a_model_marks_wrong_pairs_and_completes_the_verdict() -> None:
    pairs = _toy(600)
    spoilt = [*pairs[:540], *((pairs[i][0], pairs[i - 100][1]) for i in range(540, 600))]
    found = examine(spoilt, checks=Checks(misaligned=False))
    before = found.verdict.dropped
    check_with_model(found, _HashedWords())
    marked = np.flatnonzero(found.flags & bit_of("teacher"))
    assert len(set(marked) & set(range(540, 600))) >= 57
    assert len(marked) <= 63
    assert found.verdict.counts["teacher"] == len(marked)
    assert found.verdict.dropped == int(np.count_nonzero(found.flags & found.drop)) > before


def test_another_language_is_marked_where_it_can_be_identified() -> None:
    pytest.importorskip("py3langid")
    rows = [
        ("The child reads a big book at school every morning", "Mtoto anasoma kitabu kikubwa shuleni kila asubuhi"),
        (
            "The child reads a big book at school every morning",
            "Das Kind liest jeden Morgen ein großes Buch in der Schule",
        ),
        ("The child reads", "Das Kind"),
    ]
    found = examine(rows, language="sw", row_checks=[LanguageCheck("swh_Latn")])
    assert [bool(flags & bit_of("language")) for flags in found.flags] == [False, True, False]
    assert "deu_Latn" in found.details[1, "language"]
