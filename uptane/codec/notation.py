"""The part of ASN.1 that the schema uses, as values: what uptane/codec/generate.py writes and oer_types.py compiles.

A type that is not here cannot be in the schema: the generator refuses it.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Boolean(NamedTuple):
    """BOOLEAN."""


class Null(NamedTuple):
    """NULL; only as an alternative of a CHOICE."""


class Integer(NamedTuple):
    """INTEGER (low..high), not extensible; 0 <= low <= high < 2**64."""

    low: int
    high: int


class Enumerated(NamedTuple):
    """ENUMERATED with values numbered from 0, at most 127; an extensible one reads unknown values as their number."""

    names: tuple[str, ...]
    extensible: bool


class Octets(NamedTuple):
    """OCTET STRING (SIZE (low..high)), not extensible."""

    low: int
    high: int


class SequenceOf(NamedTuple):
    """SEQUENCE (SIZE (low..high)) OF element, not extensible; high is at most 255."""

    low: int
    high: int
    element: Type


class Field(NamedTuple):
    """One component of a SEQUENCE."""

    name: str
    type: Type
    optional: bool


class Sequence(NamedTuple):
    """SEQUENCE; `extensible` when it ends in `...`. At most 8 bits of preamble."""

    fields: tuple[Field, ...]
    extensible: bool


class Alternative(NamedTuple):
    """One alternative of a CHOICE; its tag is its place, counted from 0."""

    name: str
    type: Type


class Choice(NamedTuple):
    """CHOICE with automatic tags, not extensible, at most 63 alternatives."""

    alternatives: tuple[Alternative, ...]


class Reference(NamedTuple):
    """Another type of the schema, by name."""

    name: str


Type: TypeAlias = Boolean | Null | Integer | Enumerated | Octets | SequenceOf | Sequence | Choice | Reference
