"""Faults: each begins when the plan says, and ends by itself or when calm comes.

Windows add up: a call is lost if any of them loses it. What is broken for good (a worn slot, a vehicle that is
revoked) is mended by people, not here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final, Protocol

from secondary.needs import Verdict
from sim.can_faults import BusFaults
from sim.clock import NS_PER_MS, NS_PER_S, Clock
from sim.flash import FlashFaults
from sim.founding import Founded
from sim.fuses import Fuse, Fuses
from sim.intruder import BusIntruder, Proxy
from sim.network import CALM, Network, Partition
from sim.node import Node
from sim.plan import Act, Fault, Planned
from sim.primary_node import PrimaryNode
from sim.secondary_node import SecondaryNode
from sim.server import Server
from sim.storage import RecordFaults
from sim.vehicle import SimVehicle
from sim.verbs import Verb

# Records whose loss ends an ECU by design: without its Roots it has nothing to believe anybody by. A Primary that does
# not know what its slots hold does not start, and its exchange is another story.
VITAL: Final = frozenset(
    {"director/root", "image/root", "metadata/director/root", "metadata/image/root", "installed/own"}
)
RESTART_NS: Final = 5 * NS_PER_S  # before whoever watches a server starts it again
ERRORS: Final = 255  # of a controller; with one more it leaves the bus
STORM: Final = 0.3  # of all frames are destroyed
WORN: Final = FlashFaults(endurance=0)

End = Callable[[], None]


class Scene(Protocol):
    """Where faults happen."""

    clock: Clock
    fuses: Fuses
    network: Network
    servers: Founded
    vehicles: dict[str, SimVehicle]

    @property
    def calm_ns(self) -> int:
        """When faults stop."""
        ...

    def say(self, node: str, verb: Verb, detail: str) -> None:
        """Add a line to the trace."""
        ...


class Injector:
    """Begins and ends faults of a world."""

    def __init__(self, world: Scene, dice: Random) -> None:
        self._world = world
        self._dice = dice
        self._open: dict[int, tuple[Planned, End]] = {}
        self._calm = False
        self._rotten: set[str] = set()
        self._intruders: dict[str, BusIntruder] = {}
        self._proxy = Proxy(dice)
        world.network.tamper = self._proxy.tamper

    def begin(self, fault: Planned) -> None:
        """A fault begins."""
        if self._calm:
            return
        world = self._world
        world.say("faults", Verb.FAULT, str(fault))
        assert isinstance(fault.kind, Fault)
        end = _BEGINNINGS[fault.kind](self, fault)
        if end is None:
            return
        self._open[fault.number] = fault, end
        world.clock.after(fault.for_ms * NS_PER_MS, lambda: self._end(fault))

    def _end(self, fault: Planned) -> None:
        opened = self._open.pop(fault.number, None)
        if opened is not None:
            opened[1]()

    def calm(self) -> None:
        """End everything; nothing begins any more."""
        self._calm = True
        self._world.fuses.disarm()
        for fault, _ in list(self._open.values()):
            self._end(fault)
        for server in self._servers().values():
            server.hold()
        for vehicle in self._world.vehicles.values():
            for node in vehicle.nodes():
                node.records.faults = RecordFaults()
                if not vehicle.asleep:
                    node.power_up()

    # ----------------------------------------------------------------------------------------------------- places

    def _servers(self) -> dict[str, Server]:
        founded = self._world.servers
        return {"director": founded.director, "image": founded.image, "time": founded.time}

    def _vehicle(self, where: str) -> SimVehicle:
        return self._world.vehicles[where.partition(".")[0].partition("/")[0]]

    def _node(self, where: str) -> PrimaryNode | SecondaryNode:
        return next(node for node in self._vehicle(where).nodes() if node.name == where)

    # ------------------------------------------------------------------------------------------------------ power

    def cut(self, fault: Planned) -> None:
        """The power of a node fails, at an effect."""
        self._arm(fault, lambda: [self._node(fault.where)])

    def blackout(self, fault: Planned) -> None:
        """The power of a whole vehicle fails."""
        self._arm(fault, lambda: list(self._vehicle(fault.where).nodes()))

    def _arm(self, fault: Planned, hit: Callable[[], list[Node]]) -> None:
        clock = self._world.clock

        def again(nodes: list[Node]) -> None:
            for node in nodes:
                if not self._vehicle(fault.where).asleep:
                    node.power_up()

        def blown() -> None:
            nodes = hit()
            for node in nodes:
                if node.name != fault.where:
                    node.cut()
            clock.after(max(fault.for_ms, 1) * NS_PER_MS, lambda: again(nodes))

        fuse = Fuse(fault.count, fault.kind is Fault.FLICKER, during=bool(fault.amount), blown=blown)
        self._world.fuses.arm(fault.where, fuse)

    def unplug(self, fault: Planned) -> End:
        """An ECU is not there."""
        node = self._node(fault.where)
        node.cut()

        def plug() -> None:
            if not self._vehicle(fault.where).asleep:
                node.power_up()

        return plug

    # ---------------------------------------------------------------------------------------------------- storage

    def full(self, fault: Planned) -> End:
        """Storage takes nothing."""
        disk = self._node(fault.where).disk
        disk.full = True

        def free() -> None:
            disk.full = False

        return free

    def rot(self, fault: Planned) -> None:
        """The next cut damages a record. Every copy of one is lost once at most on a node, as a chip dies once."""
        node = self._node(fault.where)
        total = bool(fault.amount) and node.name not in self._rotten
        if total:
            self._rotten.add(node.name)
        share = {"both": 1.0} if total else {"newest": 1.0}
        node.records.faults = RecordFaults(vital=VITAL, **share)

    def worn(self, fault: Planned) -> None:
        """The slot that is erased next refuses: a workshop exchanges the flash when calm comes."""
        node = self._node(fault.where)
        assert isinstance(node, SecondaryNode)
        node.slots[self._dice.randrange(2)].faults = WORN

    # ---------------------------------------------------------------------------------------------------- vehicle

    def moving(self, fault: Planned) -> End:
        """The vehicle moves."""
        around = self._vehicle(fault.where).around
        around.moving += 1

        def park() -> None:
            around.moving -= 1

        return park

    def unwell(self, fault: Planned) -> End:
        """What is new on this ECU fails its self-test."""
        around, ecu = self._vehicle(fault.where).around, self._node(fault.where).ecu
        around.unwell[ecu] = Verdict.DEAD if fault.amount else Verdict.FAILED

        def heal() -> None:
            around.unwell.pop(ecu, None)

        return heal

    # ---------------------------------------------------------------------------------------------------- network

    def partition(self, fault: Planned) -> None:
        """A vehicle and a server do not reach each other."""
        vehicle, _, server = fault.where.partition("/")
        now_ns = self._world.clock.now_ns
        end_ns = min(now_ns + fault.for_ms * NS_PER_MS, self._world.calm_ns)
        self._world.network.part(Partition(now_ns, end_ns, f"{vehicle}.primary", server))

    def network(self, fault: Planned) -> End:
        """Calls of a vehicle fare badly."""
        return self._window(fault, lambda: self._apply_network(fault.where))

    def _apply_network(self, vehicle: str) -> None:
        faults = CALM
        for each, _ in self._open.values():
            share = each.amount / 100
            if each.where != vehicle:
                continue
            match each.kind:
                case Fault.LOSSY:
                    faults = replace(faults, loss=max(faults.loss, share))
                case Fault.GARBLED:
                    faults = replace(faults, truncated=max(faults.truncated, share))
                case Fault.TWICE:
                    faults = replace(faults, duplicated=max(faults.duplicated, share))
                case Fault.SLOW:
                    faults = replace(faults, late=0.5, late_ms=max(1, each.amount))
                case _:
                    pass
        self._world.network.faults_of[f"{vehicle}.primary"] = faults

    # -------------------------------------------------------------------------------------------------------- bus

    def bus(self, fault: Planned) -> End:
        """Frames of a bus fare badly."""
        return self._window(fault, lambda: self._apply_bus(fault.where))

    def _apply_bus(self, name: str) -> None:
        rates: dict[Fault | Act, float] = {Fault.DEAF: 0.0, Fault.NOISE: 0.0, Fault.ECHO: 0.0}
        vehicle = self._vehicle(name)
        for each, _ in self._open.values():
            if each.where == name and each.kind in rates:
                rates[each.kind] = max(rates[each.kind], each.amount / 10_000)
            if each.kind is Fault.BUS_OFF and vehicle.bus_of(each.where) == name:
                rates[Fault.NOISE] = STORM
        bus = vehicle.buses[name.rpartition(".")[2]]
        bus.faults = BusFaults(rates[Fault.DEAF], rates[Fault.NOISE], rates[Fault.ECHO])

    def _window(self, fault: Planned, apply: Callable[[], None]) -> End:
        self._open[fault.number] = fault, apply
        apply()
        return apply

    def babble(self, fault: Planned) -> None:
        """Somebody on the bus sends nothing but its highest priority."""
        bus = self._vehicle(fault.where).buses[fault.where.rpartition(".")[2]]
        bus.babble("broken", fault.for_ms * NS_PER_MS)

    def bus_off(self, fault: Planned) -> End:
        """A node that has met almost too many errors, on a bus full of them: the next ones make it leave."""
        node = self._node(fault.where)
        assert isinstance(node, SecondaryNode)
        node.can.sending_errors = ERRORS
        bus = self._vehicle(fault.where).bus_of(fault.where)
        return self._window(fault, lambda: self._apply_bus(bus))

    # -------------------------------------------------------------------------------------------------- intruders

    def intrude(self, fault: Planned) -> End:
        """Somebody without keys is on a bus."""
        intruder = self._intruders.get(fault.where)
        if intruder is None:
            vehicle = self._vehicle(fault.where)
            bus = fault.where.rpartition(".")[2]
            addresses = [each.address for each in vehicle.plan.secondaries if each.bus == bus]
            intruder = BusIntruder(vehicle.buses[bus], addresses, self._world.clock, self._dice)
            self._intruders[fault.where] = intruder
        intruder.begin()
        return intruder.end

    def stand_between(self, _fault: Planned) -> End:
        """Somebody without keys is between vehicles and servers."""
        proxy = self._proxy
        proxy.active += 1

        def leave() -> None:
            proxy.active -= 1

        return leave

    # ---------------------------------------------------------------------------------------------------- servers

    def crash(self, fault: Planned) -> End:
        """A server dies at one of its next durable moments."""
        server = self._servers()[fault.where]
        server.crash_soon(self._dice)
        self._world.clock.after(fault.for_ms * NS_PER_MS + RESTART_NS, server.restart)
        return server.restart

    def skew(self, fault: Planned) -> End:
        """A server's clock is wrong."""
        server = self._servers()[fault.where]
        server.set_clock(fault.amount)
        return lambda: server.set_clock(0)


_BEGINNINGS: Final[dict[Fault, Callable[[Injector, Planned], End | None]]] = {
    Fault.CUT: Injector.cut,
    Fault.FLICKER: Injector.cut,
    Fault.BLACKOUT: Injector.blackout,
    Fault.UNPLUG: Injector.unplug,
    Fault.FULL: Injector.full,
    Fault.ROT: Injector.rot,
    Fault.WORN: Injector.worn,
    Fault.MOVING: Injector.moving,
    Fault.UNWELL: Injector.unwell,
    Fault.PARTITION: Injector.partition,
    Fault.LOSSY: Injector.network,
    Fault.GARBLED: Injector.network,
    Fault.SLOW: Injector.network,
    Fault.TWICE: Injector.network,
    Fault.DEAF: Injector.bus,
    Fault.NOISE: Injector.bus,
    Fault.ECHO: Injector.bus,
    Fault.BABBLE: Injector.babble,
    Fault.BUS_OFF: Injector.bus_off,
    Fault.INTRUDER: Injector.intrude,
    Fault.PROXY: Injector.stand_between,
    Fault.CRASH: Injector.crash,
    Fault.SKEW: Injector.skew,
}
