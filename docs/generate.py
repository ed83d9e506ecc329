"""Write the pages that come from the program: cli.md and hooks.md. `--check` only compares."""

import sys
from pathlib import Path

from darkroom.cli.reference import pages

FOLDER = Path(__file__).resolve().parent


def main() -> int:
    """Exit status 1 if `--check` finds a page out of date."""
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


if __name__ == "__main__":
    sys.exit(main())
