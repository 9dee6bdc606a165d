"""Other people's frames on an interface, sent by the kernel (CAN_BCM), and what a bystander sees of them and of us."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from uptane.link.bus_time import BusSpeed, frame_ns
from uptane.link.can_frame import CanFrame
from uptane.shell.can_socket import EFF_FLAG, RTR_FLAG

PERIOD_S = 0.01
# struct bcm_msg_head of linux/can/bcm.h, and what of it is used.
BCM_HEAD = struct.Struct("@IIIllllII0q")
TX_SETUP, SETTIMER, STARTTIMER, CAN_FD_FRAME = 1, 1, 2, 0x800
CAN_RAW_JOIN_FILTERS = 6  # not among the constants of every Python
INV_FILTER = 0x2000_0000
EXACTLY = EFF_FLAG | RTR_FLAG | 0x1FFF_FFFF
MATCHES = Path("/proc/net/can")
# Around ours: a car's 11-bit ones, a truck's of J1939, another tester's of either priority to and from ECUs that are
# not ours, and functional ones for another group. Nothing of ours may answer any of them.
AROUND_OURS = (
    *(0x7DF, 0x7E0, 0x7E8, 0x3DA),
    *(EFF_FLAG | can_id for can_id in (0x18FEF1F0, 0x18EAFFF9, 0x1CD911F0, 0x1CDC11F0, 0x14DE11F0)),
    *(EFF_FLAG | can_id for can_id in (0x1CDA13F1, 0x1CDAF113, 0x18DA10F1, 0x18DAF110, 0x1CDB34F1)),
)


def identifiers(count: int) -> Sequence[int]:
    """So many, the nearest to ours first; a 29-bit one has EFF_FLAG."""
    return (*AROUND_OURS, *range(0x100, 0x100 + count))[:count]


@dataclass
class Traffic:
    """Frames of other nodes on `channel` that take `percent` of the time of a bus of the usual rates."""

    channel: str
    fd: bool
    percent: int

    def __post_init__(self) -> None:
        # A request to a UDS server, if anybody felt spoken to (ECUReset), and octets that are not stuffed much.
        self.data = bytes((2, 0x11, 1, *(at * 37 + 11 & 0xFF for at in range(61 if self.fd else 5))))
        average_ns = sum(map(self._frame_ns, identifiers(24))) / 24
        per_period = self.percent / 100 * PERIOD_S * 1e9 / average_ns
        self.ids = identifiers(int(per_period) + 1)
        self.load = sum(map(self._frame_ns, self.ids)) / (PERIOD_S * 1e9)
        """The share of the bus's time, 0 to 1, that is meant."""

    def _frame_ns(self, can_id: int) -> int:
        frame = CanFrame(can_id & 0x1FFF_FFFF, self.data, self.fd, self.fd)
        return frame_ns(frame, BusSpeed(), extended=bool(can_id & EFF_FLAG))

    def start(self) -> None:
        """Send from now on, in the kernel: it costs this machine's one processor next to nothing."""
        self._socket = socket.socket(socket.AF_CAN, socket.SOCK_DGRAM, socket.CAN_BCM)
        self._socket.connect((self.channel,))
        micros, flags = int(PERIOD_S * 1e6), SETTIMER | STARTTIMER | (CAN_FD_FRAME if self.fd else 0)
        for can_id in self.ids:
            head = BCM_HEAD.pack(TX_SETUP, flags, 0, 0, 0, 0, micros, can_id, 1)
            frame = struct.pack("=IBBxx", can_id, len(self.data), int(self.fd)) + self.data
            self._socket.send(head + frame)

    def stop(self) -> None:
        """No more of it."""
        self._socket.close()


class Bystander:
    """A node that sees one kind of the frames on a bus: those of `ids`, or with `but` all others."""

    def __init__(self, channel: str, ids: Sequence[int], *, but: bool) -> None:
        self._socket = socket.socket(socket.AF_CAN, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.CAN_RAW)
        invert = INV_FILTER if but else 0
        wanted = b"".join(struct.pack("=II", can_id | invert, EXACTLY) for can_id in ids)
        self._socket.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
        self._socket.setsockopt(socket.SOL_CAN_RAW, CAN_RAW_JOIN_FILTERS, int(but))
        self._socket.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, wanted)
        self._socket.bind((channel,))

    def seen(self) -> Iterator[tuple[int, bytes]]:
        """Identifier (with EFF_FLAG) and data of what its buffer has kept."""
        with suppress(BlockingIOError):
            while True:
                octets = self._socket.recv(72)
                yield int.from_bytes(octets[:4], "little"), octets[8 : 8 + octets[4]]

    def close(self) -> None:
        """Go away."""
        self._socket.close()


def matched(channel: str) -> int:
    """How many frames bystanders of `ids` have been shown on an interface, kept or not: the kernel counts them."""
    count = 0
    for name in ("rcvlist_sff", "rcvlist_eff"):
        for line in (MATCHES / name).read_text().splitlines():
            words = line.split()  # device, identifier, mask, function, data, matches, who
            if len(words) == 7 and words[0] == channel and words[6] == "raw":
                count += int(words[5])
    return count
