"""Whether a tag may be released: ``python .github/check_release.py v0.2.0``; says what is wrong, and what to do.

The tag is the version of the package, that of ``CITATION.cff`` too, the changelog has a section for it that says
something, and nothing is left under "Unreleased". Needs no package but Python's own.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def problems(tag: str, root: Path) -> list[str]:
    """Return what keeps a tag from being released, each with its remedy; nothing where it may be."""
    found = []
    package = _found(r'^__version__ = "(.*)"$', root / "hf_optical" / "__init__.py")
    if tag != f"v{package}":
        found.append(f"the tag is {tag}, the package {package}: set hf_optical.__version__, or tag v{package}")
    cited = _found(r"^version: (.*)$", root / "CITATION.cff")
    if cited != package:
        found.append(f"CITATION.cff has version {cited}, the package {package}: write {package} into CITATION.cff")
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    parts = re.split(r"^## +(.*)$", text, flags=re.M)
    sections = {  # entries by version; a title may have a date, "0.2.0 - 2026-01-31"
        title.split()[0].strip("[]"): [line.strip() for line in body.splitlines() if line.strip() and line[0] != "#"]
        for title, body in zip(parts[1::2], parts[2::2], strict=True)
    }
    if not sections.get(package):
        found.append(f'CHANGELOG.md has nothing for {package}: rename "## Unreleased" to "## {package}"')
    if left := sections.get("Unreleased"):
        found.append(
            f'CHANGELOG.md has {len(left)} lines under "Unreleased", such as "{left[0]}": '
            "move them to the section of the version that has them"
        )
    return found


def _found(pattern: str, file: Path) -> str:
    match = re.search(pattern, file.read_text(encoding="utf-8"), flags=re.M)
    return match[1].strip("\"' ") if match else "nothing"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python .github/check_release.py TAG")
    sys.exit("\n".join(problems(sys.argv[1], Path(__file__).parents[1])) or None)
