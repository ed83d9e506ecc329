"""`darkroom plugins`."""

from dataclasses import asdict

import typer

from darkroom.cli import console
from darkroom.cli.options import TableAsJson

app = typer.Typer(help="List plugins and check that they work.", no_args_is_help=False)


@app.command("list")
def list_plugins(as_json: TableAsJson = False) -> None:
    """List every plugin found, what it offers and whether it works."""
    from darkroom.plugins.manager import installed

    records = installed().records
    if as_json:
        for record in records:
            console.record(asdict(record))
        return
    console.table(
        ("NAME", "PACKAGE", "STATE", "OFFERS"),
        [
            (r.name, f"{r.dist} {r.version}", r.state, r.error or ", ".join(r.offers) or "nothing")
            for r in records
        ],
    )


@app.command("check")
def check() -> int:
    """Import everything that plugins announce; exit status 1 if something is wrong."""
    from darkroom.plugins.manager import installed

    plugins = installed()
    wrong = [
        (f"plugin {r.name} ({r.dist} {r.version})", r.error) for r in plugins.records if r.error
    ]
    wrong += plugins.check()
    for what, cause in wrong:
        console.say(f"{what}: {cause}")
    good = sum(record.state == "active" for record in plugins.records)
    console.say(f"{good} of {len(plugins.records)} plugins work, {len(wrong)} problems")
    return 1 if wrong else 0
