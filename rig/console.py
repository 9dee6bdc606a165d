"""A serial console, read by a thread of its own: lines with the moment they came, however often the device goes away.

Octets that are no text are shown as escapes; a line that does not end is cut. Nothing is ever written to the console,
unless a case does.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final, NamedTuple

import serial

from rig.serial_line import hang_up
from rig.settings import ConsoleSettings
from uptane.errors import LinkFailure

READ_S: Final = 0.1
REOPEN_S: Final = 0.2
LINE_MAX: Final = 1_000  # characters; noise has no line ends
LINES_MAX: Final = 100_000  # of one rig's run; older ones are let go


class Said(NamedTuple):
    """A line of the console, and when it ended (monotonic ns)."""

    at_ns: int
    text: str


class Console:
    """Opens the port that `settings` name. Raises LinkFailure when it cannot; later it is opened again and again."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self._settings = settings
        self._port: Any = self._open()
        self._lines: list[Said] = []
        self._rest = b""
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._thread.start()

    @property
    def up(self) -> bool:
        """Whether the port is open now."""
        return self._port is not None

    def mark(self) -> int:
        """A place in the text, for `since`."""
        with self._lock:
            return len(self._lines)

    def since(self, mark: int) -> list[Said]:
        """What was said since `mark`, the unfinished line with it."""
        with self._lock:
            rest = [Said(time.monotonic_ns(), _text(self._rest))] if self._rest else []
            return self._lines[mark:] + rest

    def write(self, octets: bytes) -> None:
        """Type something. Raises LinkFailure."""
        try:
            self._port.write(octets)
        except (OSError, AttributeError) as error:
            raise LinkFailure(f"console {self._settings.url}: {error}") from error

    def close(self) -> None:
        """Stop reading."""
        self._ending.set()
        self._thread.join(2 * READ_S + 1.0)
        if self._port is not None:
            hang_up(self._port)

    def _open(self) -> Any:  # noqa: ANN401 (pyserial ships no types)
        try:
            return serial.serial_for_url(self._settings.url, baudrate=self._settings.baudrate, timeout=READ_S)
        except (OSError, ValueError) as error:
            raise LinkFailure(f"console {self._settings.url}: {error}; {_advice(str(error))}") from error

    def _read(self) -> None:
        while not self._ending.is_set():
            try:
                if self._port is None:
                    self._port = self._open()
                self._take(self._port.read(max(1, self._port.in_waiting)))
            except (OSError, ValueError, TypeError, LinkFailure):  # TypeError: pyserial, when a port vanishes mid-read
                self._lose()

    def _lose(self) -> None:
        if self._port is not None:
            hang_up(self._port)
            self._port = None
        self._ending.wait(REOPEN_S)

    def _take(self, octets: bytes) -> None:
        with self._lock:
            *lines, self._rest = (self._rest + octets).split(b"\n")
            if len(self._rest) > LINE_MAX:
                lines, self._rest = [*lines, self._rest], b""
            now_ns = time.monotonic_ns()
            room = LINES_MAX - len(self._lines)
            self._lines += [Said(now_ns, _text(line)) for line in lines[:room]]


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "backslashreplace")


def _advice(text: str) -> str:
    if "ermission" in text:
        return "add yourself to the group that owns the device (usually dialout), then log in again"
    if "No such file" in text:
        return "is it plugged in? list devices with `python -m serial.tools.list_ports`"
    if "refused" in text:
        return "is what serves this address running?"
    return "see docs/rig.md, 'Console'"
