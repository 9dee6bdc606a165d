"""What the Secondary's workflows ask for, each with its answer; what else leaves the machine; and what comes in.

One workflow runs at a time and has one need open, so answers need no name. A need that cannot be met is answered with
a StorageFailure, which is raised in the workflow. Whatever is stored is durable when it is answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from uptane.errors import StorageFailure
from uptane.link.isotp_values import FramesHeard, FramesSent, SendFrames
from uptane.link.uds_tasks import Traffic
from uptane.verify.image import Content

TAG_LENGTH = 32

# ---------------------------------------------------------------------------------------------------------- needs


@dataclass(frozen=True, slots=True)
class Store:
    """Keep `octets` durably as `name`, in place of an older record. Answer: None."""

    name: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the record `name`, if there is one. Answer: None."""

    name: str


@dataclass(frozen=True, slots=True)
class EraseSlot:
    """Erase a slot for the entry with the digest `tag` (32 octets). Answer: None."""

    slot: int
    tag: bytes


@dataclass(frozen=True, slots=True)
class WriteSlot:
    """Write into an erased slot; durable at the latest after SyncSlot. Answer: None."""

    slot: int
    offset: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class SyncSlot:
    """Make everything written to the slot durable, and how far it goes. Answer: None."""

    slot: int


@dataclass(frozen=True, slots=True)
class HashSlot:
    """Read the first `length` octets of a slot. Answer: Content."""

    slot: int
    length: int


@dataclass(frozen=True, slots=True)
class Breathe:
    """Let the effects before this one be carried out before a long computation. Answer: None."""


Need: TypeAlias = Store | Delete | EraseSlot | WriteSlot | SyncSlot | HashSlot | Breathe

# -------------------------------------------------------------------------------------------------- other effects


class Verdict(Enum):
    """What the self-test hook says of the image that runs; DEAD: it does not even come up."""

    PASSED = "passed"
    FAILED = "failed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Judge the image in `slot`, of which `length` octets should have this SHA-256. Answered by SelfTested, later."""

    slot: int
    length: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Running:
    """The boot is over: the image named runs, and the ECU listens."""

    slot: int
    filename: str


@dataclass(frozen=True, slots=True)
class PowerCycle:
    """Restart: everything that is not durable is forgotten."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person may want to read in a log."""

    text: str


Effect: TypeAlias = Need | SelfTest | Running | PowerCycle | Note | SendFrames | Traffic

# --------------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class PowerUp:
    """The first event: boot."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The open need is met, or could not be."""

    answer: Content | StorageFailure | None = None


@dataclass(frozen=True, slots=True)
class SelfTested:
    """The self-test has ended."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come."""


Event: TypeAlias = PowerUp | Answered | SelfTested | FramesHeard | FramesSent | Tick

# --------------------------------------------------------------------------------------- what is found at power-up


@dataclass(frozen=True, slots=True)
class Progress:
    """A slot was erased for the entry with the digest `tag`, and holds its first `next_offset` octets."""

    tag: bytes
    next_offset: int


@dataclass(frozen=True, slots=True)
class Found:
    """What is durable when the power comes: records by name, each slot's progress, names of damaged records."""

    records: Mapping[str, bytes]
    progress: tuple[Progress | None, Progress | None] = (None, None)
    damaged: tuple[str, ...] = field(default=())
