"""The command line of marque-secondary, as people use it: help, mistakes explained, and what is durable."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from secondary.shell.config import load
from secondary.shell.process import explained, run_ecu
from secondary.shell.provision import found
from secondary.shell.slots import Slots
from secondary.shell.status import described
from uptane.shell.files import Store
from uptane.shell.owner import become_owner_of

app = typer.Typer(
    name="marque-secondary",
    help="A Secondary ECU: verifies for itself, installs, and reports, over UDS on CAN.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
BOARD_FILE: Final = Path("/etc/marque/secondary.toml")
ConfigFile = Annotated[Path, typer.Option("--config", help="the board's settings, or the ECU's config.toml")]
AsJson = Annotated[bool, typer.Option("--json", help="for programs: one JSON object")]


@app.command()
def run(config: ConfigFile) -> None:
    """Be this ECU until SIGTERM: listen on its bus, verify, install, report."""
    raise typer.Exit(run_ecu(config))


@app.command()
def status(
    config: ConfigFile = BOARD_FILE,
    *,
    as_json: AsJson = False,
) -> None:
    """Tell what is durable of this ECU; it may be running or not."""
    facts: dict[str, Any] = {}
    with explained() as outcome:
        become_owner_of(config)
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


@app.command()
def enrol(
    config: ConfigFile = BOARD_FILE,
    source: Annotated[
        Path | None, typer.Option("--from", help="the folder that provisioning wrote for this ECU", show_default=False)
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make this ECU's key, if there is none, and say its public half; with --from, put what was provisioned in place.

    The private key is made here and never leaves.
    """
    from secondary.shell.enrol import enrol as enrolled  # noqa: PLC0415

    with explained() as outcome:
        found = enrolled(config, source)
        if as_json:
            typer.echo(json.dumps(found.facts()))
        elif found.folder is not None:
            typer.echo(f"{found.folder}: in place. Next: marque-secondary doctor; systemctl restart marque-secondary")
        else:
            typer.echo(f"key {'made' if found.made else 'is there already'}. For this ECU in VEHICLE.toml:")
            typer.echo(f'public_key = "{found.public_key}"')
    raise typer.Exit(outcome.status)


@app.command()
def doctor(config: ConfigFile = BOARD_FILE, *, as_json: AsJson = False) -> None:
    """Look at bus, disk, key and interlock, and say what to do. The exit status is 1 when something is bad."""
    from secondary.shell.doctor import examine  # noqa: PLC0415
    from uptane.shell.checkup import Grade, report, worst  # noqa: PLC0415

    with explained() as outcome:
        become_owner_of(config)
        findings = list(examine(load(config)))
        typer.echo(json.dumps([each.facts() for each in findings]) if as_json else report(findings))
        outcome.status = int(worst(findings) is Grade.BAD)
    raise typer.Exit(outcome.status)
