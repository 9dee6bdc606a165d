"""The vehicle's buses as sources of events; an interface that is gone is opened again and again, without a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from primary.buses import OnBus
from uptane.errors import LinkFailure
from uptane.link.isotp_values import FramesHeard, FramesSent, SendFrames
from uptane.shell.can_port import CanPort
from uptane.shell.can_said import Said

REOPEN_NS: Final = 1_000_000_000
LOOK_NS: Final = 500_000_000  # how often it is asked whether the vehicle is parked, while frames are sent
PARKED_PERCENT: Final = 100


class BusSource:
    """Frames in and out of the bus `name`, on a port that `opener` opens.

    A Primary starts without its buses, too: what it has to say of silent ECUs, the Director should hear.
    While the vehicle is not `parked`, no more than `driving_percent` of the bus's time is taken.
    """

    def __init__(
        self,
        name: str,
        opener: Callable[[], CanPort],
        parked: Callable[[], bool],
        *,
        driving_percent: int,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._name = name
        self._opener = opener
        self._parked = parked
        self._driving_percent = driving_percent
        self._clock_ns = clock_ns
        self._look_ns = 0
        self._port: CanPort | None = None
        self._reopen_ns = 0
        self._said = Said(clock_ns)

    def fileno(self) -> int | None:
        """The interface's descriptor; None while it is gone, or if it has none."""
        return None if self._port is None else self._port.fileno()

    @property
    def is_open(self) -> bool:
        """Whether the interface is there and up."""
        return self._port is not None

    def wake_ns(self) -> int | None:
        """When there is something to send, to ask for, or to open."""
        return self._reopen_ns if self._port is None else self._port.wake_ns()

    def take(self) -> Sequence[OnBus]:
        """Send what is due, take what has come."""
        port = self._port or self._open()
        if port is None:
            return ()
        try:
            exchange = port.exchange()
        except LinkFailure as failure:
            self._lose(port, failure)
            return ()
        events = [OnBus(self._name, FramesSent(ticket)) for ticket in exchange.tickets]
        if exchange.frames:
            events.append(OnBus(self._name, FramesHeard(exchange.frames)))
        return events

    def send(self, run: SendFrames) -> None:
        """Send frames; while the interface is gone they are lost, as on a bus that is cut."""
        if self._port is None:
            return
        self._keep_budget(self._port)
        try:
            self._port.send(run)
        except LinkFailure as failure:
            self._lose(self._port, failure)

    def close(self) -> None:
        """Give the interface back."""
        if self._port is not None:
            self._port.close()

    def _keep_budget(self, port: CanPort) -> None:
        now_ns = self._clock_ns()
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + LOOK_NS
            port.set_budget(PARKED_PERCENT if self._parked() else self._driving_percent)

    def _open(self) -> CanPort | None:
        if self._clock_ns() < self._reopen_ns:
            return None
        try:
            self._port = self._opener()
        except LinkFailure as failure:
            self._reopen_ns = self._clock_ns() + REOPEN_NS
            self._said.lost(failure)
            return None
        self._said.back(self._name)
        self._look_ns = 0
        return self._port

    def _lose(self, port: CanPort, failure: LinkFailure) -> None:
        self._said.lost(failure)
        port.close()
        self._port = None
        self._reopen_ns = self._clock_ns() + REOPEN_NS
