"""What is true of an ECU: its durable octets over time, read from outside, and what it was seen to sign.

A record is looked at after every effect that touches it, and all of them at every boot: what a power cut left of an
effect, and what damage brought back, is seen there. A record whose newest copy was damaged goes back to the one
before; that is storage's doing, so every rule takes it as a new beginning, and not as a move.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from primary import state as primary_state
from primary.needs import Blob, Place
from secondary import state as secondary_state
from sim.issued import Read, read
from sim.primary_node import PrimaryNode
from sim.secondary_node import SecondaryNode
from sim.signatures import HASHER
from sim.storage import Records
from uptane.errors import StorageFailure
from uptane.model.ids import Bundle, EcuId, Repository, Role, VehicleId
from uptane.model.metadata import DirectorTargets, Root
from uptane.model.reports import EcuState, InstalledImage, Outcome
from uptane.model.signed import PublicKey
from uptane.moments import SECOND_MS, UtcTime
from uptane.verify import record
from uptane.verify.installation import Installation, factory
from uptane.verify.root import role_authority
from uptane.verify.trusted import ROOT_FILE, TARGETS_FILE, TIME_FILE, Ecu

SimEcu: TypeAlias = PrimaryNode | SecondaryNode

Attempt: TypeAlias = tuple[Bundle, int]
"""A transaction as everybody names it: the bundle, and the Targets version it is tried under."""

DIRECTOR: Final = f"{Repository.DIRECTOR.value}/"
IMAGE: Final = f"{Repository.IMAGE.value}/"
TIME: Final = DIRECTOR + TIME_FILE
TARGETS: Final = DIRECTOR + TARGETS_FILE
DIRECTOR_ROOT: Final = DIRECTOR + ROOT_FILE
_METADATA: Final = primary_state.metadata_name(Repository.DIRECTOR, "").removesuffix(DIRECTOR)
_SLOTS: Final = (Place.SLOT_0, Place.SLOT_1)


class Held(NamedTuple):
    """A record as a boot would find it. Not `sound`: a copy of it is damaged, so it may be an older one, or none.

    `generation`: of the copy that is found, 0 for none; one that is higher than before was written since.
    """

    octets: bytes | None = None
    sound: bool = True
    generation: int = 0


class Moment(NamedTuple):
    """What an ECU durably was for a while; `floor` is the version of the Director Targets it held."""

    state: EcuState
    outcome: Outcome
    bundle: Bundle | None
    image: InstalledImage
    released_counter: int
    targets_version: int
    floor: int


class Clock(NamedTuple):
    """The time an ECU can prove, the keys it stands under, and what its own clock showed when it was set."""

    time: int = 0
    keys: frozenset[str] = frozenset()
    at: int = 0


@dataclass(slots=True)
class EcuTruth:
    """One ECU, from its making to its exchange.

    `records` are by the names Secondaries use; `life` is that of the node when its storage was looked at last.
    `attested`: a time was stored since the boot. `tried` are the attempts this ECU has ended by going back, the latest
    last. `lost` is every record that storage has brought back, `reports` and `manifests` what was signed, by counter.
    """

    node: SimEcu
    own: Ecu
    primary: bool
    full: bool
    key: PublicKey
    factory: InstalledImage
    floor: UtcTime
    life: int
    installation: Installation
    records: dict[str, Held] = field(default_factory=dict)
    now: int = 0  # what its own clock showed when it was last about to do something
    clock: Clock = field(default_factory=Clock)
    attested: bool = False
    unattested: bool = False  # the next time that is stored comes of a Root, and of no attestation
    booting: bool = True
    history: list[Moment] = field(default_factory=list)
    tried: list[Attempt] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    lost_in: set[Attempt] = field(default_factory=set)
    erases: dict[tuple[int, int], int] = field(default_factory=dict)
    floors: dict[str, Read] = field(default_factory=dict)
    nonces: int = 0
    reports: dict[int, bytes] = field(default_factory=dict)
    manifests: dict[int, bytes] = field(default_factory=dict)
    told: tuple[int, int] = (0, 0)  # the latest report that was seen: its counter, and where in the history it stands
    authorised: set[InstalledImage] = field(default_factory=set)  # what it may boot
    highest: int = 0  # the highest version of Director Targets it ever held
    tested: bool | None = None  # what the self-test of this boot said, if it has ended
    unproven: int = 0  # boots of the new image in a row that did not pass it
    unsafe_since: int | None = None  # since when its own clock it has been told that the vehicle moves
    parked: bool = False  # what a Primary was told when it last asked
    asked: bool = True  # a nonce was drawn since a time was attested
    off: int = 0  # polls of its Primary since it lost its power
    off_life: int = 0  # the life in which that was

    @property
    def name(self) -> str:
        """How a trace calls it."""
        return self.node.name

    @property
    def vehicle(self) -> VehicleId:
        """Whose ECU this is."""
        return self.own.vehicle

    @property
    def ecu(self) -> EcuId:
        """Which ECU this is."""
        return self.own.ecu

    @property
    def attempt(self) -> Attempt | None:
        """The transaction its record speaks of."""
        now = self.installation
        return None if now.bundle is None else (now.bundle, now.targets_version)

    @property
    def utc(self) -> UtcTime:
        """The time this ECU can prove now."""
        return UtcTime(max(self.clock.time, self.floor) + max(0, self.now - self.clock.at) // SECOND_MS)

    def file(self, name: str) -> Read | None:
        """A metadata file that is durable here."""
        held = self.records.get(name)
        return None if held is None or held.octets is None else read(held.octets)

    @property
    def targets(self) -> DirectorTargets | None:
        """The Director Targets that are durable here."""
        file = self.file(TARGETS)
        return file.value if file is not None and isinstance(file.value, DirectorTargets) else None

    def root(self, repository: Repository) -> Root | None:
        """The Root of a repository that is durable here."""
        file = self.file(f"{repository.value}/{ROOT_FILE}")
        return file.value if file is not None and isinstance(file.value, Root) else None

    def remember(self) -> None:
        """What is durable now becomes part of the history."""
        now, held = self.installation, self.targets
        floor = 0 if held is None else held.header.version
        self.highest = max(self.highest, floor, now.targets_version)
        moment = Moment(now.state, now.outcome, now.bundle, now.image, now.released_counter, now.targets_version, floor)
        if not self.history or self.history[-1] != moment:
            self.history.append(moment)

    def holds(self, number: int, image: InstalledImage | None) -> bool:
        """Whether a slot holds this image, whole; so it does while its disk lets nobody look."""
        if image is None:
            return False
        try:
            if isinstance(self.node, PrimaryNode):
                octets = self.node.blobs.read(Blob(_SLOTS[number]), 0, image.length)
            else:
                octets = self.node.slots[number].read(0, image.length)
        except StorageFailure:
            return True
        return len(octets) == image.length and HASHER.sha256(octets) == image.sha256


def look(records: Records, name: str) -> Held | None:
    """One record of a store, None while it is open what is durable. Nothing changes by it.

    To ask the store itself would count as asking: it notes what damage it meets, and tells the machine.
    """
    unsure = records._unsure  # noqa: SLF001
    if unsure and ((name, 0) in unsure or (name, 1) in unsure):
        return None
    copies = records._pairs.get(name)  # noqa: SLF001
    if copies is None:
        return Held()
    met, place = copies.damaged_before_whole()
    if place is None:
        return Held(records._born.get(name), sound=False)  # noqa: SLF001
    copy = copies.copies[place]
    return Held() if copy is None else Held(copy.octets, not met, copy.generation)


def identity(node: SimEcu) -> PublicKey:
    """The key of the ECU that sits in a node now: another key is another ECU."""
    return (node.means if isinstance(node, PrimaryNode) else node.facts).signer.public


def born(node: SimEcu) -> EcuTruth:
    """The truth of an ECU that is met for the first time, from what is durable."""
    given = node.means if isinstance(node, PrimaryNode) else node.facts
    primary = isinstance(node, PrimaryNode)
    truth = EcuTruth(
        node=node,
        own=given.own,
        primary=primary,
        full=isinstance(node, PrimaryNode) or node.facts.full,
        key=given.signer.public,
        factory=given.factory,
        floor=given.floor,
        life=node.life,
        now=node.now,
        installation=factory(given.factory),
    )
    for name in names(node):
        held = look(node.records, name)
        if held is not None:
            truth.records[known_as(name)] = held
    octets = octets_of(truth, installed_name(truth))
    if octets is not None:
        truth.installation = record.load(octets)
    truth.clock = clock_of(truth, octets_of(truth, TIME))
    truth.floors = {name: file for name in truth.records if is_floor(name) and (file := truth.file(name)) is not None}
    truth.nonces = max(0, counter_of(truth, octets_of(truth, nonce_name(truth))))
    truth.authorised.update(image for image in truth.installation.images if image is not None)
    truth.remember()
    return truth


def names(node: SimEcu) -> Iterator[str]:
    """The records of a node that anyone cares about."""
    yield from (name for name in sorted(node.records.names("")) if not _only_handed_on(name))


def known_as(name: str) -> str:
    """A record's name as Secondaries call it."""
    return name.removeprefix(_METADATA)


def stored_as(truth: EcuTruth, name: str) -> str:
    """What the node itself calls a record that Secondaries call `name`."""
    metadata = name.startswith((DIRECTOR, IMAGE))
    return _METADATA + name if truth.primary and metadata else name


def installed_name(truth: EcuTruth) -> str:
    """The record of the installation."""
    return primary_state.INSTALLED if truth.primary else secondary_state.INSTALLATION


def nonce_name(truth: EcuTruth) -> str:
    """The record of how many nonces were drawn."""
    return primary_state.NONCES if truth.primary else secondary_state.NONCE


def octets_of(truth: EcuTruth, name: str) -> bytes | None:
    """A record as it is known here."""
    held = truth.records.get(name)
    return None if held is None else held.octets


def clock_of(truth: EcuTruth, octets: bytes | None) -> Clock:
    """The clock from its record: never before the ECU was made. Its own clock counts on from now."""
    at = truth.now
    if octets is None:
        return Clock(0, frozenset(), at)
    try:
        said = json.loads(octets)
        return Clock(int(said["time"]), frozenset(f"{scheme} {key}" for scheme, key in said["keys"]), at)
    except (ValueError, LookupError, TypeError):
        return Clock(0, frozenset(), at)


def time_keys(root: Root | None) -> frozenset[str]:
    """The keys that attest the time under a Root, as a clock's record lists them."""
    authority = None if root is None else role_authority(root, Role.TIME)
    if authority is None:
        return frozenset()
    return frozenset(f"{key.scheme.value} {key.octets.hex()}" for key in authority.keys.values())


def counter_of(truth: EcuTruth, octets: bytes | None) -> int:
    """The number of the latest nonce; -1 when nobody can read it."""
    if octets is None:
        return 0
    if not truth.primary:
        return int.from_bytes(octets)
    try:
        return primary_state.numbers_in(octets).get("drawn", -1)
    except StorageFailure:
        return -1


def is_floor(name: str) -> bool:
    """Whether a record is a metadata file below whose version its ECU never goes."""
    return name.startswith((DIRECTOR, IMAGE)) and name != TIME and not _only_handed_on(name)


def _only_handed_on(name: str) -> bool:
    """Links of Root chains that a Primary keeps for others: `7.root`."""
    return name.endswith(f".{ROOT_FILE}")
