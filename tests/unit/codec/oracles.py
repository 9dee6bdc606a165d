"""Two other implementations of OER, asked the same questions: asn1tools and pycrate, both compiled from our schema."""

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, assert_never

import asn1tools

import uptane.codec
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
from uptane.codec.schema_table import TYPES

SCHEMA = Path(uptane.codec.__file__).with_name("uptane.asn1")


def as_tree(kind: Type, row: Any, *, null: object = None) -> Any:
    """A row as the dictionaries, tuples and names that both oracles take; they differ in how they write NULL."""
    match kind:
        case Boolean() | Integer() | Octets():
            return row
        case Null():
            return null
        case Enumerated(names=names):
            return names[row]
        case SequenceOf(element=element):
            return [as_tree(element, item, null=null) for item in row]
        case Sequence(fields=fields):
            parts = zip(fields, row[: len(fields)], strict=True)
            return {field.name: as_tree(field.type, part, null=null) for field, part in parts if part is not None}
        case Choice(alternatives=alternatives):
            tag, value = row
            return (alternatives[tag].name, as_tree(alternatives[tag].type, value, null=null))
        case Reference(name=name):
            return as_tree(TYPES[name], row, null=null)
        case _:
            assert_never(kind)


@cache
def asn1tools_codec(changes: tuple[tuple[str, str], ...] = ()) -> Any:
    """asn1tools' OER for the schema, or for a newer schema made by replacing text in it."""
    text = SCHEMA.read_text(encoding="ascii")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return asn1tools.compile_string(text, "oer")


@cache
def pycrate_module() -> Any:
    """pycrate's types for the schema; it writes a Python module, which is run in memory."""
    from pycrate_asn1c.asnproc import PycrateGenerator, compile_text, generate_modules

    compile_text(SCHEMA.read_text(encoding="ascii"))
    written = Path(__file__).resolve().parents[3] / "build" / "tmp" / "pycrate_uptane.py"
    generate_modules(PycrateGenerator, str(written))
    module = ModuleType("pycrate_uptane")
    exec(compile(written.read_text(encoding="utf-8"), str(written), "exec"), module.__dict__)
    return module.__dict__["Uptane"]
