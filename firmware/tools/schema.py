"""Write core/schema.h and schema.c: the schema as core/oer.c reads it, four octets a node.

What the notation cannot say stands here: which octet strings are names, what some of them contain, and which values
core/object.c wants to see. `make generate` calls it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

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
from uptane.codec.oer_primitives import SHORT_MAX, integer_size
from uptane.codec.oer_types import ADDITION_LENGTH_MAX, shortest
from uptane.codec.schema_table import SCHEMA_SHA256, TYPES
from uptane.model.limits import ENTRY_LENGTH_MAX

CORE: Final = Path(__file__).resolve().parent.parent / "core"

ALPHABETS: Final = {
    **dict.fromkeys(("VehicleId", "EcuId", "HardwareId", "Filename", "RoleName"), "NAME"),
    "Pattern": "PATTERN",
    "Url": "URL",
}
CONTENTS: Final = {
    "Envelope.payload": "Payload",
    "Targets.delegations": "Delegations",
    "Assignment.image": "Image",
}
LISTS: Final = {"Snapshot.files": "SnapshotFile", "Targets.entries": "Assignment"}
ENTRIES: Final = {
    "FW_ASSIGNMENT_REST_MIN": "Assignment",
    "FW_IMAGE_REST_MIN": "Image",
    "FW_FILE_REST_MIN": "SnapshotFile",
}
ROOTS: Final = ("Envelope", "Payload", "Delegations", "Image", "Assignment")

FIELDS: Final = [
    "Signature.keyId",
    "Signature.octets",
    "Envelope.payload",
    "Payload",
    "Header.level",
    "Speaker",
    "Speaker.vehicle",
    "Header.version",
    "Header.expires",
    "Header.issued",
    "Key.keyId",
    "PublicKey",
    "PublicKey.*",
    "RoleKeys.role",
    "KeyIds.*",
    "RoleKeys.threshold",
    "Targets.coordinator",
    "Targets.refreshImageRoot",
    "Targets.entries",
    "Targets.delegations",
    "Snapshot.files",
    "Image.filename",
    "Image.length",
    "Image.sha256",
    "Image.sha512",
    "Image.hardware",
    "Image.alternatives.*",
    "Image.releaseCounter",
    "Assignment.encrypted",
    "EcuReport.level",
    "VehicleManifest.level",
    "TimeAttestation.level",
    "TimeAttestation.time",
    "TimeAttestation.nonce",
    "VehicleOrder.level",
    "VehicleOrder.vehicle",
    "VehicleOrder.bundle",
    "VehicleOrder.targetsVersion",
    "VehicleOrder.phase",
]
# Values that are one and the same to object.c.
ALIKE: Final = {
    "EcuReport.level": "Header.level",
    "VehicleManifest.level": "Header.level",
    "TimeAttestation.level": "Header.level",
    "VehicleOrder.level": "Header.level",
    "VehicleOrder.vehicle": "Speaker.vehicle",
}


class _Node(NamedTuple):
    kind: str
    field: str
    a: str
    b: str


def _field(place: str) -> str:
    """The C name of the value at `place`, or the one for values that nobody wants to see."""
    wanted = ALIKE.get(place, place)
    if wanted not in FIELDS:
        return "FW_UNSEEN"
    words = wanted.replace(".*", ".each").replace(".", "_")
    return "FW_AT_" + "".join(f"_{letter}" if letter.isupper() else letter for letter in words).upper().replace(
        "__", "_"
    ).strip("_")


class _Table:
    """Nodes in the order in which they are numbered; the parts of a type stand side by side."""

    def __init__(self) -> None:
        self.nodes: list[_Node | None] = []
        self.ranges: list[tuple[int, int]] = []
        self.roots: dict[str, int] = {}
        self._parts: dict[str, int] = {}

    def range(self, low: int, high: int) -> str:
        """The number of a range of values or sizes; 0 where no message for this ECU is long enough to reach the end."""
        high = high if high < 1 << 16 else 0
        if (low, high) not in self.ranges:
            self.ranges.append((low, high))
        return str(self.ranges.index((low, high)))

    def root(self, name: str) -> int:
        """The number of the node of a type that is read by itself."""
        if name not in self.roots:
            self.roots[name] = self._single(TYPES[name], name)
        return self.roots[name]

    def _single(self, kind: Type, place: str) -> int:
        number = len(self.nodes)
        self.nodes.append(None)
        self.nodes[number] = self._node(kind, place)
        return number

    def _block(self, place: str, parts: list[tuple[Type, str, bool]]) -> int:
        """The number of the first of the nodes of `parts`, which stand side by side; made once for each type."""
        if place in self._parts:
            return self._parts[place]
        first = len(self.nodes)
        self._parts[place] = first
        self.nodes += [None] * len(parts)
        for number, (kind, where, optional) in enumerate(parts, first):
            made = self._node(kind, where)
            self.nodes[number] = made._replace(kind=f"{made.kind} | FW_OPTIONAL") if optional else made
        return first

    def _node(self, kind: Type, place: str) -> _Node:
        alphabet = "ANY"
        of = place
        while isinstance(kind, Reference):
            alphabet = ALPHABETS.get(kind.name, alphabet)
            of, kind = kind.name, TYPES[kind.name]
        shown = _field(place) if _field(place) != "FW_UNSEEN" else _field(of)
        match kind:
            case Null():
                return _Node("FW_NULL", shown, "0", "0")
            case Boolean():
                return _Node("FW_BOOLEAN", shown, "1", "0")
            case Integer(low=low, high=high):
                return _Node("FW_UINT", shown, str(integer_size(high)), self.range(low, high))
            case Enumerated(names=names, extensible=extensible):
                return _Node("FW_UINT", shown, "1", self.range(0, SHORT_MAX if extensible else len(names) - 1))
            case Octets():
                return self._octets(kind, place, shown, alphabet)
            case SequenceOf(low=low, high=high, element=element):
                first = self._block(f"{of}.*", [(element, f"{of}.*", False)])
                return _Node("FW_SEQUENCE_OF", shown, str(first), self.range(low, high))
            case Sequence(fields=fields, extensible=extensible):
                first = self._block(of, [(part.type, f"{of}.{part.name}", part.optional) for part in fields])
                optional = sum(part.optional for part in fields)
                flags = " | FW_EXTENSIBLE" * extensible + " | FW_PREAMBLE" * (extensible or optional > 0)
                assert len(fields) < 16  # half an octet
                return _Node(f"FW_SEQUENCE{flags}", shown, str(first), f"{optional} << 4 | {len(fields)}")
            case Choice(alternatives=alternatives):
                # Which scheme a key is of stands in its tag: its octets are one and the same value.
                name = "*" if of == "PublicKey" else ""
                first = self._block(of, [(part.type, f"{of}.{name or part.name}", False) for part in alternatives])
                return _Node("FW_CHOICE", shown, str(first), str(len(alternatives)))
        raise AssertionError(kind)

    def _octets(self, kind: Octets, place: str, shown: str, alphabet: str) -> _Node:
        size = self.range(kind.low, kind.high)
        if place in CONTENTS:
            return _Node("FW_CONTAINER", shown, str(self.root(CONTENTS[place])), size)
        if place in LISTS:
            return _Node("FW_ENTRIES", shown, "0", size)
        return _Node("FW_OCTETS", shown, f"FW_{alphabet}", size)


def _entry_min(name: str) -> int:
    """The fewest octets behind the name of an entry of a list; before it stand a preamble and the name's length."""
    return shortest(TYPES[name]) - 3


def _numbered() -> _Table:
    table = _Table()
    for name in ROOTS:
        table.root(name)
    addition, entry = table.range(1, ADDITION_LENGTH_MAX), table.range(0, ENTRY_LENGTH_MAX)
    table.nodes.append(_Node("FW_OCTETS", "FW_UNSEEN", "FW_ANY", addition))
    table.nodes.append(_Node("FW_ENTRY", "FW_UNSEEN", "0", entry))
    return table


def header() -> str:
    """The text of schema.h."""
    table = _numbered()
    seen = dict.fromkeys(_field(field) for field in FIELDS)
    lines = [
        "/* Generated by firmware/tools/schema.py from uptane/codec/uptane.asn1; do not edit. */",
        "#ifndef FW_SCHEMA_H",
        "#define FW_SCHEMA_H",
        "",
        "/* The values that object.c wants to see. */",
        "enum {",
        "    FW_UNSEEN,",
        *(f"    {name}," for name in seen),
        "};",
        "",
        "/* The nodes where reading begins. */",
        "enum {",
        *(f"    FW_NODE_{name.upper()} = {table.roots[name]}," for name in ROOTS),
        f"    FW_NODE_ADDITION = {len(table.nodes) - 2},",
        f"    FW_NODE_ENTRY = {len(table.nodes) - 1},",
        "};",
        "",
        "/* The fewest octets behind the name in an entry of a list. */",
        *(f"#define {define} {_entry_min(name)}u" for define, name in ENTRIES.items()),
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def source() -> str:
    """The text of schema.c."""
    table = _numbered()
    lines = [
        "/* Generated by firmware/tools/schema.py from uptane/codec/uptane.asn1; do not edit.",
        " *",
        " * Every type of the schema that can be signed, as a table of nodes; schema_types.h says how it is meant.",
        f" * SHA-256 of the schema: {SCHEMA_SHA256}",
        " */",
        '#include "schema_types.h"',
        "",
        "/* clang-format off */",
        "",
        "/* Ranges of integers and of sizes; both ends belong to them, and 0 is no end. */",
        "const fw_range fw_ranges[] = {",
        *(f"    {{{low}u, {high}u}}," for low, high in table.ranges),
        "};",
        "",
        "/* Parts of a SEQUENCE and alternatives of a CHOICE stand side by side. */",
        "const fw_node fw_nodes[] = {",
        *(
            f"    {{{node.kind}, {node.field}, {node.a}, {node.b}}}, /* {number} */"
            for number, node in enumerate(table.nodes)
            if node is not None
        ),
        "};",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write both."""
    (CORE / "schema.h").write_text(header(), encoding="ascii")
    (CORE / "schema.c").write_text(source(), encoding="ascii")


if __name__ == "__main__":
    main()
