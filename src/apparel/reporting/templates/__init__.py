"""The templates of the report and the model card, and how they are filled."""

from typing import Any

import jinja2

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("apparel.reporting"),
    autoescape=jinja2.select_autoescape(("html",)),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(name: str, **values: Any) -> str:
    """Fill a template; a value that it names but does not get is an error.

    Args:
        name: a file of this folder; values are escaped where it ends in .html.
        **values: values by the names that the template uses.
    """
    return _ENVIRONMENT.get_template(name).render(**values)
