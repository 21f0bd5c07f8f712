"""HTML pages that work offline: one style, no scripts, and escaped names."""

from __future__ import annotations

from importlib import resources
from typing import Any


def render_page(package: str, template: str, **content: Any) -> str:
    """Render a page from a template of a package, with the common style as ``style``.

    Args:
        package: Package of the template, such as ``hf_optical.comparison``.
        template: File name of the template.
        content: Variables of the template; a missing variable is an error.

    Returns:
        HTML.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    text = resources.files(package).joinpath(template).read_text(encoding="utf-8")
    # The style is a file of this package and needs no escaping.
    style = Markup(resources.files("hf_optical.results").joinpath("page.css").read_text(encoding="utf-8"))  # noqa: S704
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text).render(style=style, **content)
