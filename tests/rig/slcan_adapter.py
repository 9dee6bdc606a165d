"""A serial CAN adapter that is no hardware: slcan on a pty (or any stream) on one side, the bench's bus on the other.

It speaks LAWICEL's dialect as python-can does, classic and FD, and adds noise to the line when it is told to.
"""

import os
import random
import threading
import tty
from dataclasses import dataclass, field

import can

LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
KINDS = {"T": (False, False), "D": (True, False), "B": (True, True)}


@dataclass
class Adapter:
    """Works until `close`. `noise` is how many octets of noise come before each frame, on average."""

    group: str
    port: int
    fd: bool
    noise: float = 0.0
    dice: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self.ours, slave = os.openpty()
        tty.setraw(self.ours)
        tty.setraw(slave)
        self.slave = slave
        self.path = os.ttyname(slave)
        self.bus = can.Bus(interface="udp_multicast", channel=self.group, port=self.port, hop_limit=0, fd=self.fd)
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=each, daemon=True) for each in (self._from_line, self._from_bus)]
        for thread in self.threads:
            thread.start()

    def _from_line(self) -> None:
        rest = b""
        while not self.ending.is_set():
            try:
                *lines, rest = (rest + os.read(self.ours, 4_096)).split(b"\r")
            except OSError:
                return
            for line in lines:
                message = parsed(line.decode("ascii", "replace"))
                if message is not None:
                    self.bus.send(message)

    def _from_bus(self) -> None:
        while not self.ending.is_set():
            message = self.bus.recv(0.05)
            if message is not None:
                os.write(self.ours, self._noise() + text(message).encode())

    def _noise(self) -> bytes:
        octets = b""
        while self.dice.random() < self.noise / (1 + self.noise):
            octets += self.dice.randbytes(1)
        return octets + b"\r" if octets else b""  # the frame behind it is whole again

    def close(self) -> None:
        self.ending.set()
        os.close(self.slave)
        self.threads[1].join()
        self.bus.shutdown()
        os.close(self.ours)


def parsed(line: str) -> can.Message | None:
    """A frame; None for a command of the adapter, such as its bit rate."""
    if line[:1] not in KINDS:
        return None
    fd, brs = KINDS[line[0]]
    length = LENGTHS[int(line[9], 16)]
    return can.Message(
        arbitration_id=int(line[1:9], 16),
        is_extended_id=True,
        is_fd=fd,
        bitrate_switch=brs,
        data=bytes.fromhex(line[10 : 10 + 2 * length]),
    )


def text(message: can.Message) -> str:
    """A frame as the adapter says it."""
    kind = ("B" if message.bitrate_switch else "D") if message.is_fd else "T"
    return (
        f"{kind}{message.arbitration_id:08X}{LENGTHS.index(len(message.data)):X}{bytes(message.data).hex().upper()}\r"
    )
