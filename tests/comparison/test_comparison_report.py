from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from script_modules import load_script
from stub_comparison import write_plans, write_recipe

from hf_optical.commands import compare
from hf_optical.comparison import cells_of
from hf_optical.comparison.tables import Table, to_latex, to_markdown
from hf_optical.comparison.verdicts import display, number, p_value
from hf_optical.errors import InputError

ARMS = {
    "contrastive": {"objective": "nce", "learning_rate": 0.0},
    "ot+contrastive": {"objective": "ot+nce", "learning_rate": 0.06},
    "worse": {"objective": "mse", "learning_rate": -0.16},
    "same": {"objective": "cos", "learning_rate": 0.0},
}
LANGUAGES = ("sw", "mr")


def load_recipe(folder):
    """The real command, with a stub of the training command."""
    module = load_script(Path(compare.__file__))
    module.TRAINING = write_recipe(folder)
    return module


def options(folder, out="out"):
    bitext = folder / "bi <script>alert(1)<script> text.tsv"
    if not bitext.exists():
        rows = "".join(f"English sentence {i}\tsentensi ya {i}\n" for i in range(4000))
        bitext.write_text("source\ttranslation\n" + rows)
    return {
        "output_dir": str(folder / out),
        "common": {"student": "extend", "teacher": "t", "max_steps": 3, "batch_size": 2},
        "languages": {language: {"bitext": str(bitext)} for language in LANGUAGES},
        "arms": ARMS,
        "references": [],
        "sizes": ["250", "1000", "all"],
        "curve_arms": ["contrastive", "ot+contrastive"],
        "baseline": "contrastive",
        "workers": "4",
    }


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    recipe = load_recipe(folder)
    recipe.main(recipe.CompareConfig(**options(folder)))
    given = options(folder)
    cells = cells_of(given["output_dir"], given["common"], given["languages"], ARMS, [0, 1, 2])
    for place in (0, 1):  # two arms that start from the same student
        write_plans(cells[place])
    recipe.main(recipe.CompareConfig(**given, report_only=True))
    return folder


@pytest.fixture(scope="module")
def results(compared):
    return json.loads((compared / "out" / "results.json").read_text())


@pytest.fixture(scope="module")
def page(compared):
    return (compared / "out" / "report.html").read_text()


class _Page(HTMLParser):
    """Tags that are opened and closed, ids, links, and the visible text."""

    VOID = ("meta", "br", "line", "polyline", "rect", "circle")

    def __init__(self):
        super().__init__()
        self.stack, self.ids, self.links, self.tags, self.text = [], [], [], [], ""

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        self.links += [value for name, value in attributes if name in ("href", "src")]
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(page):
    parser = _Page()
    parser.feed(page)
    assert not parser.stack
    return parser


def test_the_page_is_whole_and_loads_nothing(page):
    found = parsed(page)
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "") and "https://" not in page
    assert all(link.startswith("#") and link[1:] in found.ids for link in found.links)
    assert len(found.ids) == len(set(found.ids))
    assert not {"script", "link", "iframe", "object", "img"} & {tag for tag, _ in found.tags}
    regions = [attributes for tag, attributes in found.tags if tag == "pre" or attributes.get("class") == "scroll"]
    assert len(regions) > 9
    for region in regions:  # what scrolls can be scrolled with the keyboard, and says what it is
        assert (region["tabindex"], region["role"]) == ("0", "region") and region["aria-label"]
    assert "prefers-color-scheme: dark" in page and 'name="viewport"' in page


def test_what_users_named_is_escaped(page):
    assert "<script>" not in page and "<b>data" not in page and "<i>analala" not in page
    assert "&lt;script&gt;alert(1)&lt;script&gt;" in page and "toy &lt;b&gt;data&lt;/b&gt;.jsonl" in page
    assert "&lt;i&gt;analala&lt;/i&gt;" in page


def test_the_summary_says_what_won_by_how_much_and_what_did_not(page, results):
    (finding,) = results["findings"]
    said = " ".join(finding["sentences"])
    test = results["evaluations"][-1]["arms"]["ot+contrastive"]["tests"]["contrastive"]
    assert finding["place"] == "toy, mean of 2 languages"
    assert said.startswith("ot+contrastive has the highest nDCG@10, ")
    assert f"of the baseline, contrastive: {number(test['difference'], sign=True)}" in said
    assert (
        "This is beyond chance: p < .001" in said and "ahead in 2 of 2, beyond chance in 2 (Swahili, Marathi)" in said
    )
    assert "Worse than the baseline beyond chance: worse (−.1" in said
    assert "Not better, beyond chance, than the student before training: " in said
    assert "teacher, raw query" in said and "(the ceiling)" in said
    text = re.sub(r"\s+", " ", parsed(page).text)
    assert all(sentence in text for sentence in finding["sentences"])


def test_figures_tables_and_curves_are_there(page, results, compared):
    found = parsed(page)
    figures = sorted(path.name for path in (compared / "out" / "figures").iterdir())
    assert sum(tag == "svg" for tag, _ in found.tags) == len(figures) == 10
    assert [name.partition("-")[0] for name in figures] == ["cost"] * 2 + ["curve"] * 2 + ["forest"] * 3 + ["plan"] * 3
    assert {curve["method"] for curve in results["curves"]} == {"contrastive", "ot+contrastive", "initialized extend"}
    assert all(len(curve["sizes"]) == 3 for curve in results["curves"])
    said = results["more_bitext"]
    assert said and all("from 1,000 to 4,000 pairs nDCG@10" in text for text in said)
    assert all("3 sizes say nothing of still more pairs." in text for text in said) and "doubling" not in page
    assert "English queries: nDCG@10" in page and "pool: language bias" in page and "Cost of a run" in page


def test_the_twins_have_the_same_numbers(compared, results):
    markdown, latex = ((compared / "out" / f"report.{kind}").read_text() for kind in ("md", "tex"))
    entry = next(e for e in results["evaluations"] if e["language"] == "swh_Latn")
    for arm in ARMS:
        mean = number(entry["arms"][arm]["mean"])
        assert re.search(rf"\| {re.escape(arm)} \| \**{re.escape(mean)} ±", markdown)
        assert re.search(rf"^{re.escape(arm)} & (\\textbf{{)?{re.escape(mean)} ", latex, re.MULTILINE)
    assert latex.count("\\toprule") == latex.count("\\end{table}") == 1
    assert "<script>" not in "".join(markdown.split("```")[::2]) and "\\<b\\>data" in markdown


def without_times(content):
    times = {"seconds", "train_seconds", "peak_memory_mb"}
    if isinstance(content, dict):
        return {key: without_times(value) for key, value in content.items() if key not in times}
    return [without_times(item) for item in content] if isinstance(content, list) else content


def test_two_comparisons_give_the_same_results_apart_from_times(compared, results):
    recipe = load_recipe(compared)
    given = {**options(compared, "again"), "plans": 1}
    recipe.main(recipe.CompareConfig(**given))
    recipe.main(recipe.CompareConfig(**given, report_only=True))
    again = json.loads((compared / "again" / "results.json").read_text())
    for content in (results, again):
        content["config"].pop("output_dir")
    assert without_times(again) == without_times(results)
    assert again["cost"] != results["cost"]  # these are times


def test_bad_options_stop_before_anything_runs(tmp_path):
    recipe = load_recipe(tmp_path)
    for change, field in (({"baseline": "nothing"}, "baseline"), ({"metric": "ndcg"}, "metric")):
        with pytest.raises(InputError, match=f"field '{field}'"):
            recipe.main(recipe.CompareConfig(**{**options(tmp_path), **change}))
    with pytest.raises(InputError, match="no run is finished"):
        recipe.main(recipe.CompareConfig(**options(tmp_path), report_only=True))
    assert not (tmp_path / "out" / "runs").exists()


def test_tables_escape_for_their_language():
    table = Table("50 % & more", ["", "a|b"], [["x_y*", "<1 ± .1†"]], frozenset({(0, 1)}))
    assert to_markdown(table) == "|  | a\\|b |\n| --- | ---: |\n| x\\_y\\* | **\\<1 ± .1†** |"
    latex = to_latex(table, "t")
    assert r"x\_y$^{*}$ & \textbf{$<$1 $\pm$ .1$^{\dagger}$} \\" in latex and r"\caption{50 \% \& more}" in latex


def test_names_and_numbers_for_people():
    assert [display(name) for name in ("bm25", "raw (maxsim)", "before copy", "ot+nce")] == [
        "BM25, raw query", "teacher, raw query (maxsim)", "untouched student (copy)", "ot+nce",
    ]  # fmt: skip
    assert [number(value, sign=True) for value in (0.0, -0.0004, 1.0)] == ["+.000", "−.000", "+1.000"]
    assert [p_value(p) for p in (0.0009, 0.05, 0.1, 1.0)] == ["< .001", ".050", ".10", "1.00"]
