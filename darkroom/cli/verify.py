"""`darkroom verify`."""

from typing import Annotated

import typer

from darkroom.cli import console
from darkroom.cli import options as o

Receipts = Annotated[
    list[str],
    typer.Argument(metavar="RECEIPT...", help="Receipts, cleaned scans, or folders of them."),
]


def verify(
    receipts: Receipts,
    as_json: o.AsJson = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
) -> int:
    """Check receipts: that files and mask are those they name, and nothing else was changed.

    Exit status: 0 all is as the receipts say, 1 something is not, 3 something cannot be read.
    """
    from darkroom.pipeline.verify import exit_code, find_receipts
    from darkroom.pipeline.verify import verify as check

    verdicts = []
    for path in find_receipts(receipts):
        verdict = check(path)
        verdicts.append(verdict)
        if as_json:
            console.record(verdict.as_dict())
        if verdict.error is not None:
            console.complain(verdict.error)
        for line in verdict.wrong:
            console.warn(f"{path}: {line}")
        if verdict.exit_code == 0 and not as_json and not quiet:
            console.say(f"{path}: verified, {len(verdict.checked)} checks")
        if verbose and not as_json:
            for line in verdict.checked:
                console.say(f"  {line}: as the receipt says")
    return exit_code(verdicts)
