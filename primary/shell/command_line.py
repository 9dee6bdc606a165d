"""The command line of marque-primary, as people use it: help, mistakes explained, one update, what is durable."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from primary.shell.config import load
from primary.shell.outcome import explained
from uptane.shell.files import Store
from uptane.shell.owner import become_owner_of

app = typer.Typer(
    name="marque-primary",
    help="A Primary ECU: verifies in full, downloads, and leads the vehicle's transaction over UDS on CAN.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
BOARD_FILE: Final = Path("/etc/marque/primary.toml")
ConfigFile = Annotated[Path, typer.Option("--config", help="the board's settings, or the Primary's config.toml")]
ProgressFile = Annotated[
    Path | None, typer.Option("--progress", help="append progress as JSON lines to this file", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="for programs: one JSON object")]


@app.command()
def run(config: ConfigFile, progress: ProgressFile = None) -> None:
    """Be this Primary until SIGTERM: poll, verify, download, hand on, activate together, report."""
    from primary.shell.process import run_resident  # noqa: PLC0415  (loads what speaks to servers)

    raise typer.Exit(run_resident(config, progress))


@app.command()
def once(config: ConfigFile = BOARD_FILE, progress: ProgressFile = None, *, as_json: AsJson = False) -> None:
    """One update, if there is one; the exit status says how it ended.

    0 done or nothing to do, 3 rolled back, 4 waiting for the vehicle, 5 refused, 69 no server, 74 storage, 78 settings.
    """
    from primary.shell.process import run_once  # noqa: PLC0415  (loads what speaks to servers)

    outcome = run_once(config, progress, quiet=as_json)
    finished = outcome.finished
    if as_json and finished is not None:
        typer.echo(json.dumps({"result": finished.result.name, "text": finished.text}))
    raise typer.Exit(outcome.status)


@app.command()
def status(config: ConfigFile = BOARD_FILE, *, as_json: AsJson = False) -> None:
    """Tell what is durable of this Primary; it may be running or not."""
    from primary.shell.status import described  # noqa: PLC0415

    facts: dict[str, Any] = {}
    with explained() as outcome:
        become_owner_of(config)
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


@app.command()
def enrol(
    config: ConfigFile = BOARD_FILE,
    source: Annotated[
        Path | None, typer.Option("--from", help="the folder that provisioning wrote for this ECU", show_default=False)
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make this board's keys, if there are none, and say what the Director needs of them; --from: put in place.

    Private keys are made here and never leave.
    """
    from primary.shell.enrol import enrol as enrolled  # noqa: PLC0415  (loads what makes certificates)

    with explained() as outcome:
        found = enrolled(config, source)
        if as_json:
            typer.echo(json.dumps(found.facts()))
        elif found.folder is not None:
            typer.echo(f"{found.folder}: in place. Next: marque-primary doctor; systemctl restart marque-primary")
        else:
            typer.echo(f"keys {'made' if found.made else 'are there already'}. For this ECU in VEHICLE.toml:")
            typer.echo(f'public_key = "{found.public_key}"')
            typer.echo(f"and for `marque-director provision --request`: {found.request}")
            typer.echo(f"it has to say the same of the TLS key: {found.tls_key} (SHA-256)")
    raise typer.Exit(outcome.status)


@app.command()
def doctor(config: ConfigFile = BOARD_FILE, *, as_json: AsJson = False) -> None:
    """Look at bus, clock, disk, keys, certificate, servers and Secondaries, and say what to do.

    The exit status is 1 when something is bad.
    """
    from primary.shell.doctor import examine  # noqa: PLC0415  (loads certificates)
    from uptane.shell.checkup import Grade, report, worst  # noqa: PLC0415

    with explained() as outcome:
        become_owner_of(config)
        findings = list(examine(load(config)))
        typer.echo(json.dumps([each.facts() for each in findings]) if as_json else report(findings))
        outcome.status = int(worst(findings) is Grade.BAD)
    raise typer.Exit(outcome.status)


@app.command()
def clock(config: ConfigFile = BOARD_FILE) -> None:
    """Raise the system clock to the latest time this vehicle is known to have seen; for boards without a battery."""
    from primary.shell.seen import clock_raised  # noqa: PLC0415

    raise typer.Exit(clock_raised(config))
