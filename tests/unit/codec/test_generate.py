"""The table is made from the schema and from nothing else, and what the codec does not implement is refused by name."""

import pytest

from uptane.codec import generate
from uptane.codec.generate import Unsupported, notation
from uptane.codec.notation import Boolean, Enumerated, Field, Integer, Octets, Reference, Sequence, SequenceOf
from uptane.codec.schema_table import TYPES


def module(body: str) -> str:
    return f"T DEFINITIONS AUTOMATIC TAGS ::= BEGIN {body} END"


def test_the_table_is_fresh() -> None:
    source = generate.SCHEMA.read_text(encoding="ascii")
    assert generate.TABLE.read_text(encoding="ascii") == generate.table(source), "run `make generate`"
    assert notation(source) == TYPES


def test_every_construct_of_the_notation_is_read() -> None:
    body = "A ::= SEQUENCE { a INTEGER (0..9) OPTIONAL, b L, c BOOLEAN, ... } L ::= SEQUENCE (SIZE (0..3)) OF E "
    body += "E ::= ENUMERATED { x, y, ... }"
    assert notation(module(body)) == {
        "A": Sequence(
            (Field("a", Integer(0, 9), True), Field("b", Reference("L"), False), Field("c", Boolean(), False)), True
        ),
        "L": SequenceOf(0, 3, Reference("E")),
        "E": Enumerated(("x", "y"), True),
    }
    assert notation(module("A ::= OCTET STRING (SIZE (8))")) == {"A": Octets(8, 8)}


NOT_IMPLEMENTED = {
    "a union of sizes": "A ::= OCTET STRING (SIZE (32 | 64))",
    "no size": "A ::= OCTET STRING",
    "an extensible size": "A ::= OCTET STRING (SIZE (1..5, ...))",
    "an open size": "A ::= OCTET STRING (SIZE (1..MAX))",
    "a named size": "n INTEGER ::= 5 A ::= OCTET STRING (SIZE (1..n))",
    "an open range": "A ::= INTEGER",
    "an extensible range": "A ::= INTEGER (1..5, ...)",
    "a negative range": "A ::= INTEGER (-1..5)",
    "a range beyond 64 bits": "A ::= INTEGER (0..18446744073709551616)",
    "an upside-down range": "A ::= INTEGER (5..1)",
    "a constraint on a reference": "A ::= INTEGER (0..9) B ::= SEQUENCE { a A (1..5) }",
    "a list of more than 255": "A ::= SEQUENCE (SIZE (0..256)) OF BOOLEAN",
    "an open list": "A ::= SEQUENCE OF BOOLEAN",
    "a default": "A ::= SEQUENCE { a INTEGER (0..9) DEFAULT 1 }",
    "additions": "A ::= SEQUENCE { a BOOLEAN, ..., b BOOLEAN }",
    "an addition group": "A ::= SEQUENCE { a BOOLEAN, ..., [[ b BOOLEAN ]] }",
    "an insertion point": "A ::= SEQUENCE { a BOOLEAN, ..., ..., b BOOLEAN }",
    "an empty sequence": "A ::= SEQUENCE { }",
    "nine bits of preamble": "A ::= SEQUENCE { " + ", ".join(f"a{place} BOOLEAN OPTIONAL" for place in range(9)) + " }",
    "NULL in a sequence": "A ::= SEQUENCE { a NULL }",
    "an extensible choice": "A ::= CHOICE { a BOOLEAN, ... }",
    "numbered enumerations": "A ::= ENUMERATED { x(1), y(2) }",
    "enumerations added": "A ::= ENUMERATED { x, ..., y }",
    "129 enumerations": "A ::= ENUMERATED { " + ", ".join(f"x{place}" for place in range(129)) + " }",
    "explicit tags": "A ::= SEQUENCE { a [0] BOOLEAN }",
    "SET": "A ::= SET { a BOOLEAN }",
    "character strings": "A ::= SEQUENCE { a UTF8String (SIZE (1..9)) }",
    "BIT STRING": "A ::= BIT STRING (SIZE (8))",
    "REAL": "A ::= REAL",
    "an undefined type": "A ::= SEQUENCE { a Missing }",
    "recursion": "A ::= SEQUENCE { a A OPTIONAL }",
    "recursion in two steps": "A ::= CHOICE { a B } B ::= SEQUENCE (SIZE (0..1)) OF A",
    "parameters": "A {T} ::= SEQUENCE { a T }",
    "values": "n INTEGER ::= 5",
}


@pytest.mark.parametrize("body", NOT_IMPLEMENTED.values(), ids=NOT_IMPLEMENTED)
def test_what_is_not_implemented_is_refused(body: str) -> None:
    with pytest.raises(Unsupported):
        notation(module(body))


def test_other_tagging_and_several_modules_are_refused() -> None:
    for source in (
        "T DEFINITIONS ::= BEGIN A ::= BOOLEAN END",
        "T DEFINITIONS IMPLICIT TAGS ::= BEGIN A ::= BOOLEAN END",
        "T DEFINITIONS AUTOMATIC TAGS EXTENSIBILITY IMPLIED ::= BEGIN A ::= BOOLEAN END",
        module("A ::= BOOLEAN") + " " + module("B ::= BOOLEAN").replace("T ", "U ", 1),
        module("IMPORTS B FROM U; A ::= BOOLEAN"),
    ):
        with pytest.raises(Unsupported):
            notation(source)
