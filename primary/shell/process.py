"""A Primary as a process: one at a time, until a signal ends it or, with `once`, until there is nothing more to do.

Exit statuses (sysexits.h where one fits): 0 done or nothing to do; 3 rolled back; 4 waiting for the vehicle or an ECU;
5 a check refused what was offered; 69 a server cannot be reached; 70 a bug; 74 storage; 78 the configuration.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from primary.cycle import Result
from primary.needs import Note
from primary.primary import CycleEnded, Pace
from primary.shell.board import Board
from primary.shell.config import load
from primary.shell.memory import give_back
from primary.shell.outcome import EX_IOERR, EX_UNAVAILABLE, Outcome, explained
from primary.shell.progress import Display, JsonLines, Lines, displays_of, say
from uptane.errors import MarqueError, StorageFailure
from uptane.shell.files import Store
from uptane.shell.loop import stopped_by_signals
from uptane.shell.owner import become_owner_of
from uptane.shell.systemd import Service, set_up_log

STATUS_OF: Final = {
    Result.IDLE: 0,
    Result.DONE: 0,
    Result.ROLLED_BACK: 3,
    Result.WAITING: 4,
    Result.TRYING: 4,
    Result.REFUSED: 5,
    Result.UNREACHABLE: EX_UNAVAILABLE,
    Result.STORAGE: EX_IOERR,
}


def run_resident(file: Path, progress: Path | None) -> int:
    """Be the Primary that `file` describes, until SIGTERM; return the exit status of the process."""
    displays: list[Display] = [Lines(say)]
    with explained() as outcome:
        become_owner_of(file)
        if progress is not None:
            displays.append(JsonLines(progress))
        _run(file, displays, outcome, once=False)
    return outcome.status


def run_once(file: Path, progress: Path | None, *, quiet: bool) -> Outcome:
    """One update, if there is one; shown to people unless `quiet`, and appended to a file if one is named."""
    with explained() as outcome:
        become_owner_of(file)
        _run(file, displays_of(progress, quiet=quiet), outcome, once=True)
    return outcome


def _run(file: Path, displays: Sequence[Display], outcome: Outcome, *, once: bool) -> None:
    set_up_log(sys.stderr)
    service = Service()
    at_rest = False

    def show(effect: Note | CycleEnded) -> None:
        nonlocal at_rest
        for display in displays:
            display.show(effect)
        if isinstance(effect, CycleEnded):
            service.status(f"{effect.finished.result.value} {effect.finished.text}")
            was_at_rest, at_rest = at_rest, effect.finished.result is Result.IDLE
            if at_rest and not was_at_rest:
                give_back()

    config = load(file)
    store = Store(config.state)
    with _alone(config.state / "lock"):
        board = Board(config, store, Pace(config.poll_s, once), show, service)
        try:
            with stopped_by_signals(board.stop):
                if not once:
                    ready = f"{config.layout.ecu} is ready, with {len(config.layout.secondaries)} Secondaries"
                    say(ready)
                    service.ready(ready)
                outcome.status = board.run()
        finally:
            service.stopping()
            board.close()
            for display in displays:
                display.close()
    if board.outcome is None:
        return
    ended = board.outcome.outcome
    if isinstance(ended, MarqueError):
        raise ended
    outcome.finished = ended
    outcome.status = outcome.status or STATUS_OF[ended.result]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process has the state; the lock goes with the process, however it ends."""
    with path.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageFailure(f"{path}: another process is this Primary; stop it first") from error
        yield
