"""Canonical OER for the schema's constructed types: each type of the table becomes one reader and one writer, once.

A value of a SEQUENCE is a tuple of its components in order, None where an optional one is absent; of an extensible
one there is a last element: the extension additions, () if there are none, else one `bytes` (or None) for each bit of
the presence bitmap. So a message of a newer schema is read, and written back, to the octet; what the additions mean
is not known here. A value of a CHOICE is (tag, value), of an ENUMERATED its number, of a SEQUENCE OF a tuple.
"""

from __future__ import annotations

from struct import error as TooShort  # noqa: N812  (named for what it means here)
from typing import Any, NamedTuple, TypeAlias, assert_never

from uptane.codec.notation import (
    Boolean,
    Choice,
    Enumerated,
    Integer,
    Null,
    Octets,
    Reference,
    Sequence,
    SequenceOf,
    Type,
)
from uptane.codec.oer_primitives import (
    SHORT_MAX,
    Reader,
    Writer,
    enumerated_reader,
    enumerated_writer,
    integer_reader,
    integer_size,
    integer_writer,
    octets_reader,
    octets_writer,
    read_boolean,
    read_length,
    read_null,
    write_boolean,
    write_length,
    write_null,
)
from uptane.codec.schema_table import TYPES
from uptane.errors import Malformed

Row: TypeAlias = tuple[Any, ...]

ADDITIONS_MAX = 16  # bits of an extension bitmap: an addition a year for the life of a car
ADDITION_LENGTH_MAX = 4_096  # octets: what needs more is another message
TAG_FIRST = 0x80  # automatic tags are context-specific: 80, 81, 82 and so on
EXTENDED = 0x80  # the first bit of a preamble, where the type is extensible


class Coding(NamedTuple):
    """How one type is read and written."""

    read: Reader
    write: Writer


def decode(coding: Coding, octets: bytes) -> Any:  # noqa: ANN401  (what the table says)
    """The value that `octets` encode, all of them; raise Malformed if they are not its one encoding."""
    try:
        value, at = coding.read(octets, 0)
    except (IndexError, TooShort):
        raise Malformed("truncated") from None
    if at != len(octets):
        raise Malformed(f"{len(octets) - at} octets behind the end")
    return value


def encode(coding: Coding, value: Any) -> bytes:  # noqa: ANN401  (what the table says)
    """The one encoding of `value`; raise Malformed if the schema does not allow it."""
    out = bytearray()
    coding.write(value, out)
    return bytes(out)


def shortest(kind: Type) -> int:
    """The fewest octets that a value of this type can have."""
    match kind:
        case Null():
            return 0
        case Boolean() | Enumerated():
            return 1
        case Integer(high=high):
            return integer_size(high)
        case Octets(low=low, high=high):
            return low if low == high else low + 1 + (low > SHORT_MAX)
        case SequenceOf(low=low, element=element):
            return 2 + low * shortest(element)
        case Sequence(fields=fields, extensible=extensible):
            preamble = int(extensible or any(field.optional for field in fields))
            return preamble + sum(shortest(field.type) for field in fields if not field.optional)
        case Choice(alternatives=alternatives):
            return 1 + min(shortest(alternative.type) for alternative in alternatives)
        case Reference(name=name):
            return shortest(TYPES[name])
        case _:
            assert_never(kind)


def codings() -> dict[str, Coding]:
    """One Coding for every type of the schema, by name."""
    done: dict[str, Coding] = {}
    for name in TYPES:
        _named(name, done)
    return done


def _named(name: str, done: dict[str, Coding]) -> Coding:
    """The Coding of a type of the table; the table is free of recursion (generate.py)."""
    if name not in done:
        done[name] = _coding(TYPES[name], done)
    return done[name]


def _coding(kind: Type, done: dict[str, Coding]) -> Coding:
    match kind:
        case Boolean():
            return Coding(read_boolean, write_boolean)
        case Null():
            return Coding(read_null, write_null)
        case Integer(low=low, high=high):
            return Coding(integer_reader(low, high), integer_writer(low, high))
        case Octets(low=low, high=high):
            return Coding(octets_reader(low, high), octets_writer(low, high))
        case Enumerated(names=names, extensible=extensible):
            count = len(names)
            return Coding(
                enumerated_reader(count, extensible=extensible), enumerated_writer(count, extensible=extensible)
            )
        case SequenceOf():
            return _sequence_of(kind, _coding(kind.element, done))
        case Sequence():
            parts = tuple(_coding(field.type, done) for field in kind.fields)
            return Coding(_sequence_reader(kind, parts), _sequence_writer(kind, parts))
        case Choice():
            return _choice(tuple(_coding(alternative.type, done) for alternative in kind.alternatives))
        case Reference(name=name):
            return _named(name, done)
        case _:
            assert_never(kind)


def _sequence_of(kind: SequenceOf, element: Coding) -> Coding:
    """SEQUENCE OF: the quantity as an integer of one octet behind its length, then the elements."""
    low, high = kind.low, kind.high
    read_element, write_element = element

    def read(octets: bytes, at: int) -> tuple[Row, int]:
        count = octets[at + 1]
        if octets[at] != 1 or not low <= count <= high:
            raise Malformed(f"a list at {at} without {low} to {high} entries")
        at += 2
        values = []
        for _ in range(count):
            value, at = read_element(octets, at)
            values.append(value)
        return tuple(values), at

    def write(values: Row, out: bytearray) -> None:
        if not low <= len(values) <= high:
            raise Malformed(f"a list of {len(values)} entries, not {low} to {high}")
        out.append(1)
        out.append(len(values))
        for value in values:
            write_element(value, out)

    return Coding(read, write)


def _choice(parts: tuple[Coding, ...]) -> Coding:
    """CHOICE: one tag octet, then the value."""
    readers = tuple(part.read for part in parts)
    writers = tuple(part.write for part in parts)

    def read(octets: bytes, at: int) -> tuple[Row, int]:
        tag = octets[at] - TAG_FIRST
        if not 0 <= tag < len(readers):
            raise Malformed(f"tag {octets[at]:02X} at {at}")
        value, at = readers[tag](octets, at + 1)
        return (tag, value), at

    def write(chosen: Row, out: bytearray) -> None:
        tag, value = chosen
        assert 0 <= tag < len(writers)
        out.append(TAG_FIRST + tag)
        writers[tag](value, out)

    return Coding(read, write)


def _bits(kind: Sequence) -> dict[int, int]:
    """The preamble's bit of each optional component, by place: from the top, behind the extension bit."""
    optional = [place for place, field in enumerate(kind.fields) if field.optional]
    return {place: 0x80 >> (kind.extensible + rank) for rank, place in enumerate(optional)}


def _absent(octets: bytes, at: int) -> tuple[None, int]:  # noqa: ARG001  (a Reader)
    return None, at


def _no_additions(octets: bytes, at: int) -> tuple[Row, int]:  # noqa: ARG001  (a Reader)
    return (), at


def _sequence_reader(kind: Sequence, parts: tuple[Coding, ...]) -> Reader:
    """SEQUENCE: one plan of readers for every preamble that is possible; all other preambles are refused."""
    bits = _bits(kind)
    known = (EXTENDED if kind.extensible else 0) | sum(bits.values())
    plans: dict[int, tuple[Reader, ...]] = {}
    for preamble in range(256):
        if preamble & ~known:
            continue
        plan = [
            part.read if place not in bits or preamble & bits[place] else _absent for place, part in enumerate(parts)
        ]
        if kind.extensible:
            plan.append(_read_additions if preamble & EXTENDED else _no_additions)
        plans[preamble] = tuple(plan)

    def read(octets: bytes, at: int) -> tuple[Row, int]:
        plan = plans.get(octets[at])
        if plan is None:
            raise Malformed(f"preamble {octets[at]:02X} at {at}")
        at += 1
        values = []
        for part in plan:
            value, at = part(octets, at)
            values.append(value)
        return tuple(values), at

    def read_bare(octets: bytes, at: int) -> tuple[Row, int]:
        values = []
        for part in plans[0]:
            value, at = part(octets, at)
            values.append(value)
        return tuple(values), at

    return read if known else read_bare


def _sequence_writer(kind: Sequence, parts: tuple[Coding, ...]) -> Writer:
    """SEQUENCE: preamble, the components that are there, additions."""
    bits = _bits(kind)
    writers = tuple(part.write for part in parts)
    width = len(parts) + kind.extensible

    def write(row: Row, out: bytearray) -> None:
        assert len(row) == width
        if bits or kind.extensible:
            preamble = EXTENDED if kind.extensible and row[-1] else 0
            for place, bit in bits.items():
                if row[place] is not None:
                    preamble |= bit
            out.append(preamble)
        for place, part in enumerate(writers):
            value = row[place]
            if value is not None or place not in bits:
                part(value, out)
        if kind.extensible and row[-1]:
            _write_additions(row[-1], out)

    return write


def _read_additions(octets: bytes, at: int) -> tuple[Row, int]:
    """Presence bitmap and additions (clause 16.4): what a newer schema added, measured and not understood.

    The bitmap has one bit for every addition the sender's schema knows, so zeros may end it; but at least one bit is
    set (or there would be no bitmap), unused bits are zero and fewer than eight, and no addition is empty.
    """
    length, at = read_length(octets, at)
    stop = at + length
    if not 2 <= length <= 1 + ADDITIONS_MAX // 8 or stop > len(octets):
        raise Malformed(f"extension bitmap of {length} octets at {at}")
    unused = octets[at]
    bitmap = int.from_bytes(octets[at + 1 : stop])
    if unused > 7 or bitmap == 0 or bitmap & ((1 << unused) - 1):
        raise Malformed(f"extension bitmap {octets[at:stop].hex()} at {at}")
    at = stop
    additions: list[bytes | None] = []
    for place in range(8 * (length - 1) - 1, unused - 1, -1):
        if not bitmap >> place & 1:
            additions.append(None)
            continue
        size, at = read_length(octets, at)
        stop = at + size
        if not 1 <= size <= ADDITION_LENGTH_MAX or stop > len(octets):
            raise Malformed(f"extension addition of {size} octets at {at}")
        additions.append(octets[at:stop])
        at = stop
    return tuple(additions), at


def _write_additions(additions: Row, out: bytearray) -> None:
    """Presence bitmap and additions."""
    count = len(additions)
    present = [addition for addition in additions if addition is not None]
    if not present or count > ADDITIONS_MAX or not all(1 <= len(part) <= ADDITION_LENGTH_MAX for part in present):
        raise Malformed("extension additions out of bounds")
    size = (count + 7) // 8
    unused = 8 * size - count
    bitmap = sum(1 << (8 * size - 1 - place) for place, part in enumerate(additions) if part is not None)
    out += bytes((1 + size, unused)) + bitmap.to_bytes(size)
    for part in present:
        write_length(len(part), out)
        out += part
