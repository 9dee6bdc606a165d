"""The command line of marque-primary, as people use it: help, mistakes explained, one update, what is durable."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from primary.shell.config import load
from primary.shell.process import explained, run_once, run_resident
from primary.shell.progress import displays
from primary.shell.status import described
from uptane.shell.files import Store

app = typer.Typer(
    name="marque-primary",
    help="A Primary ECU: verifies in full, downloads, and leads the vehicle's transaction over UDS on CAN.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
ConfigFile = Annotated[Path, typer.Option("--config", help="the Primary's config.toml", show_default=False)]
ProgressFile = Annotated[
    Path | None, typer.Option("--progress", help="append progress as JSON lines to this file", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="for programs: one JSON object")]


@app.command()
def run(config: ConfigFile, progress: ProgressFile = None) -> None:
    """Be this Primary until SIGTERM: poll, verify, download, hand on, activate together, report."""
    raise typer.Exit(run_resident(config, progress))


@app.command()
def once(config: ConfigFile, progress: ProgressFile = None, *, as_json: AsJson = False) -> None:
    """One update, if there is one; the exit status says how it ended.

    0 done or nothing to do, 3 rolled back, 4 waiting for the vehicle, 5 refused, 69 no server, 74 storage, 78 settings.
    """
    outcome = run_once(config, displays(progress, quiet=as_json))
    finished = outcome.finished
    if as_json and finished is not None:
        typer.echo(json.dumps({"result": finished.result.name, "text": finished.text}))
    raise typer.Exit(outcome.status)


@app.command()
def status(config: ConfigFile, *, as_json: AsJson = False) -> None:
    """Tell what is durable of this Primary; it may be running or not."""
    facts: dict[str, Any] = {}
    with explained() as outcome:
        settings = load(config)
        if not settings.state.is_dir():
            sys.exit(f"marque-primary: {settings.state}: nothing is there; this Primary has never run")
        facts = described(settings, Store(settings.state))
    if outcome.status:
        raise typer.Exit(outcome.status)
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for ecu in facts.pop("ecus"):
        line = f"{ecu['ecu']:20} {ecu['state'] or '-':10} {ecu['image'] or '-'}"
        typer.echo(line + (f"  silent since {ecu['silent_since']}" if ecu["silent_since"] else ""))
    for name, value in facts.items():
        typer.echo(f"{name:20} {'-' if value in (None, [], {}) else value}")
