"""The four frames of ISO-TP (ISO 15765-2:2016, 9.6) as octets: which are valid, and how ours are made.

Frames that the standard tells a receiver to ignore are read as None; telling when a valid one is unexpected is
left to isotp_receive.py and isotp_send.py.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias

from uptane.link.can_frame import DATA_LENGTHS, data_length_at_least
from uptane.link.isotp_values import SEPARATION_MAX_US

LENGTH_12_BIT_MAX = 0xFFF
SEQUENCE_MODULO = 16

_FRAME_LENGTHS = frozenset(DATA_LENGTHS[8:])  # what a first frame, and so all but the last of a message, can have
_PADDING_WHERE_NEEDED = 0xAA  # CAN FD has no frames of 9, 13, ... octets: these are padded whatever the settings


class FlowStatus(IntEnum):
    """What a flow control frame says."""

    CONTINUE = 0
    WAIT = 1
    OVERFLOW = 2


class SingleFrame(NamedTuple):
    """A whole message."""

    octets: bytes


class FirstFrame(NamedTuple):
    """The start of a message of `length` octets, sent in frames of `frame_length` (RX_DL)."""

    length: int
    octets: bytes
    frame_length: int


class ConsecutiveFrame(NamedTuple):
    """A further part of a message: the frame as it is, its first octet holding the sequence number."""

    frame: bytes

    @property
    def number(self) -> int:
        """The sequence number, 0 to 15."""
        return self.frame[0] & 0x0F


class FlowControl(NamedTuple):
    """How a receiver wants to be sent to; `status` may be one that does not exist."""

    status: int
    block_size: int
    separation_us: int


Frame: TypeAlias = SingleFrame | FirstFrame | ConsecutiveFrame | FlowControl


def read_frame(data: bytes) -> Frame | None:
    """Read the data of one CAN frame; None for one that is to be ignored (9.6.2.2, 9.6.3.2, 9.8.3)."""
    if not data:
        return None
    kind = data[0] >> 4
    if kind == 0:
        return _read_single(data)
    if kind == 1:
        return _read_first(data)
    if kind == 2:
        return ConsecutiveFrame(data)
    if kind == 3 and len(data) >= 3:
        return FlowControl(data[0] & 0x0F, data[1], separation_us_of(data[2]))
    return None


def _read_single(data: bytes) -> SingleFrame | None:
    """Single frames must be as short as their content allows, or padded to 8 (Tables 13 and 14)."""
    size = len(data)
    if size <= 8:
        length = data[0] & 0x0F
        if length == 0 or length > size - 1 or (size < 8 and length != size - 1):
            return None
        return SingleFrame(data[1 : 1 + length])
    length = data[1]
    if data[0] != 0 or length < 8 or length + 2 > size or data_length_at_least(length + 2) != size:
        return None
    return SingleFrame(data[2 : 2 + length])


def _read_first(data: bytes) -> FirstFrame | None:
    """First frames fill their CAN frame, and announce what a single frame could not carry (9.6.3.2)."""
    size = len(data)
    if size not in _FRAME_LENGTHS:
        return None
    length = (data[0] & 0x0F) << 8 | data[1]
    start = 2
    if length == 0:
        length = int.from_bytes(data[2:6], "big")
        start = 6
        if length <= LENGTH_12_BIT_MAX:
            return None
    if length <= single_length_max(size):
        return None
    return FirstFrame(length, data[start:], size)


def single_length_max(frame_length: int) -> int:
    """The longest message that fits one frame of `frame_length` octets."""
    return 7 if frame_length == 8 else frame_length - 2


def separation_us_of(octet: int) -> int:
    """STmin in microseconds; reserved values mean the longest there is (9.6.5.5)."""
    if octet <= 0x7F:
        return octet * 1_000
    if 0xF1 <= octet <= 0xF9:
        return (octet - 0xF0) * 100
    return SEPARATION_MAX_US


def octet_of_separation_us(separation_us: int) -> int:
    """STmin on the wire, for a separation that IsoTpSettings has accepted."""
    return separation_us // 1_000 if separation_us % 1_000 == 0 else 0xF0 + separation_us // 100


def padded(data: bytes, padding: int | None) -> bytes:
    """`data` (1 to 64 octets) made as long as a frame can be."""
    size = len(data)
    wanted = data_length_at_least(size) if padding is None or size > 8 else 8
    if wanted == size:
        return data
    return data + bytes([_PADDING_WHERE_NEEDED if padding is None else padding]) * (wanted - size)


def single_frame(octets: bytes) -> bytes:
    """A single frame for 1 to 62 octets, not yet padded."""
    return bytes([len(octets)]) + octets if len(octets) <= 7 else bytes([0, len(octets)]) + octets


def first_frame(message: bytes, frame_length: int) -> bytes:
    """The first frame of `message`; it needs no padding, since the message did not fit a single one."""
    length = len(message)
    head = (
        (0x1000 | length).to_bytes(2, "big") if length <= LENGTH_12_BIT_MAX else b"\x10\x00" + length.to_bytes(4, "big")
    )
    return head + message[: frame_length - len(head)]


def flow_control(status: FlowStatus, block_size: int, separation_us: int) -> bytes:
    """A flow control frame, not yet padded."""
    return bytes([0x30 | status, block_size, octet_of_separation_us(separation_us)])
