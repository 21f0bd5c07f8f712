import dataclasses
import re
from dataclasses import field

import pytest
import tiny_models
from script_modules import RECIPES, ROOT, options_of

from hf_optical.comparison.option_checks import expanded_paths
from hf_optical.configuration.parsing import parse, path_options
from hf_optical.data.bitext import read_bitext
from hf_optical.encoders.models import load_encoder
from hf_optical.errors import InputError
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.places import expanded, user_path
from hf_optical.results.files import write_results


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("DATA", str(folder / "data"))
    monkeypatch.chdir(tmp_path)
    return folder


@dataclasses.dataclass
class Options:
    output_dir: str = field(default="out", metadata={"path": True})
    bitext: list[str] = field(default_factory=list, metadata={"path": True})
    query: str = ""


def test_flags_with_and_without_equals_sign_and_yaml_mean_the_same_folder(home):
    (home / "options.yaml").write_text("output_dir: ~/runs\nbitext: [sw=$DATA/sw.tsv]\n", encoding="utf-8")
    for arguments in (["--output_dir=~/runs"], ["--output_dir", "~/runs"], ["--output_dir=${HOME}/runs"]):
        assert parse(Options, arguments).output_dir == f"{home}/runs"
    found = parse(Options, ["--config=~/options.yaml"])
    assert (found.output_dir, found.bitext) == (f"{home}/runs", [f"sw={home}/data/sw.tsv"])


def test_files_with_spaces_in_a_home_folder_stay_whole(home):
    (home / "my pairs.tsv").touch()
    assert parse(Options, ["--bitext=sw=~/my pairs.tsv"]).bitext == [f"sw={home}/my pairs.tsv"]


def test_text_is_not_a_path(home):
    assert parse(Options, ["--query=~ means about, $5 is money"]).query == "~ means about, $5 is money"


def test_what_exists_as_written_is_taken_as_written(home, tmp_path):
    (tmp_path / "~").mkdir()
    (tmp_path / "$5.tsv").touch()
    assert str(user_path("~")) == "~"
    assert str(user_path("$5.tsv")) == "$5.tsv"


@pytest.mark.parametrize(
    "value",
    ["sentence-transformers/all-MiniLM-L6-v2", "ciral:so", "mteb:NFCorpus", "auto", "swh_Latn=sw.tsv", "http://h:6333"],
)
def test_names_pass(home, value):
    assert expanded(value) == value


@pytest.mark.parametrize(
    ("given", "tail"),
    [("swh_Latn=~/a.tsv", "a.tsv"), ("mono/swh_Latn=$HOME/q.jsonl", "q.jsonl"), ("ciral:so@~/c", "c"), ("~", "")],
)
def test_the_path_behind_a_name_is_expanded(home, given, tail):
    name = re.match(r"[^~$]*", given)[0]
    assert expanded(given).rstrip("/") == f"{name}{home}/{tail}".rstrip("/")


@pytest.mark.parametrize("value", ["~nobody_of_that_name/out", "$NOT_SET_ANYWHERE/out", "${NOT_SET_ANYWHERE}/out"])
def test_a_user_or_variable_that_does_not_exist_is_named(home, value):
    with pytest.raises(InputError, match=r"nobody_of_that_name|NOT_SET_ANYWHERE"):
        parse(Options, ["--output_dir", value])


def test_a_comparison_expands_the_paths_of_its_runs_and_nothing_else(home):
    arms = {"a": {"student": "~/model", "query_prompt": "~ "}}
    assert expanded_paths(arms) == {"a": {"student": f"{home}/model", "query_prompt": "~ "}}


# Options that speak of files and hold none.
_NO_PATHS = {"overwrite", "keep_checkpoints", "collection", "teacher_id", "repo_id", "plan", "max_pairs", "language"}
_NO_PATHS |= {"languages", "document_languages", "text_field", "text_fields", "texts_language", "teacher_cache_dtype"}
_NO_PATHS |= {"push_to_hub"}


def test_every_option_of_a_file_or_folder_is_one_of_a_path():
    """An option that its help calls a file or folder, or that is named like one, is expanded at the door."""
    forgotten = []
    kinds = [*options_of(RECIPES).values(), *options_of(ROOT / "benchmarks").values()]
    assert len(kinds) > 15
    for kind in kinds:
        for entry in dataclasses.fields(kind):
            said = str(entry.metadata.get("help", ""))
            of_files = re.search(r"\b(file|files|folder|folders|FILE|FOLDER|Hub id|Where)\b", said)
            named = re.search(r"(_dir|output|bitext|eval|documents|lexicon)$", entry.name)
            wanted = (of_files or named) and entry.type not in ("bool", "int", "int | None")
            if wanted and entry.name not in path_options(kind) | _NO_PATHS and kind.__name__ != "QdrantBenchmark":
                forgotten.append(f"{kind.__module__}.{entry.name}: {said}")
    assert not forgotten, "\n".join(forgotten)


def test_functions_of_the_package_expand_their_paths_too(home, tmp_path):
    rows = tiny_models.bitext(30)
    rows.to_json(home / "pairs.jsonl")
    tiny_models.dense(tmp_path).save_pretrained(str(home / "model"))
    assert len(read_bitext("~/pairs.jsonl", source_field="source", translation_field="translation")) == 30
    assert load_encoder("~/model").get_embedding_dimension() == 16
    assert write_results("~/out", evaluations=[]) == home / "out" / "results.json"
    DocumentCache("~/cache").vectors(load_encoder("$HOME/model"), ["the goat"])
    assert (home / "cache").is_dir()
    assert not (tmp_path / "~").exists()
