"""Identifiers: who is meant, as distinct types.

All names share one alphabet (docs/wire.md, "Names"), so a name can be a file name, a URL path or a log word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NewType

from uptane.errors import Malformed

VehicleId = NewType("VehicleId", str)
EcuId = NewType("EcuId", str)
HardwareId = NewType("HardwareId", str)
Filename = NewType("Filename", str)
RoleName = NewType("RoleName", str)
KeyId = NewType("KeyId", bytes)
"""8 octets, an opaque hint that only means something in the metadata that delegates (TAP 12)."""
Bundle = NewType("Bundle", bytes)
"""SHA-256 over the encoded entries of a Director Targets: names a set of assignments, whatever its version."""

ID_LENGTH_MAX = 64  # octets: a VIN has 17, a UUID 36, an ECU serial number up to 40
FILENAME_LENGTH_MAX = 128  # octets: supplier/part-number/version paths stay under 100

_NAME = re.compile(r"[A-Za-z0-9._+:@-][A-Za-z0-9._+:@/-]*", re.ASCII)


class Repository(Enum):
    """The two repositories of the Standard's repository mapping."""

    DIRECTOR = "director"
    IMAGE = "image"


class Role(Enum):
    """Roles a Root can name keys for; the order is the order on the wire."""

    ROOT = "root"
    TIMESTAMP = "timestamp"
    SNAPSHOT = "snapshot"
    TARGETS = "targets"
    TIME = "time"
    OFFLINE_SNAPSHOT = "offlineSnapshot"
    OFFLINE_TARGETS = "offlineTargets"


@dataclass(frozen=True, slots=True)
class MetaName:
    """A metadata file as repositories name it: VERSION.ROLE, without a version for Timestamp (section 5.2.7)."""

    role: str
    version: int | None = None

    def __str__(self) -> str:
        """`7.targets`, or `timestamp`."""
        return self.role if self.version is None else f"{self.version}.{self.role}"


TOP_TARGETS = RoleName("targets")


def is_name(text: str, length_max: int = ID_LENGTH_MAX) -> bool:
    """Whether `text` is a name: 1 to `length_max` characters of A-Z a-z 0-9 . _ + : @ / -, no leading / and no `..`."""
    return 0 < len(text) <= length_max and _NAME.fullmatch(text) is not None and ".." not in text


def name(text: str, length_max: int = ID_LENGTH_MAX) -> str:
    """Return `text` if it is a name; raise Malformed if not."""
    if not is_name(text, length_max):
        shown = text[:80]
        raise Malformed(f"{shown!r} is no name (1 to {length_max} of A-Z a-z 0-9 . _ + : @ / -, no leading /, no ..)")
    return text
