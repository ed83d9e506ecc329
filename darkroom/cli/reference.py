"""The reference pages of the documentation, made from the program itself."""

import ast
import inspect
from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from darkroom.cli import main
from darkroom.plugins import hookspecs

NOTE = "<!-- Made by `make reference` from the program; edit that. -->\n"


def pages() -> dict[str, str]:
    """File name and Markdown of every page."""
    return {"cli.md": command_page(), "hooks.md": hook_page()}


def command_page() -> str:
    """All commands with their arguments, options and defaults."""
    lines = [NOTE, "# Command line", ""]
    for name in get_command(main.app).commands:  # type: ignore[attr-defined]
        lines += _command(f"darkroom {name}", main.load_command(name))
    lines += ["## Exit status", "", "| status | meaning |", "|---|---|"]
    meanings = {
        0: "all done",
        1: "some files failed, the others are done",
        2: "the request makes no sense",
        3: "an input is missing, unreadable or not supported",
        4: "a backend, a device or weights are missing, or the backend failed",
        5: "refused by a safety limit; nothing was written",
        main.INTERRUPTED: "interrupted",
    }
    lines += [f"| {code} | {meaning} |" for code, meaning in meanings.items()]
    lines += [
        "",
        "A single file that fails gives its own status; so does a batch that fails alike.",
    ]
    return "\n".join(lines) + "\n"


def _command(path: str, command: Any) -> Iterator[str]:
    """The lines on a command and on those inside it."""
    yield from (f"## `{path}`", "", inspect.cleandoc(command.help or ""), "")
    inner = getattr(command, "commands", {})
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    if not inner:
        words = [path, "[OPTIONS]", *(a.metavar or a.name.upper() for a in arguments)]
        yield from ("```", " ".join(words), "```", "")
    if arguments or options:
        yield from ("| option | meaning | default |", "|---|---|---|")
        for parameter in (*arguments, *options):
            yield f"| {_names(parameter)} | {_cell(parameter.help)} | {_default(parameter)} |"
        yield ""
    for name, command_ in inner.items():
        yield from (line for line in _command(f"{path} {name}", command_))


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_cell(parameter.metavar or parameter.name.upper())}`"
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    return names if parameter.is_flag else f"{names} `{_cell(_value(parameter))}`"


def _value(parameter: Any) -> str:
    """What is to be written for a value."""
    if parameter.metavar:
        return str(parameter.metavar)
    text = parameter.display_type(typer.Context(get_command(main.app)))
    return str(text).strip("<>")


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return _cell(parameter.show_default)
    if parameter.required:
        return "required"
    if parameter.default in (None, False, [], ()):
        return ""
    return f"`{_cell(parameter.default)}`"


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def hook_page() -> str:
    """Every hook as `hookspecs.py` says it."""
    lines = [NOTE, "# Hooks", "", inspect.cleandoc(hookspecs.__doc__ or ""), ""]
    source = inspect.getsource(hookspecs)
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            signature = f"{node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns)}"  # type: ignore[arg-type]
            text = ast.get_docstring(node) or ""
            lines += [f"## `{node.name}`", "", "```python", f"def {signature}", "```", "", text, ""]
    return "\n".join(lines)
