"""SocketCAN: a raw socket of the kernel's, which filters, so that other traffic of a busy bus wakes nobody.

What the controller says of itself (bus-off, error-passive, frames lost) comes as error frames; those of single damaged
frames are not asked for, since a disturbed bus has thousands. python-can can do the same, and takes 12 MB of a board's
memory. Needs no privilege: bit rates are set by whoever brings the interface up.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
import struct
import sys
from enum import IntFlag
from typing import Final

from uptane.errors import LinkFailure
from uptane.link.can_frame import (
    CAN_ID_MAX,
    FUNCTIONAL_ID,
    FUNCTIONAL_TARGET,
    KIND_MASK,
    PHYSICAL_ID,
    CanFrame,
    data_length_at_least,
)
from uptane.shell.can_said import QUIET_NS, log
from uptane.shell.can_wire import ARRIVALS_MAX, Arrival, failure

RECEIVE_OCTETS: Final = 1 << 20  # about 1,100 frames: half a second of a full classic bus; the kernel may grant less
CLASSIC_MTU: Final = 16
FD_MTU: Final = 72
EFF_FLAG: Final = 0x8000_0000
RTR_FLAG: Final = 0x4000_0000
ERR_FLAG: Final = 0x2000_0000
_BRS: Final = 0x01
_ORDER: Final = sys.byteorder
_HEAD: Final = struct.Struct("=IBBxx")
_FILTER: Final = struct.Struct("=II")
_FULL: Final = frozenset({errno.ENOBUFS, errno.EAGAIN})
_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFMTU: Final = 0x8921
_IFF_UP: Final = 1
_CAN_RAW_ERR_FILTER: Final = 2  # not among the constants of every Python
_REMEDIES: Final = {
    errno.ENODEV: "is its driver loaded? `dmesg | grep -i can`; on a Raspberry Pi the overlay in config.txt",
    errno.ENETDOWN: "ip link set {name} up type can bitrate ..., or a .network file of systemd-networkd",
    errno.EAFNOSUPPORT: "modprobe can-raw, or a kernel that has it",
    errno.EPROTONOSUPPORT: "modprobe can-raw, or a kernel that has it",
}


class Trouble(IntFlag):
    """Classes of error frames that are asked for (linux/can/error.h)."""

    CONTROLLER = 0x04
    BUS_OFF = 0x40
    RESTARTED = 0x100


_ASKED: Final = Trouble.CONTROLLER | Trouble.BUS_OFF | Trouble.RESTARTED
_STATES: Final = (
    (0x03, "the controller lost frames: it was not read in time"),
    (0x30, "error-passive: frames are damaged or nobody acknowledges them; wiring, termination, bit rate"),
    (0x40, "error-active again"),
)


class SocketWire:
    """One interface of the kernel's. With `own` the frames for that address only, of any priority; with None all."""

    heard_at_start = False

    def __init__(self, channel: str, *, fd: bool, own: int | None) -> None:
        self._name = f"socketcan {channel}"
        self.malformed = 0
        self._came_ns: dict[str, int] = {}
        try:
            self._socket = socket.socket(socket.AF_CAN, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.CAN_RAW)
        except OSError as error:
            raise self._failed(channel, error) from error
        try:
            self._set_up(channel, fd=fd, own=own)
        except OSError as error:
            self._socket.close()
            raise self._failed(channel, error) from error
        except LinkFailure:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def put(self, frame: CanFrame, start_ns: int) -> bool:
        """Hand a frame to the kernel; False when its queue is full, which it is for as long as a bus is off."""
        del start_ns
        try:
            self._socket.send(packed(frame))
        except OSError as error:
            if error.errno in _FULL:
                return False
            raise self._failed(self._name.rpartition(" ")[2], error) from error
        return True

    def take(self, now_ns: int) -> list[Arrival]:
        """Frames that came in. Raises LinkFailure when the interface is gone or down, or the controller bus-off."""
        arrivals: list[Arrival] = []
        for _ in range(ARRIVALS_MAX):
            try:
                octets = self._socket.recv(FD_MTU)
            except BlockingIOError:
                break
            except OSError as error:
                raise self._failed(self._name.rpartition(" ")[2], error) from error
            can_id = int.from_bytes(octets[:4], _ORDER)
            if can_id & ERR_FLAG:
                self._troubled(can_id, octets, now_ns)
            elif (arrival := _arrival(can_id, octets, now_ns)) is not None:
                arrivals.append(arrival)
            elif not can_id & RTR_FLAG:
                self.malformed += 1
        return arrivals

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def _set_up(self, channel: str, *, fd: bool, own: int | None) -> None:
        opened = self._socket
        if not self._asked(_SIOCGIFFLAGS, channel) & _IFF_UP:
            raise OSError(errno.ENETDOWN, "Network is down")
        if fd and self._asked(_SIOCGIFMTU, channel) < FD_MTU:
            raise LinkFailure(
                f"CAN {self._name}: carries classic frames only, and fd = true is asked for; "
                "set FDMode=yes and DataBitRate, or fd = false on every ECU of this bus"
            )
        with contextlib.suppress(OSError):  # it does with less
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_OCTETS)
        opened.setsockopt(socket.SOL_CAN_RAW, _CAN_RAW_ERR_FILTER, int(_ASKED))
        opened.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, int(fd))
        if own is not None:
            opened.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FILTER, filters(own))
        opened.bind((channel,))

    def _asked(self, request: int, channel: str) -> int:
        """What the kernel says of the interface: flags, or the length of its frames."""
        asked = struct.pack("16sH14x", channel.encode()[:15], 0)
        answer = fcntl.ioctl(self._socket.fileno(), request, asked)
        return int.from_bytes(answer[16:18], _ORDER)

    def _troubled(self, classes: int, octets: bytes, now_ns: int) -> None:
        if classes & Trouble.BUS_OFF:
            raise LinkFailure(
                f"CAN {self._name}: bus-off: the controller has left the bus after too many errors; "
                "wiring, termination, bit rate; it comes back by itself if restart-ms is set"
            )
        if classes & Trouble.RESTARTED:
            self._say("the controller is back on the bus", now_ns)
        if classes & Trouble.CONTROLLER and len(octets) > _HEAD.size + 1:
            for bits, words in _STATES:
                if octets[_HEAD.size + 1] & bits:
                    self._say(words, now_ns)

    def _say(self, words: str, now_ns: int) -> None:
        """Once: a controller that is read too slowly tells of lost frames a hundred times a second."""
        came_ns = self._came_ns.get(words)
        self._came_ns[words] = now_ns
        if came_ns is None or now_ns - came_ns >= QUIET_NS:
            log.warning("CAN %s: %s", self._name, words)

    def _failed(self, channel: str, error: OSError) -> LinkFailure:
        plain = failure(self._name, error)
        remedy = _REMEDIES.get(error.errno or 0)
        return plain if remedy is None else LinkFailure(f"{plain}; {remedy.format(name=channel)}")


def filters(own: int) -> bytes:
    """What the kernel lets through for `own`: frames to its address and to all ECUs, of whatever priority."""
    mask = EFF_FLAG | RTR_FLAG | KIND_MASK | 0xFF00
    wanted = (PHYSICAL_ID & KIND_MASK | own << 8, FUNCTIONAL_ID & KIND_MASK | FUNCTIONAL_TARGET << 8)
    return b"".join(_FILTER.pack(EFF_FLAG | can_id, mask) for can_id in wanted)


def packed(frame: CanFrame) -> bytes:
    """A frame as the kernel takes it: struct can_frame, or canfd_frame."""
    head = _HEAD.pack(frame.can_id | EFF_FLAG, len(frame.data), _BRS if frame.brs else 0)
    return (head + frame.data).ljust(FD_MTU if frame.fd else CLASSIC_MTU, b"\0")


def _arrival(can_id: int, octets: bytes, now_ns: int) -> Arrival | None:
    """A data frame; None for what is none."""
    if can_id & RTR_FLAG or len(octets) not in {CLASSIC_MTU, FD_MTU}:
        return None
    fd, length, flags = len(octets) == FD_MTU, octets[4], octets[5]
    if length > len(octets) - _HEAD.size or (fd and data_length_at_least(length) != length):
        return None
    data = octets[_HEAD.size : _HEAD.size + length]
    return CanFrame(can_id & CAN_ID_MAX, data, fd, fd and bool(flags & _BRS)), now_ns, bool(can_id & EFF_FLAG)
