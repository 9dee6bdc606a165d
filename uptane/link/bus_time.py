"""How long a frame occupies a CAN bus, to the bit: stuff bits, checksum, and the three bits between frames.

ISO 11898-1:2015, 10.4 (frame formats) and 10.5 (bit stuffing). Classic frames are stuffed from the start of frame to
the end of the CRC, which is therefore computed. CAN FD frames are stuffed dynamically up to the end of the data, and
at fixed places in the stuff count and CRC, whose values thus do not matter.

The bit that switches the rate up (BRS) and the one that switches it down (CRC delimiter) each change rate at their
sample point; what one gains the other loses, so together they last one nominal and one data bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from uptane.link.can_frame import DATA_LENGTHS, CanFrame

_SECOND_NS = 1_000_000_000

_STUFF_RUN = 5  # equal bits after which one of the other value is put in
_CRC15 = 0x4599  # the generator of classic CAN
_TAIL_CLASSIC = 13  # CRC delimiter, acknowledge slot and delimiter, 7 end of frame, 3 between frames: never stuffed
_TAIL_FD = 12  # the same without the CRC delimiter
# FD: 4 bits of stuff count, CRC17 or CRC21, and a fixed stuff bit before them and after every fourth bit.
_CRC_FIELD_FD_SHORT = 4 + 17 + 6  # up to 16 octets of data
_CRC_FIELD_FD_LONG = 4 + 21 + 7

# A state of the stuffing: the value of the last bit and how many equal ones there were, 1 to 5, as value * 5 + run - 1.
_STATES = 2 * _STUFF_RUN


def _after_bits(state: int, bits: int, count: int) -> tuple[int, int]:
    """Send `count` bits, highest first: the state after them, and how many stuff bits were put between them."""
    stuffed = 0
    value, run = divmod(state, _STUFF_RUN)
    run += 1
    for place in reversed(range(count)):
        if run == _STUFF_RUN:
            stuffed += 1
            value, run = 1 - value, 1
        bit = bits >> place & 1
        value, run = (value, run + 1) if bit == value else (bit, 1)
    return value * _STUFF_RUN + run - 1, stuffed


# By state * 256 + octet: the next state times 256, and the stuff bits.
_OCTETS = [_after_bits(state, octet, 8) for state in range(_STATES) for octet in range(256)]
_NEXT = tuple(state << 8 for state, _ in _OCTETS)
_STUFFED = tuple(stuffed for _, stuffed in _OCTETS)


def _crc15_bits(crc: int, bits: int, count: int) -> int:
    for place in reversed(range(count)):
        crc = (crc << 1) ^ (_CRC15 if (crc >> 14 ^ bits >> place) & 1 else 0)
        crc &= 0x7FFF
    return crc


_CRC_OCTETS = tuple(_crc15_bits(0, octet, 8) for octet in range(256))


# The 15 bits of the CRC in two steps, 7 and 8: by state * 128 + bits the next state times 256 and the stuff bits, and
# by state * 256 + octet the stuff bits to the very end.
_SEVEN = [_after_bits(state, bits, 7) for state in range(_STATES) for bits in range(128)]
_CRC_HIGH = tuple((state << 8, stuffed) for state, stuffed in _SEVEN)
# Five equal bits at the very end are followed by a stuff bit, too.
_CRC_LOW = tuple(stuffed + (state % _STUFF_RUN == _STUFF_RUN - 1) for state, stuffed in _OCTETS)


@dataclass(frozen=True, slots=True)
class BusSpeed:
    """Bit rates in bit/s, 10,000 to 8,000,000; `data` is the second one of CAN FD, at least the nominal one."""

    nominal: int = 500_000
    data: int = 2_000_000

    def __post_init__(self) -> None:
        if not 10_000 <= self.nominal <= 1_000_000:
            raise ValueError(f"nominal bit rate {self.nominal}: 10000 to 1000000 bit/s")
        if not self.nominal <= self.data <= 8_000_000:
            raise ValueError(f"data bit rate {self.data}: {self.nominal} (the nominal one) to 8000000 bit/s")


@lru_cache(maxsize=1024)  # the same few identifiers and lengths come again and again
def _head_classic(can_id: int, length: int, *, extended: bool) -> tuple[int, int, int, int]:
    """Bits up to the length code; then the state times 256, the stuff bits and the CRC there."""
    if extended:
        # Start of frame 0, base identifier, SRR 1, IDE 1, identifier extension, RTR 0, r1 0, r0 0, length code.
        count, bits = 39, can_id >> 18 << 27 | 0b11 << 25 | (can_id & 0x3_FFFF) << 7 | length
    else:
        count, bits = 19, can_id << 7 | length  # start of frame, identifier, RTR 0, IDE 0, r0 0, length code
    state, stuffed = _after_bits(0, bits, count - 1)  # after the start of frame, a single 0
    return count, state << 8, stuffed, _crc15_bits(0, bits, count)


def classic_bits(can_id: int, data: bytes, *, extended: bool = True) -> int:
    """Bits of a classic frame of 0 to 8 octets, stuff bits and the space after it included.

    `can_id` has 29 bits, or 11 when not `extended`.
    """
    count, state, stuffed, crc = _head_classic(can_id, len(data), extended=extended)
    following, stuffing, checking = _NEXT, _STUFFED, _CRC_OCTETS
    for octet in data:
        at = state | octet
        stuffed += stuffing[at]
        state = following[at]
        crc = (crc << 8 & 0x7FFF) ^ checking[crc >> 7 ^ octet]
    state, more = _CRC_HIGH[state >> 1 | crc >> 8]
    return count + 8 * len(data) + 15 + stuffed + more + _CRC_LOW[state | crc & 0xFF] + _TAIL_CLASSIC


@lru_cache(maxsize=1024)
def _head_fd(can_id: int, length: int, *, brs: bool, extended: bool) -> tuple[int, int, int]:
    """The state times 256, the bits at the nominal rate and the stuff bits at the data rate, after the length code."""
    if extended:
        # As the classic head up to the extension; then RRS 0, FDF 1, reserved 0, BRS.
        count, bits = 36, can_id >> 18 << 24 | 0b11 << 22 | (can_id & 0x3_FFFF) << 4 | 0b0100 | brs
    else:
        count, bits = (
            17,
            can_id << 5 | 0b00100 | brs,
        )  # start of frame, identifier, RRS 0, IDE 0, FDF 1, reserved 0, BRS
    state, nominal = _after_bits(0, bits, count - 1)
    state, fast = _after_bits(state, DATA_LENGTHS.index(length), 5)  # ESI 0, length code
    return state << 8, count + nominal, fast


def fd_bits(can_id: int, data: bytes, *, brs: bool, extended: bool = True) -> tuple[int, int]:
    """Bits of a CAN FD frame at the nominal and at the data rate (0 without `brs`), as `classic_bits`."""
    state, nominal, fast = _head_fd(can_id, len(data), brs=brs, extended=extended)
    following, stuffing = _NEXT, _STUFFED
    for octet in data:
        at = state | octet
        fast += stuffing[at]
        state = following[at]
    # ESI and length code, data, stuff count and CRC, and the CRC delimiter (see the module's text on the two rates).
    fast += 5 + 8 * len(data) + (_CRC_FIELD_FD_SHORT if len(data) <= 16 else _CRC_FIELD_FD_LONG) + 1
    nominal += _TAIL_FD
    return (nominal, fast) if brs else (nominal + fast, 0)


def frame_ns(frame: CanFrame, speed: BusSpeed, *, extended: bool = True) -> int:
    """Nanoseconds from the start of `frame` until the next one may start; `extended` as for `classic_bits`."""
    can_id, data, fd, brs = frame
    if not fd:
        return classic_bits(can_id, data, extended=extended) * _SECOND_NS // speed.nominal
    nominal, fast = fd_bits(can_id, data, brs=brs, extended=extended)
    return nominal * _SECOND_NS // speed.nominal + fast * _SECOND_NS // speed.data
