"""Listens to the demo's buses as a bus analyser would, and counts what passes."""

from __future__ import annotations

import select
import threading
from dataclasses import dataclass
from typing import Any

from uptane.link.bus_time import BusSpeed
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
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="bus monitor", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            numbers = {number: port for _, port in self._ports if (number := port.fileno()) is not None}
            readable, _, _ = select.select(list(numbers), (), (), WAIT_SECONDS)
            for number in readable:
                numbers[number].exchange()

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
