"""The CAN port as a source of events; when the interface is gone it is opened again and again, without a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from secondary.needs import Event
from uptane.errors import LinkFailure
from uptane.link.isotp_values import FramesHeard, FramesSent, SendFrames
from uptane.shell.can_port import CanPort
from uptane.shell.can_said import Said

REOPEN_NS: Final = 1_000_000_000


class CanSource:
    """Frames in and out of one port that `opener` opens; raises LinkFailure when it cannot be opened at first."""

    def __init__(self, opener: Callable[[], CanPort], clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._opener = opener
        self._clock_ns = clock_ns
        self._port: CanPort | None = opener()
        self._reopen_ns = 0
        self._said = Said(clock_ns)

    def fileno(self) -> int | None:
        """The interface's descriptor; None while it is gone, or if it has none."""
        return None if self._port is None else self._port.fileno()

    def wake_ns(self) -> int | None:
        """When there is something to send, to ask for, or to open."""
        return self._reopen_ns if self._port is None else self._port.wake_ns()

    def take(self) -> Sequence[Event]:
        """Send what is due, take what has come."""
        if self._port is None:
            self._reopen()
        if self._port is None:
            return ()
        try:
            exchange = self._port.exchange()
        except LinkFailure as failure:
            self._lose(self._port, failure)
            return ()
        events: list[Event] = [FramesSent(ticket) for ticket in exchange.tickets]
        if exchange.frames:
            events.append(FramesHeard(exchange.frames))
        return events

    def send(self, run: SendFrames) -> None:
        """Send frames; while the interface is gone they are lost, as on a bus that is cut."""
        if self._port is None:
            return
        try:
            self._port.send(run)
        except LinkFailure as failure:
            self._lose(self._port, failure)

    def close(self) -> None:
        """Give the interface back."""
        if self._port is not None:
            self._port.close()

    def _lose(self, port: CanPort, failure: LinkFailure) -> None:
        self._said.lost(failure)
        port.close()
        self._port = None
        self._reopen_ns = self._clock_ns() + REOPEN_NS

    def _reopen(self) -> None:
        if self._clock_ns() < self._reopen_ns:
            return
        try:
            self._port = self._opener()
        except LinkFailure as failure:
            self._reopen_ns = self._clock_ns() + REOPEN_NS
            self._said.lost(failure)
        else:
            self._said.back("of this ECU")
