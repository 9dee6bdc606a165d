"""The beginning of every simulation: keys, both Roots, factory images, vehicles born with what a workshop gives them.

    founded = found(clock, plans)                       # three servers up, every vehicle enrolled and provisioned
    founded.primary_records(vehicle)                    # the records its Primary is born with, by name
    founded.secondary_records(vehicle, ecu)             # those of one Secondary
    founded.means(vehicle, jitter), founded.facts(...)  # what the shipping machines want to know of themselves

Everything goes through the servers' own doors, as an integrator's commands would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256, shake_256
from typing import Final

from director.ceremony import ONLINE as DIRECTOR_ONLINE
from director.ceremony import first_root as first_director_root
from director.events import PutRoot
from director.inventory import Ecu, Verification
from director.provision import PARTIAL
from image_repo.ceremony import Holders
from image_repo.ceremony import first_root as first_image_root
from image_repo.publish import Occasion, first_targets
from image_repo.publish import Terms as ImageTerms
from image_repo.service import Bench, first_publication
from primary.layout import Layout, Secondary
from primary.layout import Verification as Kind
from primary.means import Means
from secondary.state import Facts
from sim import director_records, image_records
from sim.clock import Clock
from sim.director_node import DirectorNode
from sim.director_server import TERMS as DIRECTOR_TERMS
from sim.director_server import Terms as DirectorTerms
from sim.image_node import ImageNode, Wish
from sim.image_server import TERMS as IMAGE_TERMS
from sim.keys import Ring, key, listed
from sim.server import Power, Say, Site, silent, steady
from sim.signatures import CODEC, VERIFIER
from sim.time_node import TimeNode
from uptane.crypto import Ed25519Signer
from uptane.model.ids import TOP_TARGETS, EcuId, Filename, HardwareId, Role, RoleName, VehicleId
from uptane.model.reports import InstalledImage
from uptane.moments import UtcTime
from uptane.verify.signing import sign
from uptane.verify.trusted import Ecu as Own

__all__ = ["SUPPLIER", "EcuPlan", "Founded", "VehiclePlan", "found", "image_octets", "key"]

SUPPLIER: Final = RoleName("supplier")
SUPPLIED: Final = ("supplier/*",)
SLOT_SIZE: Final = 20_000
FACTORY_LENGTH: Final = 512
FACTORY_COUNTER: Final = 1
ROOT_KEYS: Final = (3, 2)  # how many there are, how many must sign
TARGETS_KEYS: Final = (2, 2)


@dataclass(frozen=True, slots=True)
class EcuPlan:
    """One ECU of a vehicle; the Primary has neither bus nor address (`""`, 0) and verifies fully.

    `slot_size` and `factory_length` are in octets; ECUs of the same hardware leave the factory with the same image.
    `firmware`: its core is the C core, where there is one; such an ECU verifies partially.
    """

    ecu: EcuId
    hardware: HardwareId
    full: bool
    bus: str
    address: int
    slot_size: int = SLOT_SIZE
    factory_length: int = FACTORY_LENGTH
    firmware: bool = False


@dataclass(frozen=True, slots=True)
class VehiclePlan:
    """A vehicle: its Primary, and its Secondaries in the order in which they are activated."""

    vehicle: VehicleId
    primary: EcuPlan
    secondaries: tuple[EcuPlan, ...] = ()

    @property
    def coordinator(self) -> bool:
        """Whether the Primary gives orders: the Director names it coordinator wherever there is more than one ECU."""
        return bool(self.secondaries)

    @property
    def ecus(self) -> tuple[EcuPlan, ...]:
        """All of them, the Primary first."""
        return (self.primary, *self.secondaries)

    def ecu(self, ecu: EcuId) -> EcuPlan:
        """The one of this id."""
        return next(each for each in self.ecus if each.ecu == ecu)


def image_octets(name: str, counter: int, length: int) -> bytes:
    """The octets of the image of that name with that release counter: the same wherever they are made."""
    return shake_256(f"{name} {counter}".encode()).digest(length)


def factory_image(plan: EcuPlan) -> InstalledImage:
    """What this ECU leaves the factory with, in slot 0."""
    octets = factory_octets(plan)
    return InstalledImage(factory_name(plan), len(octets), sha256(octets).digest(), FACTORY_COUNTER)


def factory_octets(plan: EcuPlan) -> bytes:
    """The octets of its factory image."""
    return image_octets(factory_name(plan), FACTORY_COUNTER, plan.factory_length)


def factory_name(plan: EcuPlan) -> Filename:
    """Its name. Suppliers build the software of Secondaries, the manufacturer that of Primaries."""
    return Filename(f"{'supplier' if plan.bus else 'fleet'}/{plan.hardware}-{FACTORY_COUNTER}")


@dataclass(slots=True)
class Directory:
    """What provisioning left for one vehicle: initial metadata by path, when, and how often each ECU was exchanged."""

    plan: VehiclePlan
    files: Mapping[str, bytes] = field(default_factory=dict)
    floors: dict[EcuId, UtcTime] = field(default_factory=dict)
    exchanged: dict[EcuId, int] = field(default_factory=dict)

    def signer(self, ecu: EcuId) -> Ed25519Signer:
        """The key of the ECU that sits in this place now."""
        return key(self._named(ecu))

    def secret(self, ecu: EcuId) -> bytes:
        """What its nonces are made of."""
        return sha256(f"nonces of {self._named(ecu)}".encode()).digest()

    def _named(self, ecu: EcuId) -> str:
        return f"{self.plan.vehicle}/{ecu} {self.exchanged.get(ecu, 0) + 1}"


@dataclass(frozen=True, slots=True)
class Founded:
    """Three servers, and what vehicles were given."""

    clock: Clock
    director: DirectorNode
    image: ImageNode
    time: TimeNode
    vehicles: dict[VehicleId, Directory] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------------------- a vehicle

    def primary_records(self, vehicle: VehicleId) -> dict[str, bytes]:
        """The records the Primary of `vehicle` is born with, by name."""
        return {f"metadata/{path}": octets for path, octets in self.vehicles[vehicle].files.items()}

    def secondary_records(self, vehicle: VehicleId, ecu: EcuId) -> dict[str, bytes]:
        """The records a Secondary is born with, by name."""
        directory = self.vehicles[vehicle]
        full = directory.plan.ecu(ecu).full
        return {path: octets for path, octets in directory.files.items() if full or path in PARTIAL}

    def means(self, vehicle: VehicleId, jitter: Callable[[int], int]) -> Means:
        """What the Primary of `vehicle` knows and never changes."""
        directory = self.vehicles[vehicle]
        plan, primary = directory.plan, directory.plan.primary
        secondaries = tuple(
            Secondary(
                ecu=each.ecu,
                hardware=each.hardware,
                verification=Kind.FULL if each.full else Kind.PARTIAL,
                bus=each.bus,
                address=each.address,
                key=directory.signer(each.ecu).public,
            )
            for each in plan.secondaries
        )
        return Means(
            layout=Layout(plan.vehicle, primary.ecu, primary.hardware, "**", primary.slot_size, secondaries),
            own=_own(plan, primary),
            verifier=VERIFIER,
            signer=directory.signer(primary.ecu),
            secret=directory.secret(primary.ecu),
            floor=directory.floors[primary.ecu],
            factory=factory_image(primary),
            jitter=jitter,
        )

    def facts(self, vehicle: VehicleId, ecu: EcuId, *, fd: bool = False) -> Facts:
        """What a Secondary is; `fd`: its bus is CAN FD."""
        directory = self.vehicles[vehicle]
        plan = directory.plan.ecu(ecu)
        return Facts(
            own=_own(directory.plan, plan),
            address=plan.address,
            full=plan.full,
            fd=fd,
            verifier=VERIFIER,
            signer=directory.signer(ecu),
            secret=directory.secret(ecu),
            floor=directory.floors[ecu],
            factory=factory_image(plan),
        )

    # ---------------------------------------------------------------------------------------------------- workshops

    def enrol(self, plan: VehiclePlan) -> None:
        """A new vehicle leaves the factory: enrolled, its factory images published, its directory made.

        Raises:
            Declined, LinkFailure, Rejected, Malformed, Conflict, ClockBehind: do it again.
        """
        self.publish_factory_images([plan])
        self.director.enrol(plan.vehicle, [_described(each, primary=each is plan.primary) for each in plan.ecus])
        directory = Directory(plan)
        self._provision(directory, [each.ecu for each in plan.ecus], replacing=False)
        self.vehicles[plan.vehicle] = directory

    def replace_ecu(self, vehicle: VehicleId, ecu: EcuId) -> None:
        """A workshop puts a factory-new ECU in this place; the vehicle's directory is made anew.

        The ECU is born with `secondary_records` (or `primary_records`) as they are now, the Primary gets new `means`.

        Raises:
            Declined, LinkFailure: the old ECU stays; do it again.
        """
        directory = self.vehicles[vehicle]
        before = directory.exchanged.get(ecu, 0)
        directory.exchanged[ecu] = before + 1
        done = False
        try:
            self._provision(directory, [ecu], replacing=True)
            done = True
        finally:
            if not done:
                directory.exchanged[ecu] = before

    def bring_back(self, vehicle: VehicleId) -> None:
        """A revoked vehicle gets a new certificate, and may poll again.

        Raises:
            Declined, LinkFailure.
        """
        self._provision(self.vehicles[vehicle], [], replacing=True)

    def rotate_time(self) -> None:
        """The time service gets another key: first in the Director's Root, then in use.

        Raises:
            Declined, LinkFailure: the old key is in use still; do it again.
        """
        self.director.rotate(Role.TIME, [self.time.prepare()])
        self.time.switch()

    def mend(self) -> None:
        """People look after servers: they start them, set their clocks, and give up keys of clocks that were ahead.

        Raises:
            Declined, LinkFailure, Rejected, Malformed, Conflict, ClockBehind: do it again.
        """
        for server in (self.director, self.image, self.time):
            server.restart()
            if server.skew_s:
                server.set_clock(0)
        if self.image.was_ahead:
            self.image.rotate(Role.TIMESTAMP)
        if self.time.was_ahead:
            self.rotate_time()

    def _provision(self, directory: Directory, ecus: Sequence[EcuId], *, replacing: bool) -> None:
        keys = {ecu: directory.signer(ecu).public for ecu in ecus}
        directory.files = self.director.provision(directory.plan.vehicle, keys, replacing=replacing)
        directory.floors |= dict.fromkeys(ecus, self.clock.utc)

    def publish_factory_images(self, plans: Iterable[VehiclePlan]) -> None:
        """Publish what ECUs leave the factory with, as far as that was not done before.

        Raises:
            As ImageNode.publish.
        """
        known = self.image.standing
        wishes: dict[Filename, Wish] = {}
        for plan in plans:
            for each in plan.ecus:
                name, role = factory_name(each), SUPPLIER if each.bus else TOP_TARGETS
                targets = known.role(role)
                if targets is None or targets.value.entries.find(name) is None:
                    wishes[name] = Wish(factory_octets(each), each.hardware, FACTORY_COUNTER, role)
        if wishes:
            self.image.publish(wishes)


def found(
    clock: Clock,
    plans: Sequence[VehiclePlan] = (),
    *,
    say: Callable[[str], Say] = lambda _server: silent,
    power: Callable[[str], Power] = lambda _server: steady,
    terms: tuple[DirectorTerms, ImageTerms] = (DIRECTOR_TERMS, IMAGE_TERMS),
) -> Founded:
    """Found three servers and enrol vehicles. `say` and `power` make what each of `director`, `image`, `time` is given.

    The power of the servers has to be steady until this returns.
    """
    sites = {name: Site(clock, say(name), power(name)) for name in ("director", "image", "time")}
    time = TimeNode(sites["time"])
    image = _image_node(sites["image"], terms[1])
    director = _director_node(sites["director"], time, image, terms[0])
    founded = Founded(clock, director, image, time)
    founded.publish_factory_images(plans)
    for plan in plans:
        founded.enrol(plan)
    return founded


def _director_node(site: Site, time: TimeNode, image: ImageNode, terms: DirectorTerms) -> DirectorNode:
    online, offline = Ring("director"), Ring("director")
    signers = {Role.ROOT: offline.create(Role.ROOT.value, ROOT_KEYS[0])}
    signers |= {role: online.create(role.value) for role in DIRECTOR_ONLINE}
    signers[Role.TIME] = [time.signer]
    keys = {role: listed(held) for role, held in signers.items()}
    root = first_director_root(keys, {Role.ROOT: ROOT_KEYS[1]}, site.clock.utc)
    records = director_records.Records()
    records.commit([PutRoot(1, sign(CODEC, root, signers[Role.ROOT][: ROOT_KEYS[1]]))])
    records.keep_image_file("root", image.standing.root.octets)
    return DirectorNode(records, (online, offline), image, site, terms=terms)


def _image_node(site: Site, terms: ImageTerms) -> ImageNode:
    """Root, and top-level Targets that delegate what suppliers build."""
    online, offline = Ring("image"), Ring("image")
    counts = {Role.ROOT: ROOT_KEYS, Role.TIMESTAMP: (1, 1), Role.SNAPSHOT: (1, 1), Role.TARGETS: TARGETS_KEYS}
    rings = {Role.ROOT: offline, Role.TIMESTAMP: online, Role.SNAPSHOT: online, Role.TARGETS: offline}
    signers = {role: rings[role].create(role.value, count) for role, (count, _) in counts.items()}
    holders = {role: Holders(tuple(listed(signers[role])), threshold) for role, (_, threshold) in counts.items()}
    occasion = Occasion(site.clock.utc, terms)
    root = sign(CODEC, first_image_root(holders, occasion), signers[Role.ROOT][: ROOT_KEYS[1]])
    targets = sign(CODEC, first_targets(TOP_TARGETS, CODEC, occasion), signers[Role.TARGETS])
    records = image_records.Records()
    publication, _standing = first_publication(
        Bench(VERIFIER, CODEC, online, records, records), root, targets, occasion
    )
    records.commit(publication)
    image = ImageNode(records, (online, offline), site, terms=terms)
    image.delegate(SUPPLIER, SUPPLIED)
    return image


def _own(plan: VehiclePlan, ecu: EcuPlan) -> Own:
    return Own(plan.vehicle, ecu.ecu, ecu.hardware, "**", ecu.slot_size)


def _described(plan: EcuPlan, *, primary: bool) -> Ecu:
    return Ecu(
        id=plan.ecu,
        hardware=plan.hardware,
        primary=primary,
        verification=Verification.FULL if plan.full else Verification.PARTIAL,
        bus=plan.bus,
        address=plan.address,
        filename="**",
        slot_size=plan.slot_size,
        key=None,
        factory=factory_image(plan),
    )
