"""Write the pages that come from the program: cli.md and hooks.md. `--check` only compares.

`--layouts` measures the table of layouts in formats.md instead, which takes some minutes; the tests
compare its cells one by one.
"""

import sys
from pathlib import Path

from darkroom.cli.reference import pages

FOLDER = Path(__file__).resolve().parent


def main() -> int:
    """Exit status 1 if `--check` finds a page out of date."""
    if "--layouts" in sys.argv:
        return layouts()
    stale = []
    for name, text in pages().items():
        path = FOLDER / name
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, "utf-8")
    if stale and "--check" in sys.argv:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run `make reference`\n")
        return 1
    return 0


def layouts() -> int:
    """Write the table of layouts, measured by the checks that the tests run."""
    sys.path.insert(0, str(FOLDER.parent / "tests" / "io"))
    import checks

    text = checks.PAGE.read_text("utf-8")
    before, _, rest = text.partition(checks.BEGIN)
    after = rest.partition(checks.END)[2]
    table = f"{checks.BEGIN}\n\n{checks.table()}\n{checks.END}"
    checks.PAGE.write_text(before + table + after, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
