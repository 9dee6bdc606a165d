"""A Secondary as a process: one at a time, until a signal ends it; what goes wrong is one line and an exit status."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from secondary.shell.config import load
from secondary.shell.slots import Slots
from uptane.errors import LinkFailure, MarqueError, SignerFailure, StorageFailure
from uptane.shell.files import Store
from uptane.shell.log_stream import log_stream
from uptane.shell.loop import stopped_by_signals
from uptane.shell.owner import become_owner_of
from uptane.shell.settings import SettingsError
from uptane.shell.systemd import Service, complain, set_up_log

# As in sysexits.h. No restart repairs a configuration (78); the others may pass.
EX_UNAVAILABLE: Final = 69
EX_IOERR: Final = 74
EX_CONFIG: Final = 78
_STATUS: Final = (
    (SettingsError, EX_CONFIG),
    (StorageFailure, EX_IOERR),
    (LinkFailure, EX_UNAVAILABLE),
    (SignerFailure, EX_UNAVAILABLE),
)
_DOCTOR_TELLS: Final = (StorageFailure, LinkFailure, SignerFailure)


@dataclass(slots=True)
class Outcome:
    """The exit status of what was done."""

    status: int = 0


def run_ecu(file: Path) -> int:
    """Be the ECU that `file` describes, until SIGTERM; return the exit status of the process."""
    from secondary.shell.board import Board  # noqa: PLC0415  (half of what there is to load; only this command needs it)

    set_up_log(sys.stderr)
    service = Service()
    with explained() as outcome:
        become_owner_of(file)
        config = load(file)
        store = Store(config.state)
        with _alone(config.state / "lock"):
            bus = f"{config.can.interface} {config.can.channel}"
            ready = f"{config.ecu} is ready on {bus}, address 0x{config.address:02X}"
            slots = Slots(config.slots, config.slot_size)

            def listening() -> None:
                _say(ready)
                service.ready(ready)

            board = Board(config, store, slots, listening, service)
            try:
                with stopped_by_signals(board.stop):
                    outcome.status = board.run()
            finally:
                service.stopping()
                board.close()
    return outcome.status


@contextmanager
def explained() -> Iterator[Outcome]:
    """Turn what is known to go wrong into one line for people and an exit status."""
    outcome = Outcome()
    try:
        yield outcome
    except MarqueError as error:
        outcome.status = next((status for kind, status in _STATUS if isinstance(error, kind)), EX_CONFIG)
        more = "; `marque-secondary doctor` tells more" if isinstance(error, _DOCTOR_TELLS) else ""
        complain(sys.stderr, f"marque-secondary: {error}{more}")


def _say(line: str) -> None:
    stream = log_stream(sys.stdout)
    stream.write(f"{line}\n")
    stream.flush()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process has the state; the lock goes with the process, however it ends."""
    with path.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageFailure(f"{path}: another process is this ECU; stop it first") from error
        yield
