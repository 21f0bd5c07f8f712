"""What README and guides show is true: Python runs, commands are taken by their programs, files that they name exist.

A block may be left out by a comment of its own line before it, ``<!-- not run: REASON -->``. Ids of models stand for
tiny ones, and ``max_steps=500`` for 2.
"""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import tiny_models
import torch
from tiny_sets import write_retrieval_set, write_rows

from hf_optical.adapters import LanguageAdapters
from hf_optical.commands.listing import COMMANDS
from hf_optical.comparison import cells_of
from hf_optical.configuration.parsing import parse

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"(?:<!-- not run: ?(?P<reason>.*?) ?-->\n+)?^```(?P<language>\w+)\n(?P<code>.*?)^```", re.M | re.S)
_FILE = re.compile(r"^(?:recipes|benchmarks|tests|hf_optical|docs)/[\w./-]+$")
_BROUGHT = re.compile(r"\.\./(?:shared|models)|\b(?:TEACHER|E5|SCRATCH)\b")  # names for data and encoders of the reader
_HARMLESS = {"export", "source", "pytest", "pip-audit", "hf", "curl", "uvicorn", "text-embeddings-router"}
_LONGEST = 24
_FRAMEWORKS = ("langchain_core", "llama_index", "haystack")  # snippets run where they are installed


@dataclass(frozen=True)
class Block:
    page: str
    number: int
    language: str
    code: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}-{self.number}"


def blocks(language: str) -> list[Block]:
    found = []
    for page in PAGES:
        for number, match in enumerate(_BLOCK.finditer(page.read_text(encoding="utf-8")), start=1):
            if match["language"] == language:
                found.append(Block(str(page.relative_to(ROOT)), number, language, match["code"], match["reason"]))
    return found


def commands(code: str) -> list[list[str]]:
    """The commands of a shell block, as words; ``$NAME`` becomes ``NAME``, assignments in front are left out."""
    found = []
    for line in code.replace("\\\n", " ").splitlines():
        line = re.sub(r"\s+#.*", "", line)
        line = re.sub(r"\w+=\$\(.*\);?", "", line).replace("$", "")
        for part in re.split(r"&&|;", line) if '"' not in line else [line]:
            words = shlex.split(part)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words:
                found.append(words)
    return found


SHELL = [(block, words) for block in blocks("bash") for words in commands(block.code)]


@cache
def recipe(name: str):
    return importlib.import_module(f"hf_optical.commands.{name}"), COMMANDS[name].config()


def arguments_of(words: list[str]) -> tuple[str, list[str]] | None:
    """The command of hf-optical that is called, as such or by its script or module, and its arguments."""
    if words[0] == "hf-optical":
        return (words[1], words[2:]) if words[1] in COMMANDS else None
    at = next(
        (place for place, word in enumerate(words) if re.fullmatch(r"recipes/\w+\.py|hf_optical.train", word)), None
    )
    if at is None or words[0] not in ("python", "accelerate", "torchrun"):
        return None
    return Path(words[at].replace("hf_optical.", "recipes/")).stem, words[at + 1 :]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with what the guides suppose that their reader has."""
    monkeypatch.chdir(tmp_path)
    tiny_models.dense(tmp_path, tiny_models.ENGLISH, positions=128).save_pretrained(str(tmp_path / "dense"))
    tiny_models.late(tmp_path, tiny_models.ENGLISH).save_pretrained(str(tmp_path / "late"))
    shutil.copytree(tmp_path / "dense", tmp_path / "outputs" / "swahili-pair")
    for name, languages in {
        "horn": ("swh_Latn", "som_Latn"),
        "tagalog": ("tgl_Latn",),
        "swahili": ("swh_Latn",),
    }.items():
        adapters = LanguageAdapters(tiny_models.dense(tmp_path, tiny_models.ENGLISH))
        for language in languages:
            torch.manual_seed(len(language))
            adapters.add(language, r=2)
        adapters.save(tmp_path / "outputs" / name / "model")
    rows = {row["source"]: row["translation"] for row in tiny_models.bitext(160)}
    lines = [f"{source}\t{translation}" for source, translation in rows.items()]
    (tmp_path / "pairs.tsv").write_text("\n".join(["en\tsw", *lines]) + "\n", encoding="utf-8")
    for name in ("recipes", "benchmarks"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def execute(code: str, name: str) -> dict:
    code = code.replace("sentence-transformers/all-MiniLM-L6-v2", "dense")
    code = code.replace("colbert-ir/your-english-model", "late").replace("max_steps=500", "max_steps=2")
    names: dict = {"__name__": "__main__"}
    exec(compile(code, name, "exec"), names)
    return names


def test_there_are_pages_and_snippets_for_both_stock_trainers():
    assert len(PAGES) > 20
    python = [block.code for block in blocks("python")]
    assert sum("SentenceTransformerTrainer(" in code for code in python) == 1
    assert sum("MultiVectorEncoderTrainer(" in code for code in python) == 1


def test_a_block_that_is_not_run_says_why():
    left_out = [block for language in ("python", "bash") for block in blocks(language) if block.reason is not None]
    assert left_out and all(len(block.reason.split()) >= 3 for block in left_out)
    marked = sum(page.read_text(encoding="utf-8").count("<!-- not run") for page in PAGES)
    assert marked == len(left_out)  # none that stands before no block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_between_pages_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.is_file(), f"{page.name}: {target}"
        if file.suffix != ".md":  # a picture
            assert not anchor
            continue
        headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.M)
        slugs = {re.sub(r"[ -]+", "-", re.sub(r"[^\w\s-]", "", heading.lower())) for heading in headings}
        assert not anchor or anchor in slugs, f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_whose_commands_name_what_is_not_here_says_what_to_bring(page):
    text = page.read_text(encoding="utf-8")
    code = "\n".join([*re.findall(r"^```bash\n(.*?)^```", text, flags=re.M | re.S), *re.findall(r"`([^`\n]+)`", text)])
    names = set(_BROUGHT.findall(code)) - set(re.findall(r"^(\w+)=", code, flags=re.M))  # set by the page itself
    link = "](#what-to-bring)" if page.name == "RESULTS.md" else "RESULTS.md#what-to-bring)"
    assert not names or link in text, f"{page.name} does not say what {', '.join(sorted(names))} stands for"


def test_every_guide_is_in_the_menu_and_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="the site's generator is not installed: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert built.returncode == 0, built.stdout + built.stderr
    page = (tmp_path / "site" / "reference" / "transport.html").read_text(encoding="utf-8")
    assert (
        "Inexact proximal point method for optimal transport" in page
        and ":class:`" not in page
        and "&gt;&gt;&gt;" in page
    )


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_runs(workplace, block):
    if block.reason is not None:
        pytest.skip(block.reason)
    assert len(block.code.strip().splitlines()) <= _LONGEST
    for framework in _FRAMEWORKS:
        if f"from {framework}" in block.code:
            pytest.importorskip(framework, reason=f"{framework} is not installed")
    names = execute(block.code, str(block))
    if isinstance(names.get("found"), str):
        assert names["found"] in block.code  # a document
    if "trainer" in names:
        assert names["trainer"].state.global_step == 2


@pytest.mark.parametrize(("block", "words"), SHELL, ids=lambda value: str(value) if isinstance(value, Block) else "")
def test_a_command_is_one_that_its_program_takes(block, words, monkeypatch):
    monkeypatch.chdir(ROOT)
    for word in words:
        if _FILE.match(word) and "/results/" not in word:
            assert (ROOT / word).exists(), f"{block}: there is no {word}"
    called = arguments_of(words)
    if called is not None:
        _, config = recipe(called[0])
        if "mine.yaml" not in called[1]:
            parse(config, called[1])
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.M)
    elif words[:2] == ["pip", "install"]:
        extras = [name for word in words for found in re.findall(r"\[(.*)\]", word) for name in found.split(",")]
        for name in extras:
            assert re.search(rf"^{name} = \[", (ROOT / "pyproject.toml").read_text(), flags=re.M), name
    elif words[0] == "python" and words[1].startswith("benchmarks/"):
        source = (ROOT / words[1]).read_text(encoding="utf-8")
        for flag in (word for word in words if word.startswith("--")):
            assert re.search(rf"\b{flag[2:].replace('-', '[-_]')}\b", source), f"{words[1]} has no {flag}"
    elif words[0] == "python" and words[1] == "space/app.py":
        assert (ROOT / "hf_optical" / "publishing" / "space" / "app.py").is_file()
    else:
        assert words[0] in _HARMLESS or words[:3] == ["python3", "-m", "venv"], f"{block}: {words}"


def test_an_unknown_flag_is_found():
    from hf_optical.errors import InputError

    _, config = recipe("train")
    with pytest.raises(InputError, match="unknown option"):
        parse(config, arguments_of(["python", "recipes/train.py", "--bitexts", "x"])[1])
    assert len([words for _, words in SHELL if arguments_of(words)]) > 25


def test_the_configuration_of_the_comparison_is_whole(tmp_path):
    block = next(block for block in blocks("yaml") if block.page == "docs/comparison.md")
    assert len(block.code.strip().splitlines()) < 20
    (tmp_path / "mine.yaml").write_text(block.code, encoding="utf-8")
    _, kind = recipe("compare")
    config = parse(kind, ["--config", str(tmp_path / "mine.yaml")])
    cells = cells_of(str(tmp_path), config.common, config.languages, config.arms, config.seeds)
    assert len(cells) == len(config.arms) * len(config.seeds)
    assert config.baseline in config.arms


def test_the_first_guide_from_its_first_to_its_last_command(workplace, monkeypatch, capsys):
    """The walk of a reader: doctor, train, evaluate, search, publish; only the teacher is a tiny one."""
    shutil.rmtree(workplace / "outputs" / "swahili")
    page = "docs/first_language.md"
    (use,) = (block.code for block in blocks("python") if block.page == page)
    rows = tiny_models.bitext(12, seed=7)
    texts = {f"d{i}": text for i, text in enumerate(rows["source"])}
    write_rows(Path("documents.jsonl"), [{"id": name, "text": text} for name, text in texts.items()])
    write_retrieval_set(Path("eval"), {"en": list(texts.values())}, {"sw": list(rows["translation"])})
    done = []
    for block, words in SHELL:
        called = arguments_of(words) if block.page == page else None
        if called is None:
            continue
        name, arguments = called
        if name == "train":  # a vocabulary of words cannot be extended, and 200 steps are many
            place = arguments.index("--max_steps") + 1
            arguments = [*arguments[:place], "2", *arguments[place + 1 :], "--student", "copy", "--max_length", "32"]
        module, config = recipe(name)
        module.main(parse(config, [argument.replace("TEACHER", "dense") for argument in arguments]))
        done.append(name)
    assert done == ["doctor", "train", "evaluate", "search", "publish"]
    execute(use, page)
    site, trained = workplace / "site", workplace / "outputs" / "swahili" / "model"
    assert (site / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    card = (site / "README.md").read_text()
    assert "| **after** | 0." in card and "adapters" not in card and not (site / "adapters").exists()
    assert capsys.readouterr().out.strip().splitlines()[-1].endswith(".")  # a document


def test_the_second_day_from_its_first_to_its_last_command(workplace, capsys):
    """A student goes on, two runs are compared, two languages in a run, one more as an adapter, an index kept."""
    shutil.rmtree(workplace / "outputs")
    rows = tiny_models.bitext(12, seed=7)
    write_retrieval_set(Path("eval"), {"en": list(rows["source"])}, {"sw": list(rows["translation"])})
    write_rows(Path("documents.jsonl"), [{"id": f"d{i}", "text": text} for i, text in enumerate(rows["source"])])
    for seed, (name, tag) in enumerate((("more", "sw"), ("so", "so"), ("tl", "tl")), start=1):
        lines = [f"{row['source']}\t{row['translation']}" for row in tiny_models.bitext(60, seed=seed)]
        Path(f"{name}.tsv").write_text("\n".join([f"en\t{tag}", *lines]) + "\n", encoding="utf-8")
    done = []
    for block, words in SHELL:
        called = arguments_of(words) if block.page == "docs/second_day.md" else None
        if called is None or "tensorboard" in words:
            continue
        name, arguments = called
        if name == "train":
            student = [] if "--student" in arguments else ["--student", "copy"]
            arguments = [*arguments, *student, "--max_steps", "2", "--batch_size", "4", "--max_length", "32"]
        module, config = recipe(name)
        module.main(parse(config, [argument.replace("TEACHER", "dense") for argument in arguments]))
        done.append(name)
    assert done == ["train", "train", "compare", "train", "train", "publish", "search", "search"]
    printed = capsys.readouterr().out
    assert "the second against the first" in printed
    assert "documents added" in printed and "soft transport, after reranking" in printed
    assert "adapters/tgl_Latn" in Path("site-tagalog/README.md").read_text()
