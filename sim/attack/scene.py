"""The place of every attack: two vehicles with their servers, a life before the attacker comes, and what he saw of it.

Vehicle 1 is attacked. Its Primary, `brake` and `camera` run what a supplier builds and signs, `body` and `radar` what
the manufacturer does; `brake` and `body` verify partially, `camera` and `radar` fully. Both vehicles left the factory
with images 1 and were updated to 2; vehicle 2 runs 3 since, which nobody assigned to vehicle 1, and is far away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from image_repo.delegate import with_delegation
from primary.needs import Attest, FetchBlock, FetchMetadata, Poll, Reason, Unreachable
from sim.attack.forge import Director, read
from sim.attack.keys import EcuClass
from sim.attack.wire import Tap
from sim.can_bus import CanBus
from sim.clock import NS_PER_MS, NS_PER_S, Clock
from sim.dice import stream
from sim.firmware_node import Maker
from sim.founding import SUPPLIER, EcuPlan, Founded, VehiclePlan, factory_name, found, image_octets
from sim.garage import Garage
from sim.image_node import Wish
from sim.network import Need, Network
from sim.power import Powered, Stage
from sim.primary_node import PrimaryNode
from sim.secondary_node import SecondaryNode
from sim.signatures import CODEC
from sim.trace import Trace
from uptane.model.ids import TOP_TARGETS, EcuId, Filename, HardwareId, Role, RoleName, VehicleId
from uptane.model.metadata import Image, ImageTargets
from uptane.verify.roles import top_authority
from uptane.verify.signing import sign

HEAD, BRAKE, BODY, CAMERA, RADAR = (EcuId(f"{name}-1") for name in ("head", "brake", "body", "camera", "radar"))
ECUS: Final = (BODY, BRAKE, CAMERA, HEAD, RADAR)
SUPPLIED: Final = frozenset({HEAD, BRAKE, CAMERA})
CLASS_OF: Final = {
    HEAD: EcuClass.PRIMARY,
    BRAKE: EcuClass.PARTIAL,
    BODY: EcuClass.PARTIAL,
    CAMERA: EcuClass.FULL,
    RADAR: EcuClass.FULL,
}
VEHICLE, OTHER = VehicleId("vehicle-1"), VehicleId("vehicle-2")

RUNS, ELSEWHERE, NEXT = 2, 3, 4  # the round of images vehicle 1 runs, that only vehicle 2 has, and that comes next
AFTER: Final = 9  # the round that is ordered when an attack is over
SETTLED_S: Final = 900  # an update takes about a minute from its assignment; three polls of an idle vehicle
SEED: Final = 1


def plan_of(number: int) -> VehiclePlan:
    """A vehicle of the model, by its number."""

    def ecu(name: str, bus: str, address: int, *, full: bool) -> EcuPlan:
        identity = EcuId(f"{name}-{number}"), HardwareId(f"{name}-hw")
        return EcuPlan(*identity, full=full, bus=bus, address=address, firmware=not full)

    return VehiclePlan(
        VehicleId(f"vehicle-{number}"),
        ecu("head", "", 0, full=True),
        (
            ecu("brake", "classic", 0x21, full=False),
            ecu("body", "classic", 0x22, full=False),
            ecu("camera", "fast", 0x23, full=True),
            ecu("radar", "fast", 0x24, full=True),
        ),
    )


def hardware_of(ecu: EcuId) -> HardwareId:
    """The hardware of an ECU of either vehicle."""
    return HardwareId(f"{ecu.rpartition('-')[0]}-hw")


def filename_of(ecu: EcuId, number: int) -> Filename:
    """The image of a round for an ECU's place; round 1 is what it left the factory with."""
    kind = ecu.rpartition("-")[0]
    if number == 1:
        return factory_name(plan_of(1).ecu(EcuId(f"{kind}-1")))
    maker = "supplier" if EcuId(f"{kind}-1") in SUPPLIED else "fleet"
    return Filename(f"{maker}/{kind}-{number}")


@dataclass(slots=True)
class Seen:
    """What passed by the attacker, and what he can ask for like anybody: everything public, everything in the clear.

    `sets` are the Director's files of vehicle 1 as they were issued at `issued_ns`, `foreign` those of vehicle 2;
    `repository` the Image repository's files by role after each publication; `manifests` what vehicle 1 handed in.
    """

    sets: list[Director] = field(default_factory=list)
    issued_ns: list[int] = field(default_factory=list)
    foreign: list[Director] = field(default_factory=list)
    repository: list[dict[str, bytes]] = field(default_factory=list)
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    manifests: list[bytes] = field(default_factory=list)
    foreign_manifests: list[bytes] = field(default_factory=list)
    attested: list[bytes] = field(default_factory=list)

    def image(self, filename: Filename) -> Image:
        """What the Image repository says of an image, in its own octets."""
        for files in reversed(self.repository):
            for role in (TOP_TARGETS, SUPPLIER):
                found_here = read(files[role], ImageTargets).entries.find(filename)
                if found_here is not None:
                    return found_here
        raise AssertionError(filename)


Told = Callable[[Powered, object], None]
EcuNode: TypeAlias = PrimaryNode | SecondaryNode


@dataclass(frozen=True, slots=True)
class Lost:
    """A call that never reaches its server."""

    need: Need

    def fail(self) -> object:
        """What comes of it."""
        raise Unreachable(type(self.need).__name__, Reason.DOWN, "no answer in time")


class Scene:
    """See the module. It is its own way to the servers and watches every effect; both can be hooked.

    `maker`: ECUs that verify partially run the C core.
    """

    def __init__(self, maker: Maker | None = None) -> None:
        self.clock = Clock()
        self.trace = Trace(SEED)
        self.seen = Seen()
        self.on_after: list[Told] = []
        self.before_call: Callable[[Need], Need | Lost] | None = None  # alters what the vehicle asks, on its way
        self.ordered: dict[EcuId, Filename] = {}
        self.absent: frozenset[EcuId] = frozenset()  # ECUs whose own software does not run: they were taken over
        self.events = 0
        self.network = Network(self.clock, stream(SEED, "network"))
        plans = [plan_of(1), plan_of(2)]
        self.servers: Founded = found(self.clock, plans)
        self._listen()
        self._delegate()
        garage = Garage(self.servers, Stage(self.clock, self.trace, self), self, SEED, maker)
        self.car, self.other = (garage.build(each) for each in plans)
        self.taps = {name: Tap(bus) for name, bus in self.car.buses.items()}
        self._live()

    # ---------------------------------------------------------------------------------------- the life before

    def _listen(self) -> None:
        servers, seen = self.servers, self.seen

        def issued(vehicle: VehicleId, files: Mapping[str, bytes]) -> None:
            root = servers.director.fleet.root.octets
            kept = {name.rpartition(".")[2]: octets for name, octets in files.items()}
            sets = seen.sets if vehicle == VEHICLE else seen.foreign
            if vehicle == VEHICLE:
                seen.issued_ns.append(self.clock.now_ns)
            sets.append(Director(root, kept["timestamp"], kept["snapshot"], kept["targets"]))

        def published(files: Mapping[str, bytes], images: Mapping[bytes, bytes]) -> None:
            newest = dict(seen.repository[-1]) if seen.repository else dict(servers.image.records.newest())
            newest |= {name.rpartition(".")[2]: octets for name, octets in files.items()}
            seen.repository.append(newest)
            seen.blobs.update(images)

        servers.director.listeners.on_issue = issued
        servers.image.on_publish = published
        for vehicle in (VEHICLE, OTHER):
            issue = servers.director.known(vehicle).issued
            assert issue is not None
            issued(vehicle, {"timestamp": issue.timestamp, "1.snapshot": issue.snapshot, "1.targets": issue.targets})
        seen.repository.append(dict(servers.image.records.newest()))
        seen.blobs.update(servers.image.records.blobs)

    def _delegate(self) -> None:
        """The supplier may sign for the hardware it builds and for no other, as a delegation should say."""
        image = self.servers.image
        top = image.standing.targets.value
        assert top.delegations is not None
        (old,) = top.delegations.delegations
        hardware = tuple(sorted({hardware_of(ecu) for ecu in SUPPLIED}))
        changed = with_delegation(top, replace(old, hardware=hardware), list(top.delegations.keys), image.occasion())
        root = image.standing.root.value
        signers = image.offline.signers(top_authority(root, Role.TARGETS))
        image.submit({TOP_TARGETS: sign(CODEC, changed, signers)})

    def _live(self) -> None:
        for vehicle in (self.car, self.other):
            for node in vehicle.nodes():
                node.power_up()
        self.publish(RUNS)
        self.run(30)
        self.assign(VEHICLE, RUNS)
        self.assign(OTHER, RUNS)
        self.run(SETTLED_S)
        self.publish(ELSEWHERE)
        self.assign(OTHER, ELSEWHERE)
        self.run(SETTLED_S)
        for node in self.other.nodes():
            node.cut()
        self.run(60)
        assert self.runs_round(RUNS), "the scene is not set"

    # ------------------------------------------------------------------------------------------- honest people

    def publish(self, number: int) -> None:
        """The images of a round, by whoever builds them."""
        wishes = {}
        for ecu in ECUS:
            name = filename_of(ecu, number)
            role = SUPPLIER if ecu in SUPPLIED else TOP_TARGETS
            wishes[name] = Wish(image_octets(name, number, IMAGE_LENGTH), hardware_of(ecu), number, RoleName(role))
        self.servers.image.publish(wishes)

    def assign(self, vehicle: VehicleId, number: int, *only: EcuId) -> None:
        """Order the images of a round for every ECU of a vehicle, or for these."""
        end = vehicle.rpartition("-")[2]
        ecus = [EcuId(f"{ecu.rpartition('-')[0]}-{end}") for ecu in only or ECUS]
        orders = {ecu: filename_of(ecu, number) for ecu in ecus}
        self.servers.director.assign([vehicle], orders)
        if vehicle == VEHICLE:
            self.ordered |= orders

    def update(self, *only: EcuId, number: int = NEXT) -> None:
        """An honest update: published, assigned to vehicle 1, and polled for when it is next switched on."""
        self.publish(number)
        self.assign(VEHICLE, number, *only)
        self.ignition()

    def ignition(self) -> None:
        """Vehicle 1 is switched off and on."""
        self.sleep(1)

    def sleep(self, seconds: int) -> None:
        """Vehicle 1 stands without power; nobody else does anything meanwhile."""
        for node in self.car.nodes():
            node.cut()
        self.run(seconds)
        for ecu in ECUS:
            if ecu not in self.absent:
                self.node(ecu).power_up()

    # -------------------------------------------------------------------------------------------------- time

    def step(self) -> bool:
        """Let the next thing happen."""
        self.events += 1
        assert self.events < EVENTS_MAX, "this attack never ends"
        return self.clock.step()

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until_ns = self.clock.now_ns + int(seconds * NS_PER_S)
        self.clock.at(until_ns, lambda: None)
        while (due := self.clock.next_ns()) is not None and due <= until_ns:
            self.step()

    def until(self, condition: Callable[[], bool], seconds: float, look_ms: int = 20) -> bool:
        """Let time pass until `condition` holds, at most `seconds`; whether it does."""
        end_ns = self.clock.now_ns + int(seconds * NS_PER_S)
        while not condition():
            if self.clock.now_ns >= end_ns:
                return False
            self.run(look_ms * NS_PER_MS / NS_PER_S)
        return True

    def until_told(self, condition: Callable[[Powered, object], bool], seconds: float) -> bool:
        """Let time pass until an effect was carried out that `condition` is true of; whether one was, in time."""
        met: list[bool] = []

        def look(node: Powered, effect: object) -> None:
            if not met and condition(node, effect):
                met.append(True)

        self.on_after.append(look)
        end_ns = self.clock.now_ns + int(seconds * NS_PER_S)
        self.clock.at(end_ns, lambda: None)
        while not met and (due := self.clock.next_ns()) is not None and due <= end_ns:
            self.step()
        self.on_after.remove(look)
        return bool(met)

    # ------------------------------------------------------------------------------------ servers and effects

    def ask(self, caller: PrimaryNode, need: Need, answered: Callable[[object], None]) -> None:
        """Carry a need of a Primary to its server; of vehicle 1 what it asks is seen, and may be altered."""
        vehicle = caller.means.layout.vehicle
        if isinstance(need, Poll) and need.manifest:
            (self.seen.manifests if vehicle == VEHICLE else self.seen.foreign_manifests).append(need.manifest)
        asked = need if self.before_call is None or vehicle != VEHICLE else self.before_call(need)
        server, run = self.served(vehicle, need if isinstance(asked, Lost) else asked)
        self.network.call(caller.name, server, asked.fail if isinstance(asked, Lost) else run, answered, need=need)

    def cut(self, caller: PrimaryNode) -> None:
        """The caller has lost its power."""
        self.network.cut(caller.name)

    def served(self, vehicle: VehicleId, need: Need) -> tuple[str, Callable[[], object]]:
        """Which server meets a need, and how."""
        servers = self.servers
        match need:
            case Poll():
                return "director", lambda: servers.director.poll(vehicle, need)
            case Attest(nonces=nonces):
                return "time", lambda: servers.time.attest(nonces)
            case FetchMetadata(name=name, length_max=length_max):
                return "image", lambda: servers.image.metadata(name, length_max)
            case FetchBlock(sha256=sha256, offset=offset):
                return "image", lambda: servers.image.block(sha256, offset)
            case _:
                raise AssertionError(need)

    def before(self, node: Powered, effect: object) -> None:
        """Nothing fails by itself here."""

    def booted(self, node: Powered) -> None:
        """A machine begins: nothing that durable octets would not tell."""

    def tested(self, node: Powered, *, passed: bool) -> None:
        """A self-test has ended: what comes of it is durable soon."""

    def after(self, node: Powered, effect: object) -> None:
        """An effect was carried out."""
        for told in self.on_after:
            told(node, effect)

    # ------------------------------------------------------------------------------------------------ looking

    def node(self, ecu: EcuId) -> EcuNode:
        """An ECU of vehicle 1."""
        return self.car.primary if ecu == HEAD else self.car.secondaries[ecu]

    def bus_of(self, ecu: EcuId) -> CanBus:
        """The bus of a Secondary of vehicle 1."""
        return self.car.buses[self.car.plan.ecu(ecu).bus]

    def runs_round(self, number: int) -> bool:
        """Whether the Director knows for proven that every ECU of vehicle 1 runs the images of a round."""
        record = self.servers.director.known(VEHICLE)
        return all(
            each.assigned is not None
            and each.assigned.proven
            and each.assigned.image.filename == filename_of(each.ecu.id, number)
            for each in record.ecus
        )


IMAGE_LENGTH: Final = 600
EVENTS_MAX: Final = 4_000_000  # an attack has some 20,000; one that has so many runs in circles
