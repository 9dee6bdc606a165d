"""The people around a fleet: they publish, assign, withdraw, rotate keys, exchange ECUs, and try again when told no.

What they want is theirs to know (`wanted`); what comes of it is for the simulation to show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from director.errors import Declined
from image_repo.publish import ClockBehind, Conflict
from sim.clock import NS_PER_S
from sim.founding import FACTORY_COUNTER, SUPPLIER, EcuPlan, Founded, factory_octets, image_octets
from sim.garage import Garage
from sim.image_node import Wish
from sim.plan import Act, Planned
from sim.vehicle import SimVehicle
from sim.verbs import Verb
from uptane.errors import Check, LinkFailure, Malformed, Rejected
from uptane.model.ids import TOP_TARGETS, EcuId, Filename, HardwareId, Role, VehicleId

AGAIN_NS: Final = 3 * NS_PER_S  # a person who was refused looks again
TRIES_MAX: Final = 200  # ten minutes; then somebody else has a look at it

Step = Callable[[], None]


class Operators:
    """See the module. `wanted` is the latest order of each ECU that the Director took."""

    def __init__(self, founded: Founded, vehicles: Mapping[str, SimVehicle], garage: Garage, image_length: int) -> None:
        self._servers = founded
        self._vehicles = vehicles
        self._garage = garage
        self._clock = garage.stage.clock
        self._image_length = image_length
        self._counters: dict[HardwareId, int] = {}
        self._published: dict[Filename, Wish] = {}
        self.wanted: dict[VehicleId, dict[EcuId, Filename]] = {}
        self.busy = 0

    # ----------------------------------------------------------------------------------------------------- trying

    def _try(self, what: str, *steps: Step) -> None:
        """Do the steps one after the other, each until it is done; give up on what is refused for good."""
        self.busy += 1
        self._attempt(what, list(steps), TRIES_MAX)

    def _attempt(self, what: str, steps: list[Step], left: int) -> None:
        try:
            while steps:
                steps[0]()
                steps.pop(0)
        except (Rejected, Malformed) as refusal:
            self._say(f"{what}: refused: {refusal}")
        except (LinkFailure, Conflict, ClockBehind, Declined) as refusal:
            if left:
                self._clock.after(AGAIN_NS, lambda: self._attempt(what, steps, left - 1))
                return
            self._say(f"{what}: given up: {refusal}")
        self.busy -= 1

    def _say(self, text: str) -> None:
        self._garage.stage.trace.say(self._clock.now_ns, "operator", Verb.OPERATE.value, text)

    # ------------------------------------------------------------------------------------------------------- acts

    def do(self, act: Planned) -> int:
        """Do what is planned; for how long everything sleeps for it, in nanoseconds."""
        if act.kind is Act.SLEEP:
            self._say(str(act))
            return self._sleep(act.amount)
        self._act(act)
        return 0

    def _act(self, act: Planned) -> None:
        self._say(str(act))
        director, images = self._servers.director, self._servers.image
        match act.kind:
            case Act.ASSIGN | Act.RESIZE | Act.REVERT:
                self._update(self._vehicles[act.where], act)
            case Act.REVOKE:
                vehicle = self._vehicles[act.where]
                self._try("revoke", lambda: self._revoke(vehicle))
            case Act.WITHDRAW:
                names = sorted(self.wanted.get(self._vehicles[act.where].id, {}).values())
                gone = [name for name in dict.fromkeys(names) if name in self._published]
                if gone:
                    self._try("withdraw", lambda: images.withdraw(gone))
                    self._update(self._vehicles[act.where], act)
            case Act.EXCHANGE:
                self._exchange(act.where)
            case Act.ROTATE_DIRECTOR:
                roles = (Role.TARGETS, Role.SNAPSHOT, Role.TIMESTAMP)
                self._try("rotate", *(_rotating(director.rotate, role) for role in roles))
            case Act.ROTATE_TIME:
                self._try("rotate", self._servers.rotate_time)
            case Act.ROTATE_IMAGE:
                self._try("rotate", *(_rotating(images.rotate, role) for role in (Role.SNAPSHOT, Role.TIMESTAMP)))
            case Act.ROTATE_SUPPLIER:
                self._try("rotate", lambda: images.rotate_delegate(SUPPLIER))
            case Act.RENEW:
                self._try("renew", lambda: _done(director.renew_root()), images.renew_root)
            case _:
                raise AssertionError(act)

    def _update(self, vehicle: SimVehicle, act: Planned) -> None:
        """Publish the next images for the ECUs of a vehicle, and assign them."""
        ecus = [vehicle.plan.primary, *vehicle.plan.secondaries]
        mask = 0 if act.kind is Act.RESIZE else act.amount
        chosen = [ecu for place, ecu in enumerate(ecus) if not mask or mask >> place & 1] or ecus
        wishes: dict[Filename, Wish] = {}
        orders: dict[EcuId, Filename] = {}

        def number() -> None:
            wishes.clear()
            for ecu in chosen:
                name, wish = self._next(ecu, act)
                wishes[name] = wish
                orders[ecu.ecu] = name

        def publish() -> None:
            try:
                self._publish(wishes)
            except Rejected as refusal:
                if refusal.check is not Check.PUBLISH_COUNTER:
                    raise
                number()  # somebody else was quicker while the server was away
                self._publish(wishes)

        number()
        self._try(
            "update",
            publish,
            lambda: _done(self._servers.director.assign([vehicle.id], orders)),
            lambda: self.wanted.setdefault(vehicle.id, {}).update(orders),
        )

    def _next(self, ecu: EcuPlan, act: Planned) -> tuple[Filename, Wish]:
        counter = self._counters[ecu.hardware] = self._counters.get(ecu.hardware, FACTORY_COUNTER) + 1
        name = _name(ecu, counter)
        octets = image_octets(name, counter, act.amount if act.kind is Act.RESIZE else self._image_length)
        if act.kind is Act.REVERT:
            earlier = self._published.get(_name(ecu, counter - 2))
            octets = factory_octets(ecu) if earlier is None else earlier.octets
        return name, Wish(octets, ecu.hardware, counter, SUPPLIER if ecu.bus else TOP_TARGETS)

    def _publish(self, wishes: Mapping[Filename, Wish]) -> None:
        missing = {name: wish for name, wish in wishes.items() if name not in self._published}
        if missing:
            self._servers.image.publish(missing)
            self._published.update(missing)

    def _revoke(self, vehicle: SimVehicle) -> None:
        self._servers.director.revoke(vehicle.id)
        vehicle.revoked = True

    def _exchange(self, where: str) -> None:
        """A workshop puts a factory-new ECU in the place of another, and tells the Primary its key."""
        vehicle = self._vehicles[where.partition(".")[0]]
        node = next(each for each in vehicle.secondaries.values() if each.name == where)

        def change() -> None:
            self._servers.replace_ecu(vehicle.id, node.ecu)
            self._garage.exchange(vehicle, node)
            self.wanted.get(vehicle.id, {}).pop(node.ecu, None)

        self._try("exchange", change)

    def _sleep(self, days: int) -> int:
        """All vehicles are parked without power: a garage in winter. Servers, and people's diligence, go on."""
        for_ns = days * 86_400 * NS_PER_S
        for vehicle in self._vehicles.values():
            vehicle.wakes_ns = self._clock.now_ns + for_ns
            for node in vehicle.nodes():
                node.cut()
                self._clock.at(vehicle.wakes_ns, node.power_up)
        return for_ns

    # ------------------------------------------------------------------------------------------------------- calm

    def calm(self) -> None:
        """When the storm is over, people mend servers, bring vehicles back, exchange what is worn, and order again."""
        self._try("mend", self._servers.mend)
        for vehicle in self._vehicles.values():
            if vehicle.revoked:
                self._try("bring back", _bringing_back(self._servers, vehicle))
            for node in vehicle.secondaries.values():
                if node.dead or any(slot.faults.endurance is not None for slot in node.slots):
                    self._exchange(node.name)
        self.insist()

    def insist(self) -> None:
        """Order again what has not arrived, as an operator does who sees a vehicle that rolled back."""
        for vehicle in self._vehicles.values():
            orders = self.wanted.get(vehicle.id)
            if orders:
                self._try("order again", _ordering(self._servers, vehicle.id, orders))


def _rotating(rotate: Callable[[Role], object], role: Role) -> Step:
    return lambda: _done(rotate(role))


def _bringing_back(servers: Founded, vehicle: SimVehicle) -> Step:
    def bring() -> None:
        servers.bring_back(vehicle.id)
        vehicle.revoked = False

    return bring


def _ordering(servers: Founded, vehicle: VehicleId, orders: Mapping[EcuId, Filename]) -> Step:
    return lambda: _done(servers.director.assign([vehicle], dict(orders)))


def _name(ecu: EcuPlan, counter: int) -> Filename:
    return Filename(f"{'supplier' if ecu.bus else 'fleet'}/{ecu.hardware}-{counter}")


def _done(_result: object) -> None:
    """Nothing is made of it."""
