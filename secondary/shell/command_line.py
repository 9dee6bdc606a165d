"""The command line of marque-secondary, as people use it: help, mistakes explained, and what is durable."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from secondary.shell.config import load
from secondary.shell.process import explained, run_ecu
from secondary.shell.provision import found
from secondary.shell.slots import Slots
from secondary.shell.status import described
from uptane.shell.files import Store

app = typer.Typer(
    name="marque-secondary",
    help="A Secondary ECU: verifies for itself, installs, and reports, over UDS on CAN.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
ConfigFile = Annotated[Path, typer.Option("--config", help="the ECU's config.toml", show_default=False)]


@app.command()
def run(config: ConfigFile) -> None:
    """Be this ECU until SIGTERM: listen on its bus, verify, install, report."""
    raise typer.Exit(run_ecu(config))


@app.command()
def status(
    config: ConfigFile,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="for programs: one JSON object")] = False,
) -> None:
    """Tell what is durable of this ECU; it may be running or not."""
    facts: dict[str, Any] = {}
    with explained() as outcome:
        settings = load(config)
        if settings.state.is_dir():
            durable = found(settings, Store(settings.state), Slots(settings.slots, settings.slot_size))
            facts = described(settings, durable)
        if not facts:
            sys.exit(f"marque-secondary: {settings.state}: nothing is there; this ECU has never run")
    if outcome.status:
        raise typer.Exit(outcome.status)
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        typer.echo(f"{name:18} {'-' if value in (None, [], {}) else value}")
