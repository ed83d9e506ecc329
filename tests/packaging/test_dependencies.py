"""What the product asks for is what it imports, and the reverse."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def plain(requirement: str) -> str:
    """The normalised name of a distribution, of "Some_name>=1"."""
    return re.split(r"[^\w.-]", requirement)[0].replace("_", "-").lower()


def imported() -> dict[str, set[str]]:
    """Top-level modules that the product imports, anywhere in a file, and where."""
    found = defaultdict(set)
    for folder in ("darkroom", "backends/darkroom_backends"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names = [node.module]
                for name in names:
                    found[name.partition(".")[0]].add(str(path.relative_to(ROOT)))
    ours = {"darkroom", "darkroom_backends", *sys.stdlib_module_names}
    return {name: where for name, where in found.items() if name not in ours}


def test_each_hard_dependency_is_imported_by_the_product():
    provided = defaultdict(set)
    for module, distributions in packages_distributions().items():
        for distribution in distributions:
            provided[plain(distribution)].add(module)
    used = set(imported())
    idle = [d for d in PROJECT["dependencies"] if not provided[plain(d)] & used]
    assert idle == []


def test_each_import_is_declared():
    declared = {plain(d) for d in PROJECT["dependencies"]}
    declared |= {plain(d) for extra in PROJECT["optional-dependencies"].values() for d in extra}
    homes = packages_distributions()
    for module, where in imported().items():
        if module not in homes:
            continue  # of an extra that is not installed here: whose it is cannot be told
        distributions = {plain(d) for d in homes[module]}
        assert distributions & declared, f"{module}, imported by {sorted(where)}"
