"""Every limit of the schema, missed by one: not written, and refused when somebody else wrote it.

The octets that break a limit come from the codec itself, made from a table in which that one limit is wider.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, assert_never

import pytest

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
from uptane.codec.oer import Oer
from uptane.codec.oer_types import codings, decode, encode, shortest
from uptane.codec.schema_table import TYPES
from uptane.errors import Malformed
from uptane.model.ids import KeyId
from uptane.model.signed import Signature

CODINGS = codings()
MEGABYTE = 1 << 20
PAYLOAD_LENGTH_MAX = 67_108_864


def bounded(kind: Type, where: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Type]]:
    """Every bounded part of a type that is written out in it, with the way to it."""
    match kind:
        case Integer() | Octets() | SequenceOf() | Enumerated():
            yield where, kind
        case Sequence(fields=fields):
            for place, field in enumerate(fields):
                yield from bounded(field.type, (*where, place))
        case Choice(alternatives=alternatives):
            for tag, alternative in enumerate(alternatives):
                yield from bounded(alternative.type, (*where, tag))
        case _:
            pass


def widened(kind: Type, where: tuple[int, ...], part: Type) -> Type:
    """The type with the part at `where` replaced."""
    if not where:
        return part
    place, *rest = where
    if isinstance(kind, Choice):
        chosen = kind.alternatives[place]
        chosen = chosen._replace(type=widened(chosen.type, tuple(rest), part))
        return kind._replace(alternatives=(*kind.alternatives[:place], chosen, *kind.alternatives[place + 1 :]))
    assert isinstance(kind, Sequence)
    field = kind.fields[place]
    other = field._replace(type=widened(field.type, tuple(rest), part))
    return kind._replace(fields=(*kind.fields[:place], other, *kind.fields[place + 1 :]))


def filled(kind: Type) -> Any:
    """Some row of a type: everything at its least."""
    match kind:
        case Integer(low=low):
            return low
        case Octets(low=low):
            return b"n" * low
        case Enumerated():
            return 0
        case SequenceOf(low=low, element=element):
            return tuple(filled(element) for _ in range(low))
        case Sequence(fields=fields, extensible=extensible):
            return tuple(filled(field.type) for field in fields) + ((),) * extensible
        case Reference(name=name):
            return filled(TYPES[name])
        case Choice(alternatives=alternatives):
            return (0, filled(alternatives[0].type))
        case Boolean():
            return False
        case Null():
            return None
        case _:
            assert_never(kind)


def replaced(kind: Type, row: Any, where: tuple[int, ...], value: Any) -> Any:
    """The row with the part at `where` replaced."""
    if not where:
        return value
    place, *rest = where
    if isinstance(kind, Choice):
        below = kind.alternatives[place].type
        return (place, replaced(below, filled(below), tuple(rest), value))
    assert isinstance(kind, Sequence)
    return (*row[:place], replaced(kind.fields[place].type, row[place], tuple(rest), value), *row[place + 1 :])


def beyond(part: Type) -> Iterator[tuple[Type, Any]]:
    """A wider type of the same width on the wire, and a value just outside of `part`."""
    match part:
        case Integer(low=low, high=high):
            if low > 0:
                yield part._replace(low=low - 1), low - 1
            if high + 1 not in {1 << 8, 1 << 16, 1 << 32, 1 << 64}:
                yield part._replace(high=high + 1), high + 1
        case Octets(low=low, high=high) if low < high <= 4 * MEGABYTE:
            yield part._replace(high=high + 1), b"n" * (high + 1)
            if low > 0:
                yield part._replace(low=low - 1), b"n" * (low - 1)
        case SequenceOf(low=low, high=high, element=element):
            yield part._replace(high=high + 1), (filled(element),) * (high + 1)
            if low > 0:
                yield part._replace(low=low - 1), (filled(element),) * (low - 1)
        case Enumerated(names=names, extensible=False):
            yield part._replace(names=(*names, "more")), len(names)
        case _:
            return


class Limit(NamedTuple):
    """One bound of one type: the way to the part it bounds, a type without it, and a value just outside."""

    name: str
    where: tuple[int, ...]
    wider: Type
    value: Any


LIMITS = {
    f"{name}{list(where)}-{place}": Limit(name, where, wider, value)
    for name, kind in TYPES.items()
    for where, part in bounded(kind)
    for place, (wider, value) in enumerate(beyond(part))
}


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_each_limit_is_refused_by_one_in_both_directions(limit: Limit, monkeypatch: pytest.MonkeyPatch) -> None:
    name, where, wider, value = limit
    row = replaced(TYPES[name], filled(TYPES[name]), where, value)
    with pytest.raises(Malformed):
        encode(CODINGS[name], row)

    monkeypatch.setitem(TYPES, name, widened(TYPES[name], where, wider))
    octets = encode(codings()[name], row)
    assert decode(codings()[name], octets) == row
    with pytest.raises(Malformed):
        decode(CODINGS[name], octets)


def test_limits_of_every_bounded_kind_are_among_them() -> None:
    assert len(LIMITS) > 55
    assert {type(limit.wider) for limit in LIMITS.values()} == {Integer, Octets, SequenceOf, Enumerated}


SHORTEST = {
    "Url": 2,
    "KeyId": 8,
    "Threshold": 1,
    "Version": 4,
    "Role": 1,
    "Speaker": 1,
    "Match": 2,
    "PublicKey": 33,
    "KeyIds": 2 + 8,
    "Refusal": 2 + 4,
    "ManifestEntry": 1 + 2,
    "Delegation": 1 + 2 + 1 + 2 + (2 + 2 + 10 + 1) + 1,
    "SnapshotFile": 1 + 2 + 40,
    "Image": 1 + 2 + 4 + 32 + 2 + 4,
    "Assignment": 1 + 2 + 2,
}


@pytest.mark.parametrize(("name", "length"), SHORTEST.items())
def test_the_fewest_octets_of_a_type(name: str, length: int) -> None:
    assert shortest(TYPES[name]) == length


def test_the_fewest_octets_of_a_long_string() -> None:
    assert [shortest(Octets(low, low + 300)) for low in (0, 1, 127, 128)] == [1, 2, 128, 130]
    assert shortest(Boolean()) == 1


PREFIX = bytes.fromhex("0101") + b"12345678" + bytes((64,)) + bytes(64)
SIGNATURES = (Signature(KeyId(b"12345678"), bytes(64)),)


def test_the_largest_payload_is_taken() -> None:
    payload = bytes(PAYLOAD_LENGTH_MAX)
    sealed = PREFIX + b"\x84" + PAYLOAD_LENGTH_MAX.to_bytes(4) + payload
    assert Oer().open(sealed, len(sealed)) == Oer().seal(payload, SIGNATURES)


def test_one_octet_more_is_refused() -> None:
    payload = bytes(PAYLOAD_LENGTH_MAX + 1)
    with pytest.raises(Malformed, match="not 1 to 67108864"):
        Oer().open(PREFIX + b"\x84" + len(payload).to_bytes(4) + payload, 2 * PAYLOAD_LENGTH_MAX)
    with pytest.raises(Malformed, match="not 1 to 67108864"):
        Oer().seal(payload, SIGNATURES)


def test_an_envelope_longer_than_asked_for_is_not_looked_at() -> None:
    sealed = Oer().seal(b"payload", SIGNATURES).octets
    assert Oer().open(sealed, len(sealed)).payload == b"payload"
    with pytest.raises(Malformed, match="at most"):
        Oer().open(sealed, len(sealed) - 1)


@pytest.mark.parametrize("count", [0, 17])
def test_an_envelope_has_1_to_16_signatures(count: int) -> None:
    with pytest.raises(Malformed):
        Oer().seal(b"payload", SIGNATURES * count)
    with pytest.raises(Malformed):
        Oer().open(bytes((1, count)) + PREFIX[2:] * count + b"\x01p", MEGABYTE)
