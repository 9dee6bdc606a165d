"""Builds vehicles of a plan: every ECU with its storage, its bus and its dice, as provisioning left them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from primary.needs import Blob, Place
from sim.bootloader import Bootloader
from sim.can_bus import CanBus
from sim.dice import stream
from sim.disk import Disk
from sim.firmware_node import FirmwareNode, Maker
from sim.flash import Flash
from sim.founding import EcuPlan, Founded, VehiclePlan, factory_octets
from sim.plan import node_name, short
from sim.power import Stage
from sim.primary_node import FD_BUS, Computer, PrimaryNode, Servers
from sim.primary_node import Surroundings as PrimarySurroundings
from sim.secondary_node import Board, SecondaryNode
from sim.secondary_node import Surroundings as SecondarySurroundings
from sim.storage import Blobs, Records
from sim.vehicle import Around, SimVehicle
from sim.verbs import Verb
from uptane.link.bus_time import BusSpeed

CLOCK_PPM: Final = (0, 0, -200, 150, 4_000, -15_000)  # crystals, and oscillators of cheap controllers


@dataclass(frozen=True, slots=True)
class Garage:
    """What building takes: the servers' word, the stage, the way to the servers, and the seed.

    `maker`: of Secondaries whose core is the C core. Without one, such ECUs are like the others. `falls_back`: how
    often a bootloader, which keeps each Primary's slots, cannot boot a new one; None: there is no bootloader.
    """

    founded: Founded
    stage: Stage
    servers: Servers
    seed: int
    maker: Maker | None = None
    falls_back: float | None = None

    def build(self, plan: VehiclePlan) -> SimVehicle:
        """A vehicle without power, as it leaves the factory."""
        around = Around()
        names = dict.fromkeys(each.bus for each in plan.secondaries)
        buses = {name: self._bus(f"{short(plan)}.bus.{name}") for name in names}
        primary = self._primary(plan, buses, around)
        secondaries = {each.ecu: self._secondary(plan, each, buses[each.bus], around) for each in plan.secondaries}
        return SimVehicle(plan, around, primary, secondaries, buses)

    def _bus(self, name: str) -> CanBus:
        clock, trace = self.stage.clock, self.stage.trace
        return CanBus(
            name,
            clock,
            BusSpeed(),
            dice=stream(self.seed, name),
            say=lambda verb, detail: trace.say(clock.now_ns, name, verb, detail),
        )

    def _primary(self, plan: VehiclePlan, buses: dict[str, CanBus], around: Around) -> PrimaryNode:
        name = node_name(plan, plan.primary.ecu)
        dice = stream(self.seed, name)
        disk = Disk()
        records = Records(dice, disk=disk, born=self.founded.primary_records(plan.vehicle))
        computer = Computer(disk, records, Blobs(dice, disk=disk), self._bootloader(name))
        computer.blobs.install(Blob(Place.SLOT_0), factory_octets(plan.primary))
        jitter = stream(self.seed, f"{name} jitter")
        means = self.founded.means(plan.vehicle, lambda most: jitter.randint(0, most))
        return PrimaryNode(
            name,
            means,
            self.stage,
            computer=computer,
            buses=buses,
            around=PrimarySurroundings(around.state, around.passes),
            servers=self.servers,
            ppm=dice.choice(CLOCK_PPM),
        )

    def _bootloader(self, name: str) -> Bootloader | None:
        if self.falls_back is None:
            return None
        clock, trace = self.stage.clock, self.stage.trace
        dice = stream(self.seed, f"{name} bootloader")
        return Bootloader(dice, self.falls_back, lambda text: trace.say(clock.now_ns, name, Verb.NOTE.value, text))

    def _secondary(self, plan: VehiclePlan, ecu: EcuPlan, bus: CanBus, around: Around) -> SecondaryNode:
        name = node_name(plan, ecu.ecu)
        dice = stream(self.seed, name)
        facts = self.founded.facts(plan.vehicle, ecu.ecu, fd=ecu.bus == FD_BUS)
        make = FirmwareNode if ecu.firmware and self.maker is not None else SecondaryNode
        return make(
            name,
            facts,
            self.stage,
            board=self.board(plan, ecu, dice.randrange),
            bus=bus,
            around=SecondarySurroundings(around.interlock, around.verdict),
            ppm=dice.choice(CLOCK_PPM),
        )

    def board(self, plan: VehiclePlan, ecu: EcuPlan, draw: Callable[[int], int]) -> Board:
        """A factory-new board for an ECU, with what a workshop gives it."""
        dice = stream(self.seed, f"{node_name(plan, ecu.ecu)} board {draw(1 << 30)}")
        disk = Disk()
        born = self.founded.secondary_records(plan.vehicle, ecu.ecu)
        if ecu.firmware and self.maker is not None:
            facts = self.founded.facts(plan.vehicle, ecu.ecu, fd=ecu.bus == FD_BUS)
            return self.maker.board(facts, born, factory_octets(ecu), dice)
        slots = (Flash(dice, ecu.slot_size, disk=disk), Flash(dice, ecu.slot_size, disk=disk))
        slots[0].install(factory_octets(ecu))
        return Board(disk, Records(dice, disk=disk, born=born), slots)

    def exchange(self, vehicle: SimVehicle, node: SecondaryNode) -> None:
        """Put a factory-new ECU in the place of `node`, as provisioned; the Primary starts with its key."""
        for each in (node, vehicle.primary):
            each.cut()
        dice = stream(self.seed, f"{node.name} exchanged {node.life}")
        node.facts = self.founded.facts(vehicle.id, node.ecu, fd=node.facts.fd)
        node.install(self.board(vehicle.plan, vehicle.plan.ecu(node.ecu), dice.randrange))
        means = self.founded.means(vehicle.id, vehicle.primary.means.jitter)
        vehicle.primary.means = means
        if not vehicle.asleep:
            for each in (node, vehicle.primary):
                each.power_up()
