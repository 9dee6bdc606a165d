"""What a Secondary knows: facts that never change, and the state that its workflows move, durable part first.

At power-up the state is loaded from the records that were found; from then on every change of its durable part is
stored before it is made here. A record that was lost is made anew where that is safe, and the loss is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from secondary import refusals
from secondary.needs import Delete, Found, Need, Progress, Store
from secondary.objects import FULL, PARTIAL, Objects
from secondary.refusals import Refusals
from uptane.errors import Check, Malformed, Rejected, StorageFailure
from uptane.machine import Workflow
from uptane.model.ids import Repository
from uptane.model.metadata import DirectorTargets
from uptane.model.reports import EcuReport, InstalledImage
from uptane.model.signed import Verified
from uptane.moments import SECOND_MS, Instant, UtcTime
from uptane.ports import Signer
from uptane.verify import attested, record
from uptane.verify.image import entry_digest_of
from uptane.verify.installation import Installation, factory, is_running
from uptane.verify.stored import reload_director, reload_image
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import TIME_FILE, Ecu, Held, Vehicle
from uptane.verify.vouched import check_vouched

INSTALLATION: Final = "installation"
NONCE: Final = "nonce"
REPORT: Final = "report"
REFUSALS: Final = "refusals"
COUNTERS_RESERVED: Final = 64  # a write in 64 reports; a power-up skips as many, of 4,000 million
_COUNTER_LENGTH = 4


@dataclass(frozen=True, slots=True)
class Facts:
    """What an ECU is, and by what it verifies and signs.

    `floor` is the time of provisioning. `secret` is 32 octets nobody else knows, for nonces. `slow_floor` is the rate
    in octets a second below which a delivery counts as slow retrieval; 0 for never.
    """

    own: Ecu
    address: int
    full: bool
    fd: bool
    verifier: Verifier
    signer: Signer
    secret: bytes
    floor: UtcTime
    factory: InstalledImage
    slow_floor: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The latest signed report: what it says, its envelope, and when it was signed."""

    value: EcuReport
    octets: bytes
    signed_at: Instant


@dataclass(slots=True)
class State:
    """The one mutable thing; only the running workflow and the machine change it.

    `now` is the instant of the event being handled. `clock_set` is when `held.clock` was right. `report_ceiling` is the
    highest counter of reports that is reserved durably; `nonce` is None until the first one of this power cycle is.
    `progress` is how far each slot is written; `untouched` is the entry for which the other one was erased in this
    power cycle, if nothing was written since. `testing`: the self-test of this boot is under way. `dropped` names
    records that no longer hold, to be deleted at the boot; `recounted` those of counts that were lost: what they begin
    with now is stored before they go on, so that the older of the two copies never says much less than the newest.
    `unvouched`: the Image repository's files that are stored do not vouch for this ECU's entry.
    """

    facts: Facts
    held: Held
    installation: Installation
    progress: list[Progress | None]
    objects: Objects
    refusals: Refusals
    nonce_counter: int
    nonce: bytes | None
    report_ceiling: int
    report_counter: int
    now: Instant
    clock_set: Instant
    report: Report | None = None
    latest_refusal: Check | None = None
    untouched: bytes | None = None
    testing: bool = False
    notes: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    recounted: set[str] = field(default_factory=set)
    unvouched: bool = False

    @property
    def utc(self) -> UtcTime:
        """The time now: the latest proven one, and what has passed since on our own clock."""
        return UtcTime(self.held.clock.time + (self.now - self.clock_set) // SECOND_MS)

    @property
    def targets(self) -> Verified[DirectorTargets] | None:
        """The stored, verified Director Targets."""
        return self.held.director.targets

    @property
    def other(self) -> Progress | None:
        """How far the slot that updates go to is written."""
        return self.progress[self.installation.other]

    @property
    def held_now(self) -> Held:
        """What is held, with the time as it is now: for judging expiry, not for keeping."""
        return replace(self.held, clock=replace(self.held.clock, time=self.utc))

    @property
    def vehicle(self) -> Vehicle:
        """What this ECU knows of its vehicle: itself."""
        own, installation = self.facts.own, self.installation
        released = installation.images[installation.home]
        assert released is not None, "the released software is always known"
        return Vehicle(own, installed={own.ecu: released}, released={own.ecu: installation.released_counter})

    def stand(self, held: Held, *, clock_reset: bool) -> None:
        """Hold what is durable after a Root link (uptane.verify.needs.Stands)."""
        self.held = held if clock_reset else replace(held, clock=self.held.clock)
        if clock_reset:
            self.clock_set = self.now
        self.judge()

    def judge(self) -> None:
        """Find out whether the stored files vouch for this ECU's entry; to be asked whenever others are held."""
        held, own = self.held, self.facts.own
        self.unvouched = False
        if held.image is None or held.director.targets is None:
            return
        ageless = replace(held, clock=replace(held.clock, time=UtcTime(0)))
        try:
            check_vouched(self.facts.verifier, ageless, Vehicle(own), held.director.targets)
        except (Malformed, Rejected):
            self.unvouched = True

    @property
    def is_lacking(self) -> bool:
        """Whether something is to be installed for which nothing stored vouches any more: all is to be delivered again.

        A disk may lose a file, or bring an older copy back. Expiry is not judged here: `recheck` does.
        """
        if not self.unvouched or self.targets is None:
            return False
        entry = self.targets.value.entries.find(self.facts.own.ecu)
        return entry is not None and not is_running(self.installation, entry.image)

    def tag(self) -> bytes | None:
        """The digest of this ECU's entry in the stored Targets: what a download is bound to."""
        targets = self.targets
        if targets is None:
            return None
        return entry_digest_of(self.facts.verifier.hasher, targets.value, self.facts.own.ecu)


def load(facts: Facts, found: Found, now: Instant) -> State:
    """The state at power-up.

    Raises:
        Rejected, Malformed: the trusted Root is missing or damaged; it has to be provisioned anew.
        StorageFailure: the installation's record is damaged beyond recovery.
    """
    records = found.records
    director = reload_director(facts.verifier, _files(records, Repository.DIRECTOR), facts.own.vehicle)
    image = reload_image(facts.verifier, _files(records, Repository.IMAGE)) if facts.full else None
    gone = [f"{Repository.DIRECTOR.value}/{file}" for file in director.dropped]
    gone += [f"{Repository.IMAGE.value}/{file}" for file in (() if image is None else image.dropped)]
    time_record = records.get(f"{Repository.DIRECTOR.value}/{TIME_FILE}")
    clock = attested.load(time_record, director.trusted.root, facts.floor)
    written = records.get(INSTALLATION)
    counts = _refusals(records.get(REFUSALS))
    for _ in found.damaged:
        counts = refusals.counted(counts, Check.STATE_DAMAGED)
    ceiling = _counter(records.get(REPORT))
    nonces = _counter(records.get(NONCE))
    # Both must rise. The newest copy, which is lost, said at most so much more than the one before; where no copy is
    # left: no ECU signs or draws once a second, so the time in seconds is above all that were used. So it is where the
    # whole record is gone: both are stored before anything is ever installed.
    lost = {name for name in (REPORT, NONCE) if name in found.damaged or (written is not None and name not in records)}
    if REPORT in lost:
        ceiling = max(ceiling + COUNTERS_RESERVED, clock.time & 0xFFFF_FFFF)
    if NONCE in lost:
        nonces = max(nonces + 1, clock.time & 0xFFFF_FFFF)
    state = State(
        facts=facts,
        held=Held(director.trusted, None if image is None else image.trusted, clock),
        installation=factory(facts.factory) if written is None else record.load(written),
        progress=list(found.progress),
        objects=Objects(FULL if facts.full else PARTIAL),
        refusals=counts,
        nonce_counter=nonces,
        nonce=None,
        report_ceiling=ceiling,
        report_counter=ceiling,
        now=now,
        clock_set=now,
        dropped=gone,
        recounted=lost,
    )
    state.judge()
    return state


def install(state: State, installation: Installation) -> Workflow[Need, None]:
    """Move to another record of the installation, durably first; nothing happens when it is the same."""
    if installation == state.installation:
        return
    yield Store(INSTALLATION, record.dump(installation))
    state.installation = installation


def count(state: State, check: Check, times: int = 1) -> Workflow[Need, None]:
    """Count a refusal, or several of one kind; store them if their count is worth a write."""
    state.latest_refusal = check
    before, state.refusals = state.refusals, refusals.counted(state.refusals, check, times)
    if refusals.is_worth_storing(before, state.refusals, check):
        yield Store(REFUSALS, refusals.dump(state.refusals))


def recount(state: State, name: str, value: int) -> Workflow[Need, None]:
    """Store what a count that was lost begins with, before it goes on from there."""
    if name in state.recounted:
        yield Store(name, counter_octets(value))
        state.recounted.discard(name)


def forget_refusals(state: State) -> Workflow[Need, None]:
    """Begin to count anew, after a release."""
    if state.refusals:
        yield Delete(REFUSALS)
        state.refusals = refusals.NO_REFUSALS


def counter_octets(value: int) -> bytes:
    """A counter as a record."""
    return value.to_bytes(_COUNTER_LENGTH)


def _refusals(octets: bytes | None) -> Refusals:
    """The refusals; a record that cannot be read stops nobody from booting, and is reported."""
    try:
        return refusals.load(octets)
    except StorageFailure:
        return refusals.counted(refusals.NO_REFUSALS, Check.STATE_DAMAGED)


def _counter(octets: bytes | None) -> int:
    if octets is None:
        return 0
    if len(octets) != _COUNTER_LENGTH:
        raise StorageFailure(f"a counter's record has {len(octets)} octets, expected {_COUNTER_LENGTH}")
    return int.from_bytes(octets)


def _files(records: Mapping[str, bytes], repository: Repository) -> dict[str, bytes]:
    prefix = f"{repository.value}/"
    return {name.removeprefix(prefix): octets for name, octets in records.items() if name.startswith(prefix)}
