"""Names of table rows: a language, several languages, or a task over all of them."""

from __future__ import annotations

from hf_optical.data.languages import language_name

TASK_NAMES = {"mono": "one language", "cross": "two languages", "multi": "all languages pooled"}
"""Tasks of a model that reads queries and documents in several languages."""


def row_name(code: str) -> str:
    """Name a language, several languages joined by ``+``, or a task in words.

    Example:
        >>> row_name("swh_Latn"), row_name("deu_Latn+hin_Deva"), row_name("multi")
        ('Swahili', 'German, Hindi', 'all languages pooled')
    """
    return TASK_NAMES.get(code) or ", ".join(language_name(part) for part in code.split("+"))
