"""Makes schema_table.py from uptane.asn1: `python -m uptane.codec.generate`.

asn1tools reads the notation; it is needed here and in tests, never at run time. Everything in the schema that the
codec does not implement is refused by name, so that a new construct cannot be misread silently: every key of
asn1tools' tree is either used here or an error.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import asn1tools

from uptane.codec.notation import (
    Alternative,
    Boolean,
    Choice,
    Enumerated,
    Field,
    Integer,
    Null,
    Octets,
    Reference,
    Sequence,
    SequenceOf,
    Type,
)

HERE = Path(__file__).parent
SCHEMA = HERE / "uptane.asn1"
TABLE = HERE / "schema_table.py"
LINE_LENGTH_MAX = 116
INTEGER_BOUND = 1 << 64
ENUMERATED_MAX = 127  # larger numbers would need the long form, which readers refuse
COUNT_MAX = 255  # entries of a SEQUENCE OF: the quantity stays one octet
ALTERNATIVES_MAX = 63  # tags of one octet
PREAMBLE_BITS_MAX = 8  # one octet

Node: TypeAlias = dict[str, Any]


class Unsupported(Exception):
    """The schema uses something that this codec does not implement."""


def notation(source: str) -> dict[str, Type]:
    """All types of a schema, in its order; raise Unsupported for anything not implemented."""
    modules = asn1tools.parse_string(source)
    if len(modules) != 1:
        raise Unsupported(f"{len(modules)} modules where one is expected")
    (module,) = modules.values()
    for part in ("imports", "values", "object-classes", "object-sets"):
        if module[part]:
            raise Unsupported(f"{part} in the module")
    if module.get("tags") != "AUTOMATIC" or module["extensibility-implied"]:
        raise Unsupported("anything but AUTOMATIC TAGS without EXTENSIBILITY IMPLIED")
    _known(module, "module", "imports types values object-classes object-sets extensibility-implied tags")
    types = {name: _type(node, name) for name, node in module["types"].items()}
    for name in types:
        _refuse_recursion(types, name, ())
    return types


def _known(node: Node, where: str, keys: str) -> None:
    """Refuse any key of the tree that is not one of `keys`."""
    unknown = set(node) - set(keys.split())
    if unknown:
        raise Unsupported(f"{where}: {', '.join(sorted(unknown))}")


def _type(node: Node, where: str, also: str = "") -> Type:
    """One type; `also` names the keys that its place (a member) adds."""
    kind = node["type"]
    match kind:
        case "BOOLEAN":
            _known(node, where, f"type {also}")
            return Boolean()
        case "INTEGER":
            _known(node, where, f"type restricted-to {also}")
            return Integer(*_bounds(node.get("restricted-to"), where, INTEGER_BOUND - 1))
        case "OCTET STRING":
            _known(node, where, f"type size {also}")
            return Octets(*_bounds(node.get("size"), where, INTEGER_BOUND - 1))
        case "ENUMERATED":
            _known(node, where, f"type values {also}")
            return _enumerated(node["values"], where)
        case "SEQUENCE OF":
            _known(node, where, f"type size element {also}")
            element = _type(node["element"], f"{where}, element")
            return SequenceOf(*_bounds(node.get("size"), where, COUNT_MAX), element)
        case "SEQUENCE":
            _known(node, where, f"type members {also}")
            return _sequence(node["members"], where)
        case "CHOICE":
            _known(node, where, f"type members {also}")
            return _choice(node["members"], where)
        case _:  # a type of the schema; any other built-in one is undefined there, and refused by _refuse_recursion
            _known(node, where, f"type {also}")
            return Reference(kind)


def _bounds(constraint: object, where: str, high_max: int) -> tuple[int, int]:
    """The one range, or the one value, that a constraint allows, within 0 to `high_max`."""
    match constraint:
        case [(int() as low, int() as high)]:
            pass
        case [int() as low]:
            high = low
        case _:
            raise Unsupported(f"{where}: constraint {constraint!r}")
    if not 0 <= low <= high <= high_max:
        raise Unsupported(f"{where}: {low}..{high} is not within 0..{high_max}")
    return low, high


def _enumerated(values: list[Any], where: str) -> Enumerated:
    """Values numbered 0, 1, 2 and so on; `...` only at the end."""
    extensible = values[-1] is None
    known = values[:-1] if extensible else values
    if None in known or [number for _, number in known] != list(range(len(known))) or len(known) > ENUMERATED_MAX + 1:
        raise Unsupported(f"{where}: values {values!r}")
    return Enumerated(tuple(name for name, _ in known), extensible)


def _sequence(members: list[Any], where: str) -> Sequence:
    """Components; `...` only at the end, and nothing after it yet."""
    extensible = bool(members) and members[-1] is None
    known = members[:-1] if extensible else members
    fields = []
    for member in known:
        if not isinstance(member, dict):
            raise Unsupported(f"{where}: extension additions, groups or a second `...`")
        place = f"{where}.{member['name']}"
        optional = member.get("optional", False)
        kind = _type(member, place, "name optional")
        if isinstance(kind, Null):
            raise Unsupported(f"{place}: NULL")
        fields.append(Field(member["name"], kind, optional))
    if not fields or extensible + sum(field.optional for field in fields) > PREAMBLE_BITS_MAX:
        raise Unsupported(f"{where}: no components, or more than {PREAMBLE_BITS_MAX} bits of preamble")
    return Sequence(tuple(fields), extensible)


def _choice(members: list[Any], where: str) -> Choice:
    """Alternatives, without `...`."""
    alternatives = []
    for member in members:
        if not isinstance(member, dict):
            raise Unsupported(f"{where}: an extensible CHOICE")
        place = f"{where}.{member['name']}"
        if member["type"] == "NULL":
            _known(member, place, "type name")
            alternatives.append(Alternative(member["name"], Null()))
        else:
            alternatives.append(Alternative(member["name"], _type(member, place, "name")))
    if not 0 < len(alternatives) <= ALTERNATIVES_MAX:
        raise Unsupported(f"{where}: {len(alternatives)} alternatives")
    return Choice(tuple(alternatives))


def _refuse_recursion(types: dict[str, Type], name: str, above: tuple[str, ...]) -> None:
    """Depth is bounded by the schema: a type that contains itself is refused, and one that does not exist."""
    if name in above or name not in types:
        raise Unsupported(f"{' > '.join((*above, name))}: recursive or undefined")

    def walk(node: Type) -> None:
        match node:
            case Reference(name=below):
                _refuse_recursion(types, below, (*above, name))
            case SequenceOf(element=element):
                walk(element)
            case Sequence(fields=parts):
                for part in parts:
                    walk(part.type)
            case Choice(alternatives=alternatives):
                for alternative in alternatives:
                    walk(alternative.type)
            case _:
                pass

    walk(types[name])


def _shown(value: object, indent: int) -> str:
    """`value` as Python source, broken over lines where it is too long for one."""
    flat = repr(value).replace("'", '"')
    if len(flat) + indent <= LINE_LENGTH_MAX or not isinstance(value, tuple):
        return flat
    items = [_shown(item, indent + 4) for item in value]
    names = getattr(value, "_fields", None)
    if names is not None:
        items = [f"{name}={item}" for name, item in zip(names, items, strict=True)]
    opening = f"{type(value).__name__}(" if names is not None else "("
    pad = " " * (indent + 4)
    return f"{opening}\n" + "".join(f"{pad}{item},\n" for item in items) + " " * indent + ")"


def table(source: str) -> str:
    """The text of schema_table.py for a schema."""
    types = notation(source)
    used = {name for name in globals() if f"{name}(" in repr(types) and name[0].isupper()}
    lines = [
        '"""The schema as a table. Generated from uptane.asn1 by `python -m uptane.codec.generate`: do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "from uptane.codec.notation import (",
        *(f"    {name}," for name in sorted(used | {"Type"})),
        ")",
        "",
        f'SCHEMA_SHA256 = "{sha256(source.encode()).hexdigest()}"',
        "",
        "# fmt: off",
        "TYPES: dict[str, Type] = {",
        *(f'    "{name}": {_shown(kind, 4)},' for name, kind in types.items()),
        "}",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write schema_table.py, or say what of the schema is not implemented."""
    try:
        text = table(SCHEMA.read_text(encoding="ascii"))
    except Unsupported as error:
        sys.exit(f"{SCHEMA.name}: not implemented: {error}")
    TABLE.write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
