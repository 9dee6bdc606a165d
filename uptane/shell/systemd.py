"""What a service tells systemd: that it is ready, that it is alive, what it does; and lines as the journal likes them.

Nothing happens where nobody listens: without NOTIFY_SOCKET nothing is sent, without WATCHDOG_USEC nobody waits, and
a log that is no journal keeps its times.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final, TextIO

from uptane.shell.log_stream import log_stream

STATUS_LENGTH_MAX: Final = 200  # characters of a line that people read in `systemctl status`
PETS: Final = 3  # as often within the time systemd waits: one may be late without a restart
_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG: Final = 7


class Service:
    """This process as systemd sees it; a Source of the loop that brings no event.

    The loop that waits for the machine's deadline also says that it is alive: one that hangs does not.
    """

    def __init__(
        self, environment: Mapping[str, str] | None = None, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        found = os.environ if environment is None else environment
        self._address = _address(found.get("NOTIFY_SOCKET", ""))
        self._every_ns = _every_ns(found) if self._address else 0
        self._clock_ns = clock_ns
        self._next_ns = 0

    def fileno(self) -> None:
        """Nothing comes in."""
        return

    def wake_ns(self) -> int | None:
        """When systemd is to hear of us again; None when it does not wait."""
        return self._next_ns if self._every_ns else None

    def take(self) -> tuple[()]:
        """Say that the loop turns, if it is time to."""
        if self._every_ns and self._clock_ns() >= self._next_ns:
            self._next_ns = self._clock_ns() + self._every_ns
            self._tell("WATCHDOG=1")
        return ()

    def ready(self, text: str) -> None:
        """All that is needed is there, and work begins."""
        self._tell(f"READY=1\nSTATUS={_one_line(text)}")

    def status(self, text: str) -> None:
        """What is being done, for `systemctl status`."""
        self._tell(f"STATUS={_one_line(text)}")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    def _tell(self, text: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(text.encode(), self._address)
            except OSError:
                return  # nobody listens any more; what this process is for goes on


class JournalFormatter(logging.Formatter):
    """Lines with their priority in front, and without time, level and process, which the journal keeps by itself."""

    def __init__(self) -> None:
        super().__init__("%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """One record; each line of a traceback has the priority too."""
        return with_priority(super().format(record), record.levelno)


def with_priority(text: str, level: int) -> str:
    """The text as sd-daemon(3) has it: each line opens with <3> for an error, <4> for a warning, and so on."""
    number = next((number for least, number in _PRIORITIES if level >= least), _DEBUG)
    return "\n".join(f"<{number}>{line}" for line in text.splitlines())


def is_journal(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Whether what is written to `stream` goes to the journal: JOURNAL_STREAM names its device and inode."""
    found = os.environ if environment is None else environment
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return found.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def set_up_log(stream: TextIO, level: int = logging.INFO) -> None:
    """Have everything that is logged written to `stream`, as whoever reads it likes it. A full disk stops nothing."""
    handler = logging.StreamHandler(log_stream(stream))
    if is_journal(stream):
        handler.setFormatter(JournalFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler])


def complain(stream: TextIO, text: str) -> None:
    """One line of why this process ends, with its priority where the journal reads."""
    log_stream(stream).write(f"{with_priority(text, logging.ERROR) if is_journal(stream) else text}\n")


def _address(text: str) -> str | None:
    """The socket's address; `@` stands for the octet 0 of abstract ones. None for a kind we cannot speak to."""
    if text.startswith("@"):
        return f"\0{text[1:]}"
    return text if text.startswith("/") else None


def _every_ns(environment: Mapping[str, str]) -> int:
    """How often to say that we are alive; 0 for never, or if another process is meant."""
    try:
        process = int(environment.get("WATCHDOG_PID", str(os.getpid())))
        wait_us = int(environment.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return 0
    return wait_us * 1_000 // PETS if process == os.getpid() and wait_us > 0 else 0


def _one_line(text: str) -> str:
    return " ".join(text.split())[:STATUS_LENGTH_MAX]
