"""Listens to the demo's buses as a bus analyser would, and counts what passes."""

from __future__ import annotations

import select
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

from uptane.link.bus_time import BusSpeed
from uptane.link.can_frame import address_of
from uptane.link.uds_values import PRIMARY_ADDRESS
from uptane.shell.can_port import CanPort, CanSettings, open_can_port

WAIT_SECONDS = 0.2  # how long a stop may take to be noticed


@dataclass(frozen=True)
class Bus:
    """One bus of the demo: a multicast group that stays on this host, and the speed its frames are paced by."""

    name: str
    channel: str
    port: int
    fd: bool
    speed: BusSpeed
    paced: bool

    @property
    def bit_rate(self) -> str:
        """For people."""
        arbitration = f"{self.speed.nominal // 1000} kbit/s"
        return f"{arbitration} / {self.speed.data // 1_000_000} Mbit/s FD" if self.fd else arbitration

    def settings(self) -> CanSettings:
        """As the CAN port takes it."""
        return CanSettings("udp_multicast", self.channel, self.fd, self.speed, self.paced, options={"port": self.port})


class Monitor:
    """Counts the frames of some buses in a thread of its own."""

    def __init__(self, buses: tuple[Bus, ...]) -> None:
        self._ports: list[tuple[Bus, CanPort]] = [(bus, open_can_port(bus.settings(), None)) for bus in buses]
        self.frames: Counter[tuple[str, int]] = Counter()
        """Frames to and from the Primary by (bus, address of the ECU at the other end)."""
        self.octets: Counter[tuple[str, int]] = Counter()
        """Octets of data in them."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="bus monitor", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            numbers = {number: each for each in self._ports if (number := each[1].fileno()) is not None}
            readable, _, _ = select.select(list(numbers), (), (), WAIT_SECONDS)
            for number in readable:
                self._count(*numbers[number])

    def _count(self, bus: Bus, port: CanPort) -> None:
        for frame in port.exchange().frames:
            address = address_of(frame.can_id)
            if address is None:
                continue
            other = address.target if address.source == PRIMARY_ADDRESS else address.source
            self.frames[bus.name, other] += 1
            self.octets[bus.name, other] += len(frame.data)

    def stop(self) -> list[dict[str, Any]]:
        """Stop listening; what passed each bus: frames, octets of data in them, seconds they took there."""
        self._stopping.set()
        self._thread.join()
        rows = []
        for bus, port in self._ports:
            seen = port.overheard
            row = {"name": bus.name, "bit_rate": bus.bit_rate, "frames": seen.frames, "octets": seen.octets}
            rows.append(row | {"bus_seconds": round(seen.bus_ns / 1e9, 3)})
            port.close()
        return rows
