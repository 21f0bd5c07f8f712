"""Every bad input ends in one clear error or a warning: no traceback of a host library, and nothing is trained."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from make_bad_inputs import CASES, arguments, make, prepare
from script_modules import load_recipe

from hf_optical.configuration.parsing import run


@dataclasses.dataclass
class LexiconConfig:
    lexicon: str


@dataclasses.dataclass
class AdaptersConfig:
    folder: str


def _read_lexicon(config):
    from hf_optical.data.lexicon import read_lexicon

    read_lexicon(config.lexicon)


def _load_adapters(config):
    from hf_optical.adapters.files import load_all

    load_all(config.folder)


@pytest.fixture(scope="module")
def recipes():
    found = {"lexicon": (_read_lexicon, LexiconConfig), "adapters": (_load_adapters, AdaptersConfig)}
    for name in ("train", "evaluate", "compare"):
        module = load_recipe(name)
        found[name] = (module.main, getattr(module, f"{name.title()}Config"))
    return found


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad") / "inputs"
    folder.mkdir()
    prepare(folder)
    return folder


def call(recipes, case, flags, capsys, caplog):
    """Exit code, what standard error got, and the warnings."""
    capsys.readouterr()
    caplog.clear()
    with caplog.at_level(logging.WARNING), pytest.raises(SystemExit) as stop:
        run(*recipes[case.recipe], arguments(flags))
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    return SimpleNamespace(code=stop.value.code, err=capsys.readouterr().err, warnings=warnings)


@pytest.fixture(autouse=True)
def heard(caplog):
    """The hosts' loggers do not hand on to the root logger."""
    names = ("transformers", "sentence_transformers", "datasets")
    before = {name: logging.getLogger(name).propagate for name in names}
    for name in names:
        logging.getLogger(name).propagate = True
    yield
    for name, value in before.items():
        logging.getLogger(name).propagate = value


def test_the_corpus_has_its_size_and_no_name_twice():
    names = [case.name for case in CASES]
    assert len(names) >= 60 and len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_input_ends_in_one_clear_error_or_a_warning(recipes, corpus, case, capsys, caplog, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    flags = make(corpus, case)
    place = Path(flags["output_dir"]) if flags.get("output_dir") else None
    before = place is not None and (place / "model").exists()
    found = call(recipes, case, flags, capsys, caplog)
    assert "Traceback" not in found.err
    errors = [line for line in found.err.splitlines() if "error: " in line]
    if case.outcome == "warning":
        assert found.code == 0 and not errors, found.err
        said = next((text for text in found.warnings if all(part in text for part in case.says)), None)
        assert said is not None, f"no warning says {case.says}: {found.warnings}"
        return
    assert found.code == 2 and len(errors) == 1, found.err
    line = errors[0][errors[0].index("error: ") :]
    assert all(part in line for part in case.says), line
    assert len(line) < 1500 and "Remedy" in line
    assert place is None or (place / "model").exists() == before, "something was trained"
