"""What the Primary's workflows ask for, each with its answer; and what leaves the machine as an effect.

A need that cannot be met is answered with a MarqueError, which is raised in the workflow: LinkFailure when a server or
an ECU cannot be reached, StorageFailure when storage refuses. Durable needs are answered when they are durable.
Exchanges with ECUs (`Ask`, `Listen`, `Pause`) are uptane/link/uds_client.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from uptane.errors import LinkFailure
from uptane.link.uds_client import Ask, Listen, Pause
from uptane.machine import Workflow
from uptane.model.ids import Bundle, EcuId
from uptane.model.reports import InstalledImage

BLOCK_LENGTH = 65_536  # octets of an image read or written at once: four of a gRPC chunk, a moment on any disk


class Reason(Enum):
    """Why a server's answer did not come."""

    DOWN = "cannot be reached"
    UNTRUSTED = "reached, but its certificate is not the one this vehicle trusts"
    FORBIDDEN = "reached, but it does not accept this vehicle's certificate"
    REFUSED = "reached, but it refused the request"


class Unreachable(LinkFailure):
    """A server did not answer as it should; `reason` tells what a person would have to mend, if anything."""

    def __init__(self, server: str, reason: Reason, detail: str = "") -> None:
        """`server` did not answer because of `reason`."""
        self.server = server
        self.reason = reason
        super().__init__(f"{server} {reason.value}{f': {detail}' if detail else ''}")


# ------------------------------------------------------------------------------------------- answered by tasks.py


@dataclass(frozen=True, slots=True)
class Now:
    """Answer: the present Instant."""


@dataclass(frozen=True, slots=True)
class Together:
    """Run workflows side by side. Answer: their results in the same order, a MarqueError for one that raised it."""

    workflows: tuple[Workflow[Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Announce:
    """Let `effect` leave the machine. Answer: None, at once."""

    effect: object


# -------------------------------------------------------------------------------------------------------- servers


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions of the Director's metadata this vehicle holds; 0 where it holds none."""

    root: int
    timestamp: int
    snapshot: int
    targets: int


@dataclass(frozen=True, slots=True)
class Poll:
    """Ask the Director what is new, handing in the manifest unless it is empty. Answer: Polled."""

    manifest_digest: bytes
    manifest: bytes
    held: Versions


@dataclass(frozen=True, slots=True)
class RefusedByDirector:
    """A check of the Director that refused the manifest, by wire code; `detail` is for people."""

    check: int
    detail: str


@dataclass(frozen=True, slots=True)
class Polled:
    """The Director's answer; `files` by name (`4.root`, `timestamp`, ...), unverified."""

    manifest_wanted: bool
    admitted_digest: bytes
    poll_again_s: int
    refused: tuple[RefusedByDirector, ...]
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Attest:
    """Have the time attested for each nonce (1 to 128). Answer: as many envelopes, in the same order."""

    nonces: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class FetchMetadata:
    """Read a file of at most `length_max` octets of the Image repository. Answer: octets; None when it has none."""

    name: str
    length_max: int


@dataclass(frozen=True, slots=True)
class FetchBlock:
    """Read an image from `offset` on. Answer: 1 to BLOCK_LENGTH octets; b"" at its end; None when there is no image."""

    sha256: bytes
    offset: int


# -------------------------------------------------------------------------------------------------------- storage


@dataclass(frozen=True, slots=True)
class Save:
    """Make a record durable under `name`. Answer: None."""

    name: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete a record, if it is there. Answer: None."""

    name: str


@dataclass(frozen=True, slots=True)
class Load:
    """Read a record. Answer: its octets, or None."""

    name: str


@dataclass(frozen=True, slots=True)
class Names:
    """Answer: the names of all records that begin with `prefix`."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Damaged:
    """Answer: the names of records of which a damaged copy was met since this was asked last."""


class Place(Enum):
    """Where octets of images lie: the cache by hash, and this ECU's own two slots."""

    CACHE = "cache"
    SLOT_0 = "slot 0"
    SLOT_1 = "slot 1"


@dataclass(frozen=True, slots=True)
class Blob:
    """Octets of an image: in the cache by SHA-256, in hex; in a slot the name is empty."""

    place: Place
    name: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """How many octets of `blob` are there. Answer: the number, 0 when there is none."""

    blob: Blob


@dataclass(frozen=True, slots=True)
class ReadBlob:
    """Read `length` octets of `blob` from `offset` on. Answer: those octets, fewer at its end."""

    blob: Blob
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class WriteBlob:
    """Write `octets` at `offset`, which is where `blob` ends; with `last`, make all of it durable. Answer: None."""

    blob: Blob
    offset: int
    octets: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class EraseBlob:
    """Delete `blob`, if it is there. Answer: None."""

    blob: Blob


@dataclass(frozen=True, slots=True)
class ListCache:
    """Answer: the hex names of all blobs in the cache, whole or not."""


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Answer: octets that can still be written where the cache and the slots lie."""


# -------------------------------------------------------------------------------------------------------- vehicle


@dataclass(frozen=True, slots=True)
class VehicleState:
    """What the vehicle says of itself. `consent`: the bundles somebody agreed to; None means any."""

    parked: bool
    energy_s: int | None  # seconds the vehicle can work on what it has; None: it need not care
    consent: frozenset[Bundle] | None


@dataclass(frozen=True, slots=True)
class LookAtVehicle:
    """Answer: VehicleState."""


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Run this ECU's own self-test. Answer: whether it passed."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Start this ECU's software anew, from the slot that boots next. Answered by Rejected alone: it cannot be done."""


# ------------------------------------------------------------------------- an installer of the Primary's own image
# Asked only where a bootloader keeps the slots (`Means.bootloader`). What cannot be done is answered by Rejected:
# INSTALLER_REFUSED when the installer said no to the image, INSTALLER_DOWN when it does not do as it is told.


class Mark(Enum):
    """What a bootloader is told of a slot."""

    ACTIVE = "active"  # boots next
    GOOD = "good"  # came up, and goes on booting
    BAD = "bad"  # boots no more


@dataclass(frozen=True, slots=True)
class RunningSlot:
    """Answer: the slot (0 or 1) that this boot runs."""


@dataclass(frozen=True, slots=True)
class InstallSlot:
    """Have `image`, whose octets lie as the blob of `slot` and were verified, put where the slot boots from.

    Answer: None, once it is there and was checked as far as the installer can. The same again changes nothing.
    """

    slot: int
    image: InstalledImage


@dataclass(frozen=True, slots=True)
class CheckSlot:
    """Look whether `slot` is as it was left by InstallSlot of `image`. Answer: None."""

    slot: int
    image: InstalledImage


@dataclass(frozen=True, slots=True)
class MarkSlot:
    """Tell the bootloader what to think of `slot`. Answer: None, once it is durable."""

    slot: int
    mark: Mark


# --------------------------------------------------------------------------------------------------------- effects


class Step(Enum):
    """What a note is about, in the order of an update."""

    COLLECT = "collect"
    POLL = "poll"
    VERIFY = "verify"
    DOWNLOAD = "download"
    METADATA = "metadata"
    TRANSFER = "transfer"
    PREPARE = "prepare"
    GATE = "gate"
    ACTIVATE = "activate"
    COMMIT = "commit"
    RELEASE = "release"
    ROLL_BACK = "roll back"
    DONE = "done"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class Note:
    """Something people want to see; nothing depends on it. `done` of `total` octets where there is a measure."""

    step: Step
    text: str
    ecu: EcuId | None = None
    done: int = 0
    total: int = 0


Need: TypeAlias = (
    Ask
    | Listen
    | Pause
    | Poll
    | Attest
    | FetchMetadata
    | FetchBlock
    | Save
    | Forget
    | Load
    | Names
    | Damaged
    | Measure
    | ReadBlob
    | WriteBlob
    | EraseBlob
    | ListCache
    | FreeSpace
    | LookAtVehicle
    | SelfTest
    | Restart
    | RunningSlot
    | InstallSlot
    | CheckSlot
    | MarkSlot
)
AnyNeed: TypeAlias = Need | Now | Together | Announce | Note


@dataclass(frozen=True, slots=True)
class Perform:
    """Carry out `need` and answer with its ticket."""

    ticket: int
    need: Any
