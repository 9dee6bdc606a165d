"""What a Secondary takes and tells over UDS: objects by address, the check of each, and the status (docs/wire.md, 7).

Both ends use it; which object may be delivered or checked when is uds_server.py's and the ECU's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final

from uptane.errors import LinkFailure
from uptane.model.ids import Bundle
from uptane.model.limits import (
    ATTESTATION_LENGTH_MAX,
    DIRECTOR_TARGETS_LENGTH_MAX,
    ORDER_LENGTH_MAX,
    ROOT_LENGTH_MAX,
    SNAPSHOT_LENGTH_MAX,
    TARGETS_LENGTH_MAX,
    TIMESTAMP_LENGTH_MAX,
)
from uptane.model.reports import EcuState, Outcome, Phase

IMAGE_ADDRESSES = range(0xF000_0000)
DELEGATED_MAX = 64  # delegated Targets in one verification: as many roles as may be visited for one image


@unique
class Object(IntEnum):
    """What can be delivered into RAM; the value is the first octet of its address."""

    DIRECTOR_ROOT = 0xF0
    DIRECTOR_TIMESTAMP = 0xF1
    DIRECTOR_SNAPSHOT = 0xF2
    DIRECTOR_TARGETS = 0xF3
    IMAGE_ROOT = 0xF4
    IMAGE_TIMESTAMP = 0xF5
    IMAGE_SNAPSHOT = 0xF6
    IMAGE_TARGETS = 0xF7
    DELEGATED = 0xF8
    ATTESTATION = 0xFA
    ORDER = 0xFB


@unique
class CheckOption(IntEnum):
    """The option octet of routine 0202: what is to be checked."""

    IMAGE = 0x00
    DIRECTOR_ROOT = 0xF0
    DIRECTOR_TARGETS = 0xF3
    IMAGE_ROOT = 0xF4
    ATTESTATION = 0xFA
    ORDER = 0xFB
    EVERYTHING = 0xFE


LENGTH_MAX: Final[dict[Object, int]] = {
    Object.DIRECTOR_ROOT: ROOT_LENGTH_MAX,
    Object.DIRECTOR_TIMESTAMP: TIMESTAMP_LENGTH_MAX,
    Object.DIRECTOR_SNAPSHOT: SNAPSHOT_LENGTH_MAX,
    Object.DIRECTOR_TARGETS: DIRECTOR_TARGETS_LENGTH_MAX,
    Object.IMAGE_ROOT: ROOT_LENGTH_MAX,
    Object.IMAGE_TIMESTAMP: TIMESTAMP_LENGTH_MAX,
    Object.IMAGE_SNAPSHOT: SNAPSHOT_LENGTH_MAX,
    Object.IMAGE_TARGETS: TARGETS_LENGTH_MAX,
    Object.DELEGATED: TARGETS_LENGTH_MAX,
    Object.ATTESTATION: ATTESTATION_LENGTH_MAX,
    Object.ORDER: ORDER_LENGTH_MAX,
}

_OBJECTS = {int(item): item for item in Object}


@dataclass(frozen=True, slots=True)
class Place:
    """An object in RAM; `number` tells delegated Targets apart, in order of delivery, and is 0 for the others."""

    object: Object
    number: int = 0

    @property
    def address(self) -> int:
        """Its memoryAddress."""
        return self.object << 24 | self.number << 16


def place_of(address: int) -> Place | None:
    """Which object in RAM starts at `address`; None for any other address."""
    found = _OBJECTS.get(address >> 24)
    number = address >> 16 & 0xFF
    if found is None or address & 0xFFFF or number >= (DELEGATED_MAX if found is Object.DELEGATED else 1):
        return None
    return Place(found, number)


# ------------------------------------------------------------------------------------------------------- status

_STATUS = struct.Struct(">BBBBBIIII32s32sIB")
_LAYOUT = 1
_NO_DIGEST = bytes(32)
_STATES, _PHASES = tuple(EcuState), tuple(Phase)
_OUTCOMES = tuple(outcome for outcome in Outcome if outcome is not Outcome.OTHER)  # which is only ever read
STATUS_LENGTH: Final = _STATUS.size


@dataclass(frozen=True, slots=True)
class Status:
    """DID FD00: unsigned, for whoever runs the update; nothing is proven by it.

    Versions and `next_offset` are 0 for none; `entry_digest` is the SHA-256 of the Assignment octets that the download
    or the prepared image belongs to.
    """

    state: EcuState
    outcome: Outcome
    running_slot: int
    time_attested: bool
    director_root: int
    image_root: int
    targets_version: int
    next_offset: int
    entry_digest: bytes | None
    bundle: Bundle | None
    report_counter: int
    last_phase: Phase | None


def encode_status(status: Status) -> bytes:
    """The 90 octets of docs/wire.md, "Status"."""
    return _STATUS.pack(
        _LAYOUT,
        _STATES.index(status.state),
        _OUTCOMES.index(status.outcome),
        status.running_slot,
        status.time_attested,
        status.director_root,
        status.image_root,
        status.targets_version,
        status.next_offset,
        status.entry_digest or _NO_DIGEST,
        status.bundle or _NO_DIGEST,
        status.report_counter,
        0 if status.last_phase is None else 1 + _PHASES.index(status.last_phase),
    )


def parse_status(octets: bytes) -> Status:
    """Read a status.

    Raises:
        LinkFailure: another length or layout, or a value out of range.
    """
    if len(octets) != STATUS_LENGTH or octets[0] != _LAYOUT:
        raise LinkFailure(f"status of {len(octets)} octets, layout {octets[:1].hex()}: expected {STATUS_LENGTH}, 01")
    _, state, outcome, slot, attested, root, image_root, targets, offset, digest, bundle, counter, phase = (
        _STATUS.unpack(octets)
    )
    if state >= len(_STATES) or slot > 1 or attested > 1 or phase > len(_PHASES):
        raise LinkFailure(f"status with a value out of range: {octets[:5].hex(' ')} ... {octets[-1:].hex()}")
    return Status(
        state=_STATES[state],
        outcome=_OUTCOMES[outcome] if outcome < len(_OUTCOMES) else Outcome.OTHER,
        running_slot=slot,
        time_attested=bool(attested),
        director_root=root,
        image_root=image_root,
        targets_version=targets,
        next_offset=offset,
        entry_digest=None if digest == _NO_DIGEST else digest,
        bundle=None if bundle == _NO_DIGEST else Bundle(bundle),
        report_counter=counter,
        last_phase=_PHASES[phase - 1] if phase else None,
    )


def encode_refusal(check_code: int) -> bytes:
    """DID FD03: the code of the check that refused last, 0 for none."""
    return check_code.to_bytes(2)


def parse_refusal(octets: bytes) -> int:
    """Read DID FD03.

    Raises:
        LinkFailure: not two octets.
    """
    if len(octets) != 2:
        raise LinkFailure(f"latest refusal of {len(octets)} octets: expected 2")
    return int.from_bytes(octets)
