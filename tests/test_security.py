"""What is never done: foreign code run, pickles read, YAML objects built, unescaped text in pages, tokens said."""

from __future__ import annotations

import ast
import logging
import os
import re

import pytest
import tiny_models
from script_modules import ROOT, call, load_recipe

from hf_optical.configuration.parsing import parse
from hf_optical.errors import InputError

SOURCES = sorted([*(ROOT / "hf_optical").rglob("*.py"), *(ROOT / "recipes").rglob("*.py")])
UNPICKLING = re.compile(
    r"(c?[pP]ickle|dill|cloudpickle|joblib|marshal|shelve)(\.|$)|torch\.(load|hub)\b|(pd|pandas)\.read_pickle"
)
# Cards are Markdown, whose tables escape their own cells.
WRITTEN_AS_TEXT = {"hf_optical/publishing/card.py": "Environment without autoescape"}
EVALUATING = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}


def called(node: ast.Call) -> str:
    """The dotted name of what is called; of a method of something unnamed, its own name."""
    return ast.unparse(node.func)


def offences(tree: ast.AST) -> list[str]:
    """Whatever runs code that came in as data."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [f"{node.lineno}: imports {name}" for name in names if UNPICKLING.match(name)]
        if not isinstance(node, ast.Call):
            continue
        name, options = called(node), {word.arg: ast.unparse(word.value) for word in node.keywords}
        if options.get("trust_remote_code", "False") != "False":
            found.append(f"{node.lineno}: {name}(trust_remote_code={options['trust_remote_code']})")
        if UNPICKLING.match(name) and not (name == "torch.load" and options.get("weights_only") == "True"):
            found.append(f"{node.lineno}: {name}")
        if options.get("allow_pickle", "False") != "False":
            found.append(f"{node.lineno}: {name}(allow_pickle={options['allow_pickle']})")
        if name in EVALUATING or options.get("shell", "False") != "False":
            found.append(f"{node.lineno}: {name}")
        if name in ("yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all") and "SafeLoader" not in (
            _bases(tree).get(options.get("Loader", ""), options.get("Loader", ""))
        ):
            found.append(f"{node.lineno}: {name}")
        if name.endswith((".extractall", ".extract")) and "filter" not in options:
            found.append(f"{node.lineno}: {name} without a filter")
        if name.endswith("Environment") and "jinja" in ast.unparse(tree) and options.get("autoescape") != "True":
            found.append(f"{node.lineno}: {name} without autoescape")
    return found


def _bases(tree: ast.AST) -> dict[str, str]:
    return {
        node.name: " ".join(map(ast.unparse, node.bases)) for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_source_runs_code_that_came_in_as_data(path):
    name = path.relative_to(ROOT).as_posix()
    found = offences(ast.parse(path.read_text(encoding="utf-8")))
    assert [offence for offence in found if not offence.endswith(WRITTEN_AS_TEXT.get(name, "\0"))] == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import torch; torch.load('a')",
        "torch.load('a', weights_only=False)",
        "numpy.load('a', allow_pickle=True)",
        "SentenceTransformer('a', trust_remote_code=True)",
        "load_dataset('a', trust_remote_code=config.trust)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.load(text)",
        "eval(text)",
        "subprocess.run(line, shell=True)",
        "tarfile.open('a').extractall('b')",
        "import jinja2; jinja2.Environment()",
    ],
)
def test_the_scan_finds_what_it_looks_for(code):
    assert offences(ast.parse(code))


@pytest.mark.parametrize(
    "code", ["torch.load('a', weights_only=True)", "load(name, trust_remote_code=False)", "yaml.safe_load(x)"]
)
def test_the_scan_leaves_sound_code_alone(code):
    assert offences(ast.parse(code)) == []


def test_yaml_makes_no_objects(tmp_path):
    from hf_optical.runs.options import TrainConfig

    mark = tmp_path / "mark"
    file = tmp_path / "run.yaml"
    for tag in (
        f"!!python/object/apply:os.mkdir ['{mark}']",
        f"!!python/object/new:os.mkdir ['{mark}']",
        "!!python/name:os.system",
    ):
        file.write_text(f"teacher: {tag}\n", encoding="utf-8")
        with pytest.raises(InputError, match="invalid YAML"):
            parse(TrainConfig, ["--config", str(file)])
    assert not mark.exists()


def test_pages_escape_what_users_wrote():
    """Names of arms, languages and texts come from files; a page is opened in a browser."""
    templates = sorted((ROOT / "hf_optical").rglob("*.j2"))
    for template in templates:
        content = template.read_text(encoding="utf-8")
        unsafe = re.findall(r"{{[^}]*\|\s*safe\b[^}]*}}|{%\s*autoescape\s+false", content)
        # Drawings made by figures/, which escape their own texts, are the only thing put in as it is.
        assert all("svg" in found or "figure" in found or "drawing" in found for found in unsafe), (template, unsafe)
    pages = [path for path in SOURCES if re.search(r"<(html|table|td|svg)\b", path.read_text(encoding="utf-8"))]
    for page in pages:
        content = page.read_text(encoding="utf-8")
        assert "escape" in content or "autoescape=True" in content, f"{page} writes HTML and escapes nothing"


@pytest.fixture
def recipe():
    return load_recipe("train")


TOKEN = "hf_" + "ThisIsNoTokenButLooksLikeOne0123"


def test_a_token_of_the_environment_occurs_nowhere(recipe, tmp_path, monkeypatch, capfd, caplog):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "WANDB_API_KEY"):
        monkeypatch.setenv(name, TOKEN)
    tiny_models.dense(tmp_path / "parts", tiny_models.ENGLISH).save_pretrained(str(tmp_path / "teacher"))
    rows = tiny_models.bitext(24)
    (tmp_path / "pairs.tsv").write_text(
        "en\tsw\n" + "".join(f"{row['source']}\t{row['translation']}\n" for row in rows), encoding="utf-8"
    )
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "corpus.en.jsonl").write_text('{"id": "d", "text": "the goat"}\n', encoding="utf-8")
    (tmp_path / "eval" / "queries.sw.jsonl").write_text('{"id": "q", "text": "mbuzi"}\n', encoding="utf-8")
    (tmp_path / "eval" / "qrels.sw.trec").write_text("q 0 d 1\n", encoding="utf-8")
    flags = {"teacher": "teacher", "student": "copy", "language": "sw", "bitext": "pairs.tsv", "eval": "eval"}
    flags |= {"output_dir": "out", "max_steps": "2", "save_steps": "1", "batch_size": "4", "keep_checkpoints": "true"}
    monkeypatch.chdir(tmp_path)
    # Nobody answers at this address: what is said of the failure is looked at too.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with caplog.at_level(logging.DEBUG):
        code = call(recipe, flags, "--push_to_hub", "somebody/something")
    printed = capfd.readouterr()
    assert code == 2 and "somebody/something" in printed.err
    said = [printed.out, printed.err, *(record.getMessage() for record in caplog.records)]
    assert not any(TOKEN in text for text in said)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {"results.json", "run.json", "trainer_state.json", "training_args.bin", "README.md"} <= {
        path.name for path in files
    }
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]
    assert os.environ["HF_TOKEN"] == TOKEN
