"""What the site's generator needs to read this project's docstrings: an extension of griffe, named in mkdocs.yml.

The docstrings are Google style with a few words of reStructuredText. They are read as Markdown here, so roles become
links to what is documented, ``::`` and ``code-block`` become fenced code, and grid tables are kept as they are drawn.
"""

from __future__ import annotations

import html
import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):`(~?)([\w.]+)`")
_MATH = re.compile(r":math:`([^`]*)`")
_DIRECTIVE = re.compile(r"^(?P<indent> *)(?:\.\. code-block:: \w+|(?P<text>.*[^: ]:)?:?:) *$")


class Docstrings(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_instance(self, *, obj: griffe.Object, **options: Any) -> None:
        """Called once for every object found."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """A docstring in Markdown.

    Example:
        >>> as_markdown("See :func:`~a.b.normalize`, ``x``.")
        'See <autoref identifier="a.b.normalize" optional><code>normalize</code></autoref>, ``x``.'
    """
    text = _ROLE.sub(_link, text)
    text = _MATH.sub(r"`\1`", text)
    # Griffe knows the section "Examples"; "Example" would be a box whose doctest is read as a quotation.
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.M)
    return "\n".join(_fenced(_with_tables(text.split("\n"))))


def _link(match: re.Match[str]) -> str:
    shortened, target = match.groups()
    shown = html.escape(target.rpartition(".")[2] if shortened else target)
    return f'<autoref identifier="{target}" optional><code>{shown}</code></autoref>'


def _with_tables(lines: list[str]) -> list[str]:
    """Grid tables, fenced."""
    out: list[str] = []
    fence = ""
    for line in lines:
        bare = line.lstrip()
        of_table = bare.startswith(("+-", "+=")) or (bool(fence) and bare.startswith("|"))
        if of_table and not fence:
            fence = line[: len(line) - len(bare)] + "```"
            out.append(fence)
        elif fence and not of_table:
            out.append(fence)
            fence = ""
        out.append(line)
    return [*out, fence] if fence else out


def _fenced(lines: list[str]) -> list[str]:
    """Literal blocks, fenced: what is indented under ``::`` or a directive."""
    out: list[str] = []
    at = 0
    while at < len(lines):
        match = _DIRECTIVE.match(lines[at])
        block = _block(lines, at + 1, len(match["indent"])) if match else []
        if not match or not any(line.strip() for line in block):
            out.append(lines[at])
            at += 1
            continue
        if match["text"]:
            out += [match["indent"] + match["text"], ""]
        while block and not block[-1].strip():
            block.pop()
            at -= 1
        at += 1 + len(block)
        first = next(line for line in block if line.strip())
        cut = len(first) - len(first.lstrip()) - len(match["indent"])
        language = "python" if not match["text"] else "text"
        out.append(f"{match['indent']}```{language}")
        out += [line[cut:] for line in _without_leading_blanks(block)]
        out.append(f"{match['indent']}```")
    return out


def _block(lines: list[str], start: int, indent: int) -> list[str]:
    end = start
    while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent):
        end += 1
    return list(lines[start:end])


def _without_leading_blanks(lines: list[str]) -> list[str]:
    while lines and not lines[0].strip():
        lines = lines[1:]
    return lines
