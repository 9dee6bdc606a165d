"""Readers and writers of single values in canonical OER: lengths, integers, octets (ITU-T X.696, clauses 8 to 14).

A reader takes the whole message and a place in it, and returns the value and the place behind it. It takes exactly
one encoding of each value and never trusts a length before comparing it with what is there. Places are never
negative. Reading a single octet behind the end raises IndexError or struct.error, which `oer_types.decode` turns
into Malformed at one place; slices are compared with the end here, because Python shortens them silently.
A writer appends to a bytearray, and refuses what the schema does not allow.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, TypeAlias

from uptane.errors import Malformed

Reader: TypeAlias = Callable[[bytes, int], tuple[Any, int]]
Writer: TypeAlias = Callable[[Any, bytearray], None]

SPAN_MIN = 1 << 20  # octet strings that may be as long as this are read as a Span: 9 MB of entries are not copied
SHORT_MAX = 127  # lengths up to here are one octet
WIDTHS = (Struct(">B"), Struct(">H"), Struct(">I"), Struct(">Q"))


class Span:
    """Octets within a longer message, not copied; equal to the octets they are."""

    __slots__ = ("start", "stop", "whole")

    def __init__(self, whole: bytes, start: int, stop: int) -> None:
        assert 0 <= start <= stop <= len(whole)
        self.whole, self.start, self.stop = whole, start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __bytes__(self) -> bytes:
        return self.whole[self.start : self.stop]

    def __eq__(self, other: object) -> bool:
        return bytes(self) == bytes(other) if isinstance(other, Span | bytes) else NotImplemented

    def __hash__(self) -> int:
        return hash(bytes(self))


def read_length(octets: bytes, at: int) -> tuple[int, int]:
    """A length determinant in its shortest form, at most 4 octets of length; and the place behind it."""
    first = octets[at]
    if first <= SHORT_MAX:
        return first, at + 1
    width = first - 128
    stop = at + 1 + width
    if not 1 <= width <= 4 or stop > len(octets):
        raise Malformed(f"length of {width} octets at {at}")
    length = int.from_bytes(octets[at + 1 : stop])
    if length <= SHORT_MAX or length >> 8 * (width - 1) == 0:
        raise Malformed(f"length not in its shortest form at {at}")
    return length, stop


def write_length(length: int, out: bytearray) -> None:
    """A length determinant in its shortest form."""
    if length <= SHORT_MAX:
        out.append(length)
    else:
        width = (length.bit_length() + 7) // 8
        out.append(128 + width)
        out += length.to_bytes(width)


def octets_reader(low: int, high: int) -> Reader:
    """OCTET STRING (SIZE (low..high)): bare if the size is fixed, else behind its length; a Span if it may be long."""
    if low == high:
        return _fixed_reader(high)
    if high <= SHORT_MAX:
        return _short_reader(low, high)
    return _span_reader(low, high) if high >= SPAN_MIN else _long_reader(low, high)


def _fixed_reader(size: int) -> Reader:
    def read(octets: bytes, at: int) -> tuple[bytes, int]:
        stop = at + size
        if stop > len(octets):
            raise Malformed(f"{size} octets wanted at {at}, {len(octets) - at} left")
        return octets[at:stop], stop

    return read


def _short_reader(low: int, high: int) -> Reader:
    def read(octets: bytes, at: int) -> tuple[bytes, int]:
        length = octets[at]  # a long form would be larger than any `high` up to SHORT_MAX
        if not low <= length <= high:
            raise Malformed(f"{length} octets at {at}, not {low} to {high}")
        at += 1
        stop = at + length
        if stop > len(octets):
            raise Malformed(f"{length} octets wanted at {at}, {len(octets) - at} left")
        return octets[at:stop], stop

    return read


def _bounds(octets: bytes, at: int, low: int, high: int) -> tuple[int, int]:
    """Where a string behind a length of any form begins and ends."""
    length, at = read_length(octets, at)
    if not low <= length <= high:
        raise Malformed(f"{length} octets at {at}, not {low} to {high}")
    if at + length > len(octets):
        raise Malformed(f"{length} octets wanted at {at}, {len(octets) - at} left")
    return at, at + length


def _long_reader(low: int, high: int) -> Reader:
    def read(octets: bytes, at: int) -> tuple[bytes, int]:
        start, stop = _bounds(octets, at, low, high)
        return octets[start:stop], stop

    return read


def _span_reader(low: int, high: int) -> Reader:
    def read(octets: bytes, at: int) -> tuple[Span, int]:
        start, stop = _bounds(octets, at, low, high)
        return Span(octets, start, stop), stop

    return read


def octets_writer(low: int, high: int) -> Writer:
    """OCTET STRING (SIZE (low..high))."""

    def write_fixed(value: bytes, out: bytearray) -> None:
        if len(value) != high:
            raise Malformed(f"{len(value)} octets, not {high}")
        out += value

    def write(value: bytes | Span, out: bytearray) -> None:
        length = len(value)
        if not low <= length <= high:
            raise Malformed(f"{length} octets, not {low} to {high}")
        write_length(length, out)
        out += bytes(value)

    return write_fixed if low == high else write


def _width(high: int) -> Struct:
    """OER gives a bounded INTEGER 1, 2, 4 or 8 octets: the fewest that hold its upper bound."""
    return next(width for width in WIDTHS if high < 1 << 8 * width.size)


def integer_size(high: int) -> int:
    """How many octets an INTEGER up to `high` takes."""
    return _width(high).size


def integer_reader(low: int, high: int) -> Reader:
    """INTEGER (low..high), never negative: fixed width, most significant octet first."""
    width = _width(high)
    unpack, size = width.unpack_from, width.size

    def read(octets: bytes, at: int) -> tuple[int, int]:
        (value,) = unpack(octets, at)
        if not low <= value <= high:
            raise Malformed(f"{value} at {at}, not {low} to {high}")
        return value, at + size

    return read


def integer_writer(low: int, high: int) -> Writer:
    """INTEGER (low..high), never negative."""
    size = integer_size(high)

    def write(value: int, out: bytearray) -> None:
        if not low <= value <= high:
            raise Malformed(f"{value}, not {low} to {high}")
        out += value.to_bytes(size)

    return write


def read_boolean(octets: bytes, at: int) -> tuple[bool, int]:
    """BOOLEAN: 00 or FF and nothing between."""
    value = octets[at]
    if value not in {0, 255}:
        raise Malformed(f"BOOLEAN {value:02X} at {at}")
    return value == 255, at + 1


def write_boolean(value: bool, out: bytearray) -> None:  # noqa: FBT001  (a BOOLEAN is what is written)
    """BOOLEAN."""
    out.append(255 if value else 0)


def read_null(octets: bytes, at: int) -> tuple[None, int]:  # noqa: ARG001  (a Reader)
    """NULL: no octets."""
    return None, at


def write_null(value: None, out: bytearray) -> None:
    """NULL: no octets."""


def enumerated_reader(count: int, *, extensible: bool) -> Reader:
    """ENUMERATED, short form only: values 0 to `count` - 1, up to 127 when a newer schema may have added some."""
    high = SHORT_MAX if extensible else count - 1

    def read(octets: bytes, at: int) -> tuple[int, int]:
        value = octets[at]
        if value > high:
            raise Malformed(f"ENUMERATED {value} at {at}, at most {high}")
        return value, at + 1

    return read


def enumerated_writer(count: int, *, extensible: bool) -> Writer:
    """ENUMERATED, short form only."""
    high = SHORT_MAX if extensible else count - 1

    def write(value: int, out: bytearray) -> None:
        if not 0 <= value <= high:
            raise Malformed(f"ENUMERATED {value}, at most {high}")
        out.append(value)

    return write
