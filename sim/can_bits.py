"""A frame written out bit by bit, and read as a receiver reads it: where would it find an error, and which?

ISO 11898-1:2015: 10.4 (formats), 10.5 (stuffing), 10.11 (what is an error). How long whole frames last is computed by
uptane.link.bus_time, faster; this is for frames in which something goes wrong. FD's values are here in full, too: stuff
count, CRC17 and CRC21.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

from sim.clock import NS_PER_S
from uptane.link.bus_time import BusSpeed, frame_ns
from uptane.link.can_frame import DATA_LENGTHS, CanFrame

REMEMBERED_MAX: Final = 50_000  # some 10 MB: a vehicle sends the same metadata and image again after each power cut

STUFF_RUN: Final = 5
FLAG_BITS: Final = 6  # of an error or overload flag
QUIET_BITS: Final = 11  # error delimiter 8 and 3 between frames; also ACK delimiter, end of frame and those 3
SUSPEND_BITS: Final = 8  # more that an error passive node waits after it has sent
LATE_BITS: Final = 6  # after a frame: its ACK delimiter and 5 bits were the flag, 5 more of the delimiter are over
_END_BITS: Final = 7  # end of frame
_CRC15: Final = (15, 0x4599, 0)  # bits, generator, initial value
_CRC17: Final = (17, 0x1685B, 1 << 16)
_CRC21: Final = (21, 0x102899, 1 << 20)
_GRAY: Final = (0b000, 0b001, 0b011, 0b010, 0b110, 0b111, 0b101, 0b100)


class Durations:
    """How many nanoseconds a frame lasts on this bus, the three bits before the next one included."""

    def __init__(self, speed: BusSpeed, *, extended: bool = True) -> None:
        self.speed = speed
        self.extended = extended
        self.of_frame = lru_cache(maxsize=REMEMBERED_MAX)(partial(frame_ns, speed=speed, extended=extended))

    def bits(self, nominal: int, fast: int = 0) -> int:
        """So many bits at the nominal rate, and at the one of FD data."""
        return nominal * NS_PER_S // self.speed.nominal + fast * NS_PER_S // self.speed.data


@lru_cache(maxsize=16)
def durations(speed: BusSpeed, *, extended: bool = True) -> Durations:
    """Those of all buses of this speed, which remember the same frames."""
    return Durations(speed, extended=extended)


@dataclass(frozen=True, slots=True)
class Written:
    """The bits of one frame as its sender puts them on the wire, stuffed, from the start to the end of frame."""

    frame: CanFrame
    bits: tuple[int, ...]
    head: int  # real (unstuffed) bits before the length code
    open: int  # the first bit of the length code, stuffing counted: from here on a wrong bit is an error of the sender
    fast: tuple[int, int]  # the bits at the data rate: from, up to
    acknowledge: int  # the acknowledge slot

    def seen(self) -> list[int]:
        """What is on the wire when somebody acknowledges."""
        bits = list(self.bits)
        bits[self.acknowledge] = 0
        return bits

    def until(self, bit: int, durations: Durations) -> int:
        """When this bit begins, in ns after the frame."""
        low, high = self.fast
        fast = max(0, min(bit, high) - low)
        return durations.bits(bit - fast, fast)


def numbers(value: int, count: int) -> list[int]:
    """The bits of `value`, highest first."""
    return [value >> place & 1 for place in reversed(range(count))]


def _crc(bits: Sequence[int], kind: tuple[int, int, int]) -> list[int]:
    count, generator, crc = kind
    for bit in bits:
        odd = (crc >> count - 1 ^ bit) & 1
        crc = crc << 1 & (1 << count) - 1
        if odd:
            crc ^= generator & (1 << count) - 1
    return numbers(crc, count)


def _head(frame: CanFrame, *, extended: bool) -> list[int]:
    """All real bits before the length code; ESI, which is sent at the data rate, being the last of FD."""
    can_id, fd, brs = frame.can_id, frame.fd, int(frame.brs)
    if extended:
        return [
            0,
            *numbers(can_id >> 18, 11),
            1,
            1,
            *numbers(can_id & 0x3_FFFF, 18),
            0,
            *((1, 0, brs, 0) if fd else (0, 0)),
        ]
    return [0, *numbers(can_id, 11), 0, 0, *((1, 0, brs, 0) if fd else (0,))]


def _stuffed(bits: Sequence[int]) -> tuple[list[int], list[int]]:
    """The bits with stuff bits, but none after the last one; and the place of each real bit."""
    sent: list[int] = []
    places: list[int] = []
    run = 0
    for bit in bits:
        if run == STUFF_RUN:
            sent.append(1 - sent[-1])
            run = 1
        run = run + 1 if sent and sent[-1] == bit else 1
        places.append(len(sent))
        sent.append(bit)
    return sent, places


def _fd_check(sent: Sequence[int], real: int, length: int) -> list[int]:
    """Stuff count and CRC, with their fixed stuff bits."""
    count = (len(sent) - real) % 8
    code = numbers(_GRAY[count], 3)
    field = [*code, sum(code) % 2]
    field += _crc([*sent, *field], _CRC17 if length <= 16 else _CRC21)
    checked: list[int] = []
    for at, bit in enumerate(field):
        if at % 4 == 0:
            checked.append(1 - (checked[-1] if checked else sent[-1]))
        checked.append(bit)
    return checked


def write(frame: CanFrame, *, extended: bool = True) -> Written:
    """Write out a frame."""
    head = _head(frame, extended=extended)
    length = DATA_LENGTHS.index(len(frame.data))
    real = [*head, *numbers(length, 4)]
    for octet in frame.data:
        real += numbers(octet, 8)
    fast = (0, 0)
    if frame.fd:
        sent, places = _stuffed(real)
        sent += _fd_check(sent, len(real), len(frame.data))
        if frame.brs:
            # From after BRS (a stuff bit there is fast already) to the CRC delimiter.
            fast = places[len(head) - 2] + 1, len(sent) + 1
    else:
        real += _crc(real, _CRC15)
        sent, places = _stuffed([*real, 2])  # a stuff bit may follow the last bit, too: 2 is neither value
        del sent[-1]
    acknowledge = len(sent) + 1
    sent += [1] * (1 + 1 + 1 + _END_BITS)
    return Written(frame, tuple(sent), len(head), places[len(head)], fast, acknowledge)


class _Reader:
    """A receiver's view of the wire: takes off stuff bits, and raises _Wrong where it sees an error."""

    def __init__(self, seen: Sequence[int]) -> None:
        self.seen = seen
        self.at = 0  # the bit to come
        self.run = 0
        self.stuffed = 0

    def bit(self) -> int:
        """The next bit as it stands; after the end of what was written the wire is recessive."""
        value = self.seen[self.at] if self.at < len(self.seen) else 1
        self.run = self.run + 1 if self.at and self.seen[self.at - 1] == value else 1
        self.at += 1
        return value

    def real(self) -> int:
        """The next bit that is no stuff bit."""
        self.stuff()
        return self.bit()

    def stuff(self) -> None:
        """Take off the stuff bit that is due, if one is."""
        if self.run == STUFF_RUN:
            self.bit()
            if self.run > STUFF_RUN:
                raise _WrongError(self.at - 1)
            self.stuffed += 1


class _WrongError(Exception):
    """What was seen at this bit cannot be."""

    def __init__(self, bit: int) -> None:
        super().__init__(bit)
        self.bit = bit


def first_error(written: Written, seen: Sequence[int]) -> int | None:
    """At which bit a receiver that saw these bits knows that they are wrong; None when it takes the frame.

    The format is known from `written`; everything after it is read from what was seen.
    """
    reader = _Reader(seen)
    try:
        bad = _check_sum_wrong(written, reader)
        if not reader.bit():  # CRC delimiter
            return reader.at - 1
        reader.bit()  # the acknowledge slot
        if not reader.bit() or bad:  # its delimiter, and the time to say that the CRC is wrong
            return reader.at - 1
        for _ in range(_END_BITS - 1):
            if not reader.bit():
                return reader.at - 1
    except _WrongError as wrong:
        return wrong.bit
    return None  # whatever the last bit is: for a receiver the frame is good before it


def _check_sum_wrong(written: Written, reader: _Reader) -> bool:
    """Read up to the end of the CRC."""
    real = [reader.real() for _ in range(written.head)]
    code = [reader.real() for _ in range(4)]
    length = DATA_LENGTHS[int("".join(map(str, code)), 2)]
    real += code
    if not written.frame.fd:
        real += [reader.real() for _ in range(8 * min(length, 8) + 15)]
        reader.stuff()
        return real[-15:] != _crc(real[:-15], _CRC15)
    real += [reader.real() for _ in range(8 * length)]
    sent = list(reader.seen[: reader.at])
    expected = _fd_check(sent, len(real), length)
    wrong = False
    for at in range(len(expected)):
        before = reader.seen[reader.at - 1]
        bit = reader.bit()
        if at % 5 == 0 and bit == before:
            raise _WrongError(reader.at - 1)  # a fixed stuff bit
        wrong |= bit != expected[at]
    return wrong
