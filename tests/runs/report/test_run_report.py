"""The page of a run: what it shows, that queries are chosen evenly, that it is safe and needs no network."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from hf_optical.data.retrieval import RetrievalSet
from hf_optical.evaluation.retrieval import scores_of_run
from hf_optical.results import table_rows
from hf_optical.runs.report import write_run_report
from hf_optical.runs.report.examples import examples, spread
from hf_optical.runs.report.page import LABELS

QUERIES = {f"q{i}": f"swali {i} <b>ńdị</b>" for i in range(30)}
CORPUS = {f"d{i}": f"Document {i} & <script>alert({i})</script> " + "long words " * 60 for i in range(30)}
ITEM = RetrievalSet("news", "ibo_Latn", "eng_Latn", QUERIES, CORPUS, {f"q{i}": {f"d{i}": 1} for i in range(30)}, None)

HISTORY = [{"step": step, "loss": 1 / step, "ot": 0.2 / step} for step in (20, 40, 60)]


def run(right):
    """The right document first for these queries, another first for the rest."""
    found = {}
    for i in range(30):
        wrong, good = f"d{(i + 1) % 30}", f"d{i}"
        found[f"q{i}"] = {good: 2.0, wrong: 1.0} if i in right else {wrong: 2.0, good: 1.0}
    return found


def measured():
    runs = {table_rows.RAW: run(range(0, 5)), table_rows.AFTER: run(range(3, 25))}
    scores = {row: scores_of_run(ITEM, found) for row, found in runs.items()}
    best = {row: {query: list(documents) for query, documents in found.items()} for row, found in runs.items()}
    return scores, best


class Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.texts, self.tags = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "line", "rect", "circle", "polyline", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in ("line", "rect", "circle", "polyline"):
            return
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def page(tmp_path, said="p = 0.01", **more):
    scores, best = measured()
    plan = {"title": "1, after training", "rows": ["ńdị"], "columns": ["people"], "plan": [[1.0]], "words": True}
    results = {
        "pairs": 4000, "command": "hf-optical train --bitext <pairs>.tsv", "seconds": 125.0, "peak_memory_mb": 812.0,
        "config": {"max_steps": 64, "batch_size": 32, "objective": "ot+rank", "student": "extend"},
        "history": [*HISTORY, {"step": 64, "train_runtime": 90}],
        "data": [{"path": "<pairs>.tsv", "rows": 4000, "sha256": "a" * 64}], "versions": {"torch": "2"},
        **more,
    }  # fmt: skip
    place = write_run_report(
        tmp_path, results, languages=["ibo_Latn"], rankings=[(ITEM, scores, best)], plans=[plan],
        sentences=[f"news ibo_Latn, after against raw: {said}, win: better beyond chance"],
    )  # fmt: skip
    return place.read_text(encoding="utf-8")


def test_the_page_shows_scores_queries_plans_curves_and_costs(tmp_path):
    text = page(tmp_path)
    parser = Balanced()
    parser.feed(text)
    assert not parser.open
    shown = " ".join(" ".join(parser.texts).split())
    for said in ("Igbo", "4,000 sentence pairs", "better beyond chance", "2 min", "812 MB", "What was found", "steps"):
        assert said in shown, said
    scores, _ = measured()
    for row in (table_rows.RAW, table_rows.AFTER):
        assert f"{scores[row].metrics['ndcg@10']:.3f}".removeprefix("0") in shown
        assert f">{scores[row].metrics['ndcg@10']:.2f}<".replace("0.", ".") in text
    assert text.count('class="right"') >= 10 and shown.count("nDCG@10: raw ") == 10
    assert "ńdị – people: 100 %" in text


def test_a_row_has_one_name_and_a_score_one_form(tmp_path):
    text = page(tmp_path)
    shown = text.partition("</style>")[2]
    for row in (table_rows.RAW, table_rows.AFTER):
        assert f">{row}</text>" in text and f"<h4>{row}: {LABELS[row]}</h4>" in text, "bars and queries"
        assert f">news, Igbo: {row}</th>" in text and f"<li>{row}: {table_rows.MEANINGS[row]}</li>" in text
    assert not re.search(
        r"(?<![\d=\"])0\.\d\d(?!\d)", re.sub(r"<svg.*?</svg>|<pre.*?</pre>|p = 0\.01", "", shown, flags=re.S)
    )


def test_scores_and_tests_stand_beside_each_other(tmp_path):
    parser = Balanced()
    parser.feed(page(tmp_path))
    assert not parser.open
    assert [attributes.get("class") for tag, attributes in parser.tags].count("beside") == 2


def test_corrected_p_values_are_explained_once(tmp_path):
    assert page(tmp_path, "p (Holm) = 0.01").count("by itself. p (Holm) is corrected") == 1
    assert "(Holm)" not in page(tmp_path)


def test_nothing_comes_from_elsewhere_and_nothing_that_users_named_is_code(tmp_path):
    text = page(tmp_path)
    assert "<script" not in text and "default-src 'none'" in text
    assert not re.search(r"(src|href)=\"(?!#)", text)
    assert "&lt;b&gt;ńdị" in text and "&lt;pairs&gt;.tsv" in text


def test_without_a_retrieval_set_the_page_says_so(tmp_path):
    place = write_run_report(tmp_path, {"config": {}, "history": []}, languages=["ibo_Latn"])
    assert "nothing was measured" in place.read_text(encoding="utf-8")


def test_queries_are_chosen_from_the_largest_loss_to_the_largest_gain():
    scores, best = measured()
    found = examples(ITEM, scores, best)
    changes = [example.scores["after"] - example.scores[example.start] for example in found]
    assert len(found) == 10 and changes == sorted(changes)
    every = [new["ndcg@10"] - scores["raw"].per_query[q]["ndcg@10"] for q, new in scores["after"].per_query.items()]
    assert (changes[0], changes[-1]) == (min(every), max(every)) and changes[0] < 0 < changes[-1]
    assert len({example.query for example in found}) == 10
    first = found[0].found["raw"]
    assert first[0].relevant and len(first[0].text) <= 160 and first[0].text.endswith("…")
    assert examples(ITEM, {"after": scores["after"]}, best) == []


def test_queries_are_compared_with_the_student_before_training():
    scores, best = measured()
    scores[table_rows.INITIALIZED] = scores_of_run(ITEM, run(range(20, 30)))
    best[table_rows.INITIALIZED] = best[table_rows.RAW]
    found = examples(ITEM, scores, best)
    assert {example.start for example in found} == {table_rows.INITIALIZED}
    assert found[0].scores["after"] - found[0].scores["initialized"] < 0, "the largest loss by training"
    scores[table_rows.BEFORE], best[table_rows.BEFORE] = scores[table_rows.RAW], best[table_rows.RAW]
    assert table_rows.BEFORE not in examples(ITEM, scores, best)[0].found, "a copy found what its teacher found"


def test_an_excerpt_starts_where_the_answer_stands():
    passage = "First words. " * 20 + "The goat sleeps under the tree. And so on."
    item = RetrievalSet("s", "swh_Latn", "eng_Latn", {"q": "Mbuzi"}, {"d": passage}, {"q": {"d": 1}},
                        {"q": "The goat sleeps under the tree."})  # fmt: skip
    scores = {row: scores_of_run(item, {"q": {"d": 1.0}}) for row in ("raw", "after")}
    (example,) = examples(item, scores, {"raw": {"q": ["d"]}, "after": {"q": ["d"]}})
    assert example.found["after"][0].text.startswith("… The goat sleeps under the tree.")


def test_an_even_choice_has_both_ends():
    assert spread([str(i) for i in range(100)], 10)[::9] == ["0", "99"]
