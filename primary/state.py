"""What the Primary remembers: which record is durable under which name, in which order records are written, and Memory.

Three stores, apart on purpose: verified metadata, the transaction, what is installed. "Nothing new" ends verification,
never a transaction. A record is durable before Memory says so, and before anyone is told:

    metadata/<repository>/<file>   each file when it has been verified (uptane.verify), roots first
    transaction                    the journal: before the first order of each stage (journal.py)
    installed/own                  this ECU's own Installation, before it acts by it
    installed/filling              SHA-256 of the image being written to the other slot, once that is erased
    installed/refusals             what this ECU has refused since its last released update
    reports/<ecu>                  every ECU's latest verified report, as it was signed; our own before it leaves
    reports-silent                 since when which ECU has been silent
    manifest/latest                our latest manifest, before it leaves: its counter is never used twice
    manifest/admitted              SHA-256 of the manifest the Director said it admitted
    nonces                         how many nonces were drawn: counted on before one is shown
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from primary.journal import Transactions
from primary.needs import Save
from uptane.errors import Malformed, StorageFailure
from uptane.link.uds_objects import Status
from uptane.link.uds_transfer import Blocks
from uptane.machine import Workflow
from uptane.model.ids import EcuId, Repository
from uptane.model.limits import MANIFEST_LENGTH_MAX
from uptane.model.reports import EcuReport, Refusal, VehicleManifest
from uptane.moments import SECOND_MS, Instant, UtcTime
from uptane.ports import Codec
from uptane.verify.full import Full
from uptane.verify.installation import Installation
from uptane.verify.trusted import Held

FORMAT: Final = 1
REFUSALS_MAX: Final = 8  # codes in a report

TRANSACTION: Final = "transaction"
INSTALLED: Final = "installed/own"
FILLING: Final = "installed/filling"
REFUSALS: Final = "installed/refusals"
REPORTS: Final = "reports/"
SILENT: Final = "reports-silent"
MANIFEST: Final = "manifest/latest"
ADMITTED: Final = "manifest/admitted"
NONCES: Final = "nonces"


def metadata_name(repository: Repository, file: str) -> str:
    """The record that holds `file` of `repository`."""
    return f"metadata/{repository.value}/{file}"


@dataclass(frozen=True, slots=True)
class Told:
    """A report as it was signed, and what it says: verified, by primary/reports.py or by having been made here."""

    octets: bytes
    report: EcuReport


@dataclass(slots=True)
class Memory:
    """All the Primary knows. What is durable is changed here only after it was saved."""

    held: Held
    clock_at: Instant  # when held.clock was set, for the time since
    installation: Installation
    transactions: Transactions
    reports: dict[EcuId, Told]
    silent: dict[EcuId, UtcTime]
    manifest: bytes
    manifest_said: VehicleManifest | None
    admitted: bytes
    refusals: dict[int, int]
    nonces: int
    filling: bytes = b""
    # Not durable:
    statuses: dict[EcuId, Status] = field(default_factory=dict)  # as last read; absent when the ECU did not answer
    untrue: dict[EcuId, bytes] = field(default_factory=dict)  # what was refused last as a report; counted once
    blocks: dict[EcuId, Blocks] = field(default_factory=dict)  # what the line to each ECU bears
    attestations: dict[EcuId, bytes] = field(default_factory=dict)  # of Secondaries, not delivered yet
    # Counters that may have been used without our knowing, where the newest copy of their record was damaged. They are
    # stored before one is counted on, so that the older of the two copies never says much less than the newest.
    report_floor: int = 0
    manifest_floor: int = 0
    nonces_lost: bool = False
    recorded: bool = True  # this ECU has saved an installation before
    journal_lost: bool = False  # its newest copy is damaged: only the ECUs know what was decided
    full: Full | None = None  # what full verification found last, since this software started
    slow: bool = False  # metadata or images came too slowly; reported once

    def utc(self, now: Instant) -> UtcTime:
        """The latest attested time, and what has passed since on our own clock."""
        return UtcTime(self.held.clock.time + (now - self.clock_at) // SECOND_MS)

    def set_clock(self, held: Held, now: Instant) -> None:
        """Hold `held`; if its clock is another, time passes from now on."""
        if held.clock != self.held.clock:
            self.clock_at = now
        self.held = held

    def blocks_of(self, ecu: EcuId) -> Blocks:
        """The block length that the line to `ecu` bears."""
        return self.blocks.setdefault(ecu, Blocks())


# ------------------------------------------------------------------------------------------------ small records


def numbers_out(numbers: Mapping[str, int]) -> bytes:
    """A record of named numbers."""
    return json.dumps({"format": FORMAT, "numbers": dict(numbers)}).encode()


def numbers_in(octets: bytes | None) -> dict[str, int]:
    """Read a record of named numbers; none for None.

    Raises:
        StorageFailure: it is damaged or of an unknown format.
    """
    if octets is None:
        return {}
    try:
        record = json.loads(octets)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise StorageFailure("a record of numbers has an unknown format")
        return {str(name): int(number) for name, number in record["numbers"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StorageFailure(f"a record of numbers is damaged: {error}") from error


def manifest_said(codec: Codec, octets: bytes | None) -> VehicleManifest | None:
    """What our own stored manifest says; None when there is none, or when it cannot be read."""
    if octets is None:
        return None
    try:
        manifest = codec.parse(codec.open(octets, MANIFEST_LENGTH_MAX).payload)
    except Malformed:
        return None
    return manifest if isinstance(manifest, VehicleManifest) else None


# ------------------------------------------------------------------------------------------------------ saving


def save_installation(memory: Memory, installation: Installation, dumped: bytes) -> Workflow[Save, None]:
    """Make `installation` durable; only then it counts."""
    if installation != memory.installation:
        yield Save(INSTALLED, dumped)
        memory.installation = installation


def save_filling(memory: Memory, sha256: bytes) -> Workflow[Save, None]:
    """Remember which image (none if empty) the other slot is being written with."""
    if sha256 != memory.filling:
        yield Save(FILLING, sha256)
        memory.filling = sha256


def save_silent(memory: Memory, silent: dict[EcuId, UtcTime]) -> Workflow[Save, None]:
    """Remember since when which ECUs have been silent."""
    if silent != memory.silent:
        yield Save(SILENT, numbers_out({str(ecu): since for ecu, since in silent.items()}))
        memory.silent = silent


def count_refusal(memory: Memory, code: int) -> Workflow[Save, None]:
    """Count a refusal; of more than REFUSALS_MAX codes the least frequent one makes room."""
    counted = dict(memory.refusals)
    counted[code] = min(counted.get(code, 0) + 1, 2**32 - 1)
    while len(counted) > REFUSALS_MAX:
        del counted[min((each for each in counted if each != code), key=lambda each: counted[each])]
    yield from save_refusals(memory, counted)


def save_refusals(memory: Memory, counted: dict[int, int]) -> Workflow[Save, None]:
    """Remember what was refused how often, by code."""
    if counted != memory.refusals:
        yield Save(REFUSALS, numbers_out({str(code): count for code, count in counted.items()}))
        memory.refusals = counted


def refusals_of(memory: Memory) -> tuple[Refusal, ...]:
    """What this ECU's report says it refused, ascending by code."""
    return tuple(Refusal(code, count) for code, count in sorted(memory.refusals.items()))
