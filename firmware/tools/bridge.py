"""The far end of a board's CAN line: the bus of a vehicle, or a pseudo-terminal for whoever opens serial devices.

On a bus this is the board's transceiver and its acceptance filter: frames of its address and functional ones go to the
board, what it sends leaves as the bus allows. Noise on the line is counted and passed over.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from firmware.tools.slcan import Lines, line_of
from secondary.shell.can import CanSource
from uptane.link.isotp_values import FramesHeard, SendFrames
from uptane.shell.can_port import CanPort

READ_OCTETS: Final = 65_536
UNREAD_MAX: Final = 65_536  # octets that wait for a reader of a terminal, which may be nobody

log = logging.getLogger("marque.board")


class FarEnd(Protocol):
    """Where a board's line leads. Nothing here blocks."""

    def fileno(self) -> int | None:
        """What to wait for."""
        ...

    def wake_ns(self) -> int | None:
        """When `exchange` has something to do anyway (monotonic ns); None for never."""
        ...

    def exchange(self, octets: bytes) -> bytes:
        """Take what the board's line said, give what is to be said to the board."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class OnBus:
    """A vehicle's bus, by the port that `opener` opens; LinkFailure when it cannot be opened at first."""

    def __init__(self, opener: Callable[[], CanPort]) -> None:
        self._source = CanSource(opener)
        self._lines = Lines()

    def fileno(self) -> int | None:
        """The interface's descriptor."""
        return self._source.fileno()

    def wake_ns(self) -> int | None:
        """When there are frames to send."""
        return self._source.wake_ns()

    def exchange(self, octets: bytes) -> bytes:
        """Lines to frames, frames to lines."""
        noise = self._lines.noise
        if frames := self._lines.take(octets):
            self._source.send(SendFrames(frames, 0, 0))
        if self._lines.noise > noise:
            log.warning("the board's line: %d lines that are no frames", self._lines.noise)
        heard = [event for event in self._source.take() if isinstance(event, FramesHeard)]
        return b"".join(line_of(frame) for event in heard for frame in event.frames)

    def close(self) -> None:
        """Give the interface back."""
        self._source.close()


class OnTerminal:
    """A pseudo-terminal that `link` points to as long as this is open; its other side is a serial device to all tools.

    It stays when the board's power is cut, as an adapter does. What nobody reads is lost.
    """

    def __init__(self, link: Path) -> None:
        self._link = link
        self._ours, self._theirs = os.openpty()  # theirs is kept open: reading ours would fail between two readers
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.device = os.ttyname(self._theirs)
        """The device."""
        self._unread = b""
        with contextlib.suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(self.device)

    def fileno(self) -> int | None:
        """Our side."""
        return self._ours

    def wake_ns(self) -> int | None:
        """Never: what waits for a reader goes with the next octets, or is lost."""
        return None

    def exchange(self, octets: bytes) -> bytes:
        """Octets both ways, whatever they are."""
        self._unread = (self._unread + octets)[-UNREAD_MAX:]
        with contextlib.suppress(BlockingIOError):
            while self._unread:
                self._unread = self._unread[os.write(self._ours, self._unread) :]
        with contextlib.suppress(BlockingIOError):
            return os.read(self._ours, READ_OCTETS)
        return b""

    def close(self) -> None:
        """Take the device away."""
        with contextlib.suppress(FileNotFoundError):
            self._link.unlink()
        os.close(self._ours)
        os.close(self._theirs)
