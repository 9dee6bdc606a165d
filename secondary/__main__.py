"""Entry point of a Secondary: parse, wire, run.

marque-secondary run --config FILE       be this ECU, until SIGTERM
marque-secondary status --config FILE    what is durable of it
"""

from __future__ import annotations

import fcntl
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from secondary.shell.board import Board
from secondary.shell.config import Config, load
from secondary.shell.provision import found
from secondary.shell.slots import Slots
from secondary.shell.status import described
from uptane.errors import LinkFailure, MarqueError, StorageFailure
from uptane.shell.files import Store
from uptane.shell.loop import stopped_by_signals
from uptane.shell.settings import SettingsError

# sysexits.h: what is wrong with the configuration no restart repairs; the rest may.
EX_UNAVAILABLE, EX_IOERR, EX_CONFIG = 69, 74, 78

app = typer.Typer(
    name="marque-secondary", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
ConfigFile = Annotated[Path, typer.Option("--config", help="the ECU's config.toml", show_default=False)]


@app.command()
def run(config: ConfigFile) -> None:
    """Be this ECU: listen on its bus, verify, install, report."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with _explained():
        settings = load(config)
        store = Store(settings.state)
        with _alone(settings):
            bus = f"{settings.can.interface} {settings.can.channel}"
            ready = f"{settings.ecu} is ready on {bus}, address 0x{settings.address:02X}"
            slots = Slots(settings.slots, settings.slot_size)
            board = Board(settings, store, slots, lambda: print(ready, flush=True))
            try:
                with stopped_by_signals(board.stop):
                    status = board.run()
            finally:
                board.close()
    raise typer.Exit(status)


@app.command()
def status(
    config: ConfigFile, as_json: Annotated[bool, typer.Option("--json", help="for programs: one JSON object")] = False
) -> None:
    """Tell what is durable of this ECU; it may be running or not."""
    with _explained():
        settings = load(config)
        facts: dict[str, Any] = {}
        if settings.state.is_dir():
            durable = found(settings, Store(settings.state), Slots(settings.slots, settings.slot_size))
            facts = described(settings, durable)
    if not facts:
        sys.exit(f"marque-secondary: {settings.state}: nothing is there; this ECU has never run")
    if as_json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(f"{name:18} {value if value is not None else '-'}")


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what is known to go wrong into one line and an exit status."""
    try:
        yield
    except MarqueError as error:
        print(f"marque-secondary: {error}", file=sys.stderr)
        codes = ((SettingsError, EX_CONFIG), (StorageFailure, EX_IOERR), (LinkFailure, EX_UNAVAILABLE))
        raise typer.Exit(next((code for kind, code in codes if isinstance(error, kind)), EX_CONFIG)) from error


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    """One process has the state; the lock goes with the process, however it ends."""
    path = config.state / "lock"
    with path.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageFailure(f"{path}: another process is this ECU; stop it first") from error
        yield


def main() -> None:
    """Refuse to run without assertions, then do what was asked."""
    if not __debug__:
        sys.exit("assertions are part of the design: do not run with -O")
    app()


if __name__ == "__main__":
    main()
