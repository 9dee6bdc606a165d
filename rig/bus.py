"""One CAN channel of the rig and the testers on it: frames recorded, lost on purpose, and the channel opened again.

A board whose power is cut may take its channel with it (an emulated one, an adapter fed by the board): until it is
back, what is sent is lost and nothing is heard, as on a cable that was pulled.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Protocol

from rig.journal import Journal
from rig.settings import SERIAL_INTERFACES
from rig.slcan import SlcanWire
from uptane.errors import LinkFailure
from uptane.link.can_frame import CanFrame
from uptane.shell.can_library import LibraryWire
from uptane.shell.can_port import CanSettings
from uptane.shell.can_wire import Arrival, Wire

REOPEN_NS = 200_000_000
QUEUE_MAX = 100_000  # frames waiting for one tester; it is asked many times a second
_ECHOING = frozenset({"udp_multicast"})  # of python-can's: our own frames come back
POLL_S = 0.001  # a channel without a file descriptor is asked so often


class Member(Protocol):
    """Somebody on the bus: does what is due, and says when something will be."""

    def step(self) -> None:
        """Take what came, send what is due."""
        ...

    def wake_ns(self) -> int | None:
        """When `step` has something to do (monotonic ns), whatever comes in."""
        ...


class Bus:
    """The channel that `settings` describe.

    Raises LinkFailure when it cannot be opened; the text says what to do.
    """

    def __init__(self, settings: CanSettings, journal: Journal, opener: Callable[[], Wire] | None = None) -> None:
        self.settings = settings
        self.journal = journal
        self._opener = opener or (lambda: _open(settings))
        self._wire: Wire | None = self._opener()
        self._reopen_ns = 0
        self._malformed = 0
        self._stations: list[Station] = []
        self._own: frozenset[int] = frozenset()
        self._members: list[Member] = []
        self._lose: tuple[Random, float] | None = None
        self._alarm: tuple[int, Callable[[], None]] | None = None

    # -------------------------------------------------------------------------------------------------- testers

    def join(self, own: int) -> Station:
        """A further station on this bus, with the address `own`; it hears every frame of others."""
        station = Station(self, own)
        self._stations.append(station)
        self._own = frozenset(each.own for each in self._stations)
        return station

    def add(self, member: Member) -> None:
        """Let `member` take part in `pump`."""
        self._members.append(member)

    def remove(self, member: Member, station: Station) -> None:
        """The member leaves."""
        self._members.remove(member)
        self._stations.remove(station)
        self._own = frozenset(each.own for each in self._stations)

    def pump(self, done: Callable[[], bool], until_ns: int | None = None) -> None:
        """Let all members work until `done` or until it is `until_ns`."""
        while True:
            self._ring()
            for member in self._members:
                member.step()
            if done() or (until_ns is not None and time.monotonic_ns() >= until_ns):
                return
            self._wait(until_ns)

    def alarm(self, at_ns: int, act: Callable[[], None]) -> None:
        """Call `act` in `pump` at `at_ns`; what it raises ends the pump."""
        self._alarm = (at_ns, act)

    def no_alarm(self) -> bool:
        """Forget the alarm; whether there was one."""
        had, self._alarm = self._alarm is not None, None
        return had

    def _ring(self) -> None:
        if self._alarm is not None and time.monotonic_ns() >= self._alarm[0]:
            act = self._alarm[1]
            self._alarm = None
            act()

    def _wait(self, until_ns: int | None) -> None:
        if any(station.waiting for station in self._stations):
            return  # one member's step has brought what another has still to hear
        alarm_ns = None if self._alarm is None else self._alarm[0]
        wakes = [until_ns, alarm_ns, *(member.wake_ns() for member in self._members)]
        known = [wake for wake in wakes if wake is not None]
        timeout_s = max(0.0, (min(known) - time.monotonic_ns()) / 1e9) if known else 0.1
        if isinstance(self._wire, SlcanWire) and self._wire.busy:
            timeout_s = min(timeout_s, POLL_S)
        number = self.fileno()
        if number is None:
            time.sleep(min(timeout_s, POLL_S))
        else:
            select.select((number,), (), (), timeout_s)

    # --------------------------------------------------------------------------------------------------- frames

    @property
    def heard_at_start(self) -> bool:
        """As of Wire."""
        return self._wire is not None and self._wire.heard_at_start

    @property
    def malformed(self) -> int:
        """What came in and was no frame: line noise."""
        return self._malformed + (0 if self._wire is None else self._wire.malformed)

    @property
    def up(self) -> bool:
        """Whether the channel is open."""
        return self._wire is not None

    def fileno(self) -> int | None:
        """What to wait for; None when the channel has none, or is gone."""
        return None if self._wire is None else self._wire.fileno()

    def put(self, frame: CanFrame, start_ns: int, by: Station) -> bool:
        """Send a frame, unless the dice lose it; False when the channel takes none now."""
        if self._wire is None or self._unlucky():
            return True
        try:
            if not self._wire.put(frame, start_ns):
                return False
        except LinkFailure as failure:
            self._gone(failure)
            return True
        self.journal.frame(frame, sent=True)
        for station in self._stations:
            if station is not by:
                station.hear((frame, start_ns, True))
        return True

    def pull(self, now_ns: int) -> None:
        """Take what came in, and give it to every station."""
        if self._wire is None:
            self._reopen(now_ns)
        if self._wire is None:
            return
        try:
            arrivals = self._wire.take(now_ns)
        except LinkFailure as failure:
            self._gone(failure)
            return
        for arrival in arrivals:
            if self.settings.interface in _ECHOING and arrival[0].can_id & 0xFF in self._own:
                continue
            self.journal.frame(arrival[0], sent=False, extended=arrival[2])
            if not self._unlucky():
                for station in self._stations:
                    station.hear(arrival)

    @contextmanager
    def lossy(self, probability: float, dice: Random) -> Iterator[None]:
        """Lose frames in both directions, each with `probability`."""
        self._lose = (dice, probability)
        self.journal.note("loss", f"{probability:.3%} of frames are lost from here on")
        try:
            yield
        finally:
            self._lose = None
            self.journal.note("loss", f"no more losses; {self.journal.dropped} frames were lost")

    def _unlucky(self) -> bool:
        if self._lose is None or self._lose[0].random() >= self._lose[1]:
            return False
        self.journal.dropped += 1
        return True

    def _gone(self, failure: LinkFailure) -> None:
        self.journal.note("channel", f"{failure}")
        assert self._wire is not None
        self._malformed += self._wire.malformed
        self._wire.close()
        self._wire = None
        self._reopen_ns = time.monotonic_ns() + REOPEN_NS

    def _reopen(self, now_ns: int) -> None:
        if now_ns < self._reopen_ns:
            return
        try:
            self._wire = self._opener()
        except LinkFailure:
            self._reopen_ns = time.monotonic_ns() + REOPEN_NS
        else:
            self.journal.note("channel", "the channel is back")

    def close(self) -> None:
        """Give the channel back."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        self._reopen_ns = 1 << 63


class Station:
    """What one tester has of the bus: a Wire."""

    def __init__(self, bus: Bus, own: int) -> None:
        self.own = own
        self._bus = bus
        self._heard: deque[Arrival] = deque(maxlen=QUEUE_MAX)
        self.sent_ns = 0
        """When our latest frame was handed over."""
        self.heard_ns: int | None = None
        """When the first frame from `listen_to` came after that; None when none has."""
        self.listen_to: int | None = None
        self.heard_at_start = bus.heard_at_start
        self.malformed = 0

    @property
    def waiting(self) -> bool:
        """Whether frames wait to be taken."""
        return bool(self._heard)

    def fileno(self) -> int | None:
        """As of the channel."""
        return self._bus.fileno()

    def put(self, frame: CanFrame, start_ns: int) -> bool:
        """Send."""
        if not self._bus.put(frame, start_ns, self):
            return False
        self.sent_ns, self.heard_ns = max(start_ns, time.monotonic_ns()), None
        return True

    def hear(self, arrival: Arrival) -> None:
        """A frame for this station."""
        if self.heard_ns is None and arrival[2] and arrival[0].can_id & 0xFF == self.listen_to:
            self.heard_ns = time.monotonic_ns()
        self._heard.append(arrival)

    def take(self, now_ns: int) -> list[Arrival]:
        """What was heard since it was last asked."""
        self._bus.pull(now_ns)
        self.heard_at_start, self.malformed = self._bus.heard_at_start, self._bus.malformed
        heard = list(self._heard)
        self._heard.clear()
        return heard

    def close(self) -> None:
        """The bus closes the channel."""


def _open(settings: CanSettings) -> Wire:
    try:
        if settings.interface == "slcan":
            return SlcanWire(settings)
        return LibraryWire(
            settings.interface, settings.channel, fd=settings.fd, speed=settings.speed, options=settings.options
        )
    except LinkFailure as failure:
        raise LinkFailure(f"{failure}; {advice(str(failure), settings)}") from failure


def advice(text: str, settings: CanSettings) -> str:
    """What to do about a channel that cannot be opened."""
    serial = settings.interface in SERIAL_INTERFACES
    for words, remedy in _ADVICE:
        if any(word in text.lower() for word in words):
            return remedy[serial]
    return "see docs/rig.md, 'Channels', for what each interface needs"


_ADVICE: Sequence[tuple[tuple[str, ...], tuple[str, str]]] = (
    (
        ("permission",),
        (
            "add yourself to the group that owns the adapter, or run as root",
            "add yourself to the group that owns the device (usually: usermod -aG dialout USER, then log in again)",
        ),
    ),
    (("refused",), ("is what serves this address running?", "is what serves this address running?")),
    (
        ("no such", "could not open port", "does not exist"),
        (
            "list what there is with `ip -details link show type can`, and check [[bus]] channel",
            "is it plugged in? list devices with `python -m serial.tools.list_ports`, and check [[bus]] channel",
        ),
    ),
    (("is down", "network is down"), ("ip link set CHANNEL up type can bitrate 500000", "check its cable")),
    (
        ("unknown interface", "not supported", "not available", "no module", "cannot import"),
        (
            "check [[bus]] interface against python-can's list, and install what it needs",
            "pip install 'marque[rig]' brings pyserial",
        ),
    ),
)
