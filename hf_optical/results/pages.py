"""Pages that open without a network: one style, no script, everything that users named is escaped."""

from __future__ import annotations

from importlib import resources
from typing import Any


def render_page(package: str, template: str, **content: Any) -> str:
    """A page from a template of a package, with the common style as ``style``.

    Args:
        package: Where the template lies, such as ``hf_optical.comparison``.
        template: Its file name.
        content: What it shows; a name that the template uses and that is not given is an error.

    Returns:
        HTML.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    text = resources.files(package).joinpath(template).read_text(encoding="utf-8")
    # The style is a file of this package, not what a user named.
    style = Markup(resources.files("hf_optical.results").joinpath("page.css").read_text(encoding="utf-8"))  # noqa: S704
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text).render(style=style, **content)
