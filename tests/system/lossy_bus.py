"""A bus cut in two, the Primary on one side, and a bridge between them that loses frames: all real, all outside."""

from __future__ import annotations

import random
import select
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from demo.monitor import Bus
from uptane.shell.can_udp import HOP_LIMIT, _join

DATAGRAM_MAX = 512
WAIT_S = 0.2


@dataclass
class Bridge:
    """Passes datagrams on between pairs of groups, but for a share of them that dice choose."""

    pairs: Sequence[tuple[Bus, Bus]]
    loss: float
    passed: int = 0
    lost: int = 0
    _dice: random.Random = field(default_factory=lambda: random.Random(1))
    _ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until `end`."""
        ways: dict[socket.socket, socket.socket] = {}
        own: set[int] = set()
        for pair in self.pairs:
            ears = [_ear(bus) for bus in pair]
            mouths = [_mouth(bus) for bus in pair]
            ways |= {ears[0]: mouths[1], ears[1]: mouths[0]}
            own |= {mouth.getsockname()[1] for mouth in mouths}
        try:
            while not self._ended.is_set():
                for ear in select.select(list(ways), (), (), WAIT_S)[0]:
                    datagram, (_, port) = ear.recvfrom(DATAGRAM_MAX)
                    if port not in own:
                        self._pass(datagram, ways[ear])
        finally:
            for ear, mouth in ways.items():
                ear.close()
                mouth.close()

    def _pass(self, datagram: bytes, to: socket.socket) -> None:
        if self._dice.random() < self.loss:
            self.lost += 1
            return
        self.passed += 1
        to.send(datagram)

    def end(self) -> None:
        """Stop soon."""
        self._ended.set()


@contextmanager
def bridged(pairs: Sequence[tuple[Bus, Bus]], loss: float) -> Iterator[Bridge]:
    """A bridge at work until the block ends."""
    bridge = Bridge(pairs, loss)
    thread = threading.Thread(target=bridge.run, daemon=True)
    thread.start()
    try:
        yield bridge
    finally:
        bridge.end()
        thread.join()


def _ear(bus: Bus) -> socket.socket:
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    _join(ear, bus.channel, bus.port)
    return ear


def _mouth(bus: Bus) -> socket.socket:
    """Connected, so that its own address is known, and its frames are not taken for others' when they come back."""
    mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOP_LIMIT)
    interface = _join(probe := socket.socket(socket.AF_INET, socket.SOCK_DGRAM), bus.channel, bus.port)
    probe.close()
    mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
    mouth.connect((bus.channel, bus.port))
    return mouth
