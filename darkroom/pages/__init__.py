"""What all pages of darkroom share: one look, one frame, one switch between light and dark."""

import json
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

HERE = "darkroom.pages"


def environment(package: str) -> Environment:
    """Templates of a package, which may extend `base.html`.

    Everything put into a page is escaped. In templates, `page_text(name)` is a file of the
    package's own templates, or of the shared ones, as it stands.

    Args:
        package: name of a package with a folder `templates`.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(HERE)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def text(name: str) -> Markup:
        assert made.loader is not None
        return Markup(made.loader.get_source(made, name)[0])

    made.globals["page_text"] = text
    return made


def shared_text(name: str) -> str:
    """A shared file: "base.css" or "theme.js"."""
    return (files(HERE) / "templates" / name).read_text(encoding="utf-8")


def script_json(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"))
    return Markup(text.translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&"}))
