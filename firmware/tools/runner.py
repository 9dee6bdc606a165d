"""A board as a process: under power, its CAN line on a vehicle's bus or on a pseudo-terminal, its console to read.

SIGUSR1 cuts its power, SIGUSR2 gives it back, SIGTERM ends all. What a bench has to know stands in `board.json`: the
process, the devices, whether there is power, and how often it was changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from firmware.tools.board import Board
from firmware.tools.bridge import FarEnd, OnTerminal
from firmware.tools.flash_file import BoardError

STATE_FILE: Final = "board.json"
CONSOLE_LINE_MAX: Final = 512  # octets; ours are names and a word or two
LOOK_S: Final = 0.5  # how often it is looked whether QEMU still runs
POWER_S_MAX: Final = 10.0  # a power switch takes a hundredth of that

_UP = re.compile(rb"slot \d runs")


class Runner:
    """One board from power to SIGTERM. `say` gets each line of the console; `ready` is called when it runs first."""

    def __init__(
        self, folder: Path, board: Board, far: FarEnd, *, say: Callable[[str], None], ready: Callable[[], None]
    ) -> None:
        self._folder = folder
        self._board = board
        self._far = far
        self._say = say
        self._ready: Callable[[], None] | None = ready
        self._console: OnTerminal | None = None
        self._rest = b""
        self._ending = False
        self._power = True
        self._changes = 0
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

    def offer_console(self, terminal: OnTerminal) -> None:
        """Let the console be read there, too."""
        self._console = terminal

    def run(self) -> None:
        """Run until it is told to end.

        Raises:
            BoardError: the board cannot be started, or QEMU ended by itself.
        """
        with self._signals():
            try:
                self._board.power_on()
                self._tell()
                while not self._ending:
                    self._wait()
                    self._switch()
                    self._far_and_near()
                    if (why := self._board.ended()) is not None:
                        raise BoardError(f"{self._folder}: {why}")
            finally:
                self._board.power_off()
                (self._folder / STATE_FILE).unlink(missing_ok=True)
                self._far.close()
                if self._console is not None:
                    self._console.close()

    def _far_and_near(self) -> None:
        self._board.send(self._far.exchange(self._board.heard()))
        said = self._board.said()
        if self._console is not None:
            self._console.exchange(said)
        *lines, rest = (self._rest + said).split(b"\n")
        self._rest = rest[-CONSOLE_LINE_MAX:]
        for line in lines:
            self._say(line.decode("ascii", "backslashreplace").rstrip())
            if self._ready is not None and _UP.search(line):
                ready, self._ready = self._ready, None
                ready()

    def _switch(self) -> None:
        """Make the power what the last signal asked for."""
        on = self._board.pid is not None
        if on == self._power:
            return
        if on:
            self._board.power_off()
        else:
            self._board.power_on()
        self._changes += 1
        self._tell()

    def _tell(self) -> None:
        devices = {
            name: end.device
            for name, end in (("can", self._far), ("console", self._console))
            if isinstance(end, OnTerminal)
        }
        state = {"pid": os.getpid(), "power": self._power, "changes": self._changes, **devices}
        new = self._folder / f"{STATE_FILE}.new"
        new.write_text(json.dumps(state) + "\n")
        new.replace(self._folder / STATE_FILE)

    def _wait(self) -> None:
        board, far = self._board, self._far.fileno()
        lines = [line for line in (board.can, board.console) if line is not None]
        readable: list[Any] = [self._wake_in, *lines, *([far] if far is not None else [])]
        writable = [board.can] if board.waits and board.can is not None else []
        timeout = LOOK_S
        if (wake_ns := self._far.wake_ns()) is not None:
            timeout = max(0.0, min(timeout, (wake_ns - time.monotonic_ns()) / 1e9))
        select.select(readable, writable, (), timeout)
        with contextlib.suppress(BlockingIOError):
            self._wake_in.recv(4_096)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def obey(number: int, frame: FrameType | None) -> None:
            del frame
            match number:
                case signal.SIGUSR1:
                    self._power = False
                case signal.SIGUSR2:
                    self._power = True
                case _:
                    self._ending = True
            with contextlib.suppress(BlockingIOError):
                self._wake_out.send(b"\0")

        numbers = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, obey) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._wake_in.close()
            self._wake_out.close()


def switch_power(folder: Path, *, on: bool) -> None:
    """Cut the power of the board that runs in `folder`, or give it back; done when this returns.

    Raises:
        BoardError: none runs there, or it does not obey.
    """
    state = _state(folder)
    if bool(state["power"]) == on:
        return
    os.kill(int(state["pid"]), signal.SIGUSR2 if on else signal.SIGUSR1)
    end = time.monotonic() + POWER_S_MAX
    while time.monotonic() < end:
        if bool(_state(folder)["power"]) == on:
            return
        time.sleep(0.01)
    raise BoardError(f"{folder}: the power was not switched within {POWER_S_MAX:.0f} s")


def _state(folder: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((folder / STATE_FILE).read_text())
        os.kill(int(state["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BoardError(f"{folder}: no board runs here; start it with `python -m firmware run {folder}`") from error
    return state
