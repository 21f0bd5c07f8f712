"""Report on the language adapters of a run: sizes, memory, and where an identifier routes queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from hf_optical.adapters import LanguageAdapters
from hf_optical.adapters.report import size_rows, size_table
from hf_optical.errors import pip_install
from hf_optical.results.files import peak_memory_mb

_MOST_ROUTED = 2_000


def adapter_report(adapters: LanguageAdapters, queries: Mapping[str, Sequence[str]]) -> tuple[dict[str, Any], str]:
    """Report sizes and routing of the adapters, as an entry of ``results.json`` and as text.

    Args:
        adapters: A base with its adapters.
        queries: Texts by their known language; at most the first 2,000 of each language are routed.

    Returns:
        ``sizes``, ``peak_memory_mb`` and ``routing`` by language (``None`` without the extra ``routing``), and a text.
    """
    content: dict[str, Any] = {"sizes": size_rows(adapters), "peak_memory_mb": peak_memory_mb(), "routing": None}
    lines = [size_table(adapters), f"Peak memory of this run: {content['peak_memory_mb']:,.0f} MB"]
    if not find_spec("py3langid"):
        return content, "\n".join(
            [*lines, f"Routing is not reported: {pip_install('routing')} adds language identification"]
        )
    content["routing"] = {}
    for language, texts in queries.items():
        routing = adapters.route(list(texts)[:_MOST_ROUTED])
        content["routing"][language] = routing.report()
        lines += [f"\nQueries in {language}, routed by their identified language:", routing.table()]
    return content, "\n".join(lines)
