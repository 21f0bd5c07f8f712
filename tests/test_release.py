"""The check of a release: the tag, the versions, and a changelog with nothing left over."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from hf_optical import __version__

SCRIPT = Path(__file__).parents[1] / ".github" / "check_release.py"
CHANGELOG = "# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-01-31\n\n### Added\n\n- A thing.\n\n## 0.1.0\n\nFirst.\n"


@pytest.fixture
def problems():
    spec = importlib.util.spec_from_file_location("check_release", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.problems


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "hf_optical").mkdir()
    (tmp_path / "hf_optical" / "__init__.py").write_text('__version__ = "0.2.0"\n')
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 0.2.0\n")
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def test_a_tag_with_a_section_and_nothing_left_over_may_be_released(problems, checkout):
    assert problems("v0.2.0", checkout) == []
    (checkout / "CHANGELOG.md").write_text(CHANGELOG.replace("## Unreleased\n", "## Unreleased\n\n### Added\n"))
    assert problems("v0.2.0", checkout) == []
    (checkout / "CHANGELOG.md").write_text(CHANGELOG.replace("## Unreleased\n\n", ""))
    assert problems("v0.2.0", checkout) == []


@pytest.mark.parametrize(
    ("change", "tag", "said"),
    [
        (("## 0.1.0", "## 0.1.0"), "v0.3.0", "the tag is v0.3.0, the package 0.2.0"),
        (
            ("## Unreleased\n", "## Unreleased\n\n- Forgotten.\n"),
            "v0.2.0",
            '1 lines under "Unreleased", such as "- Forgo',
        ),
        (("## 0.2.0 - 2026-01-31", "## 0.2.1"), "v0.2.0", "nothing for 0.2.0"),
        (("- A thing.\n", ""), "v0.2.0", "nothing for 0.2.0"),
    ],
)
def test_what_keeps_a_tag_is_said(problems, checkout, change, tag, said):
    (checkout / "CHANGELOG.md").write_text(CHANGELOG.replace(*change))
    (found,) = problems(tag, checkout)
    assert said in found


def test_the_citation_has_the_version(problems, checkout):
    (checkout / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 0.1.0\n")
    (found,) = problems("v0.2.0", checkout)
    assert "CITATION.cff has version 0.1.0" in found


def test_the_script_refuses_a_tag_that_this_checkout_is_not(problems):
    done = subprocess.run([sys.executable, str(SCRIPT), "v0.0.1"], capture_output=True, text=True)
    assert done.returncode == 1 and f"the package {__version__}" in done.stderr
