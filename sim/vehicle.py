"""A vehicle: its ECUs on their buses, and what surrounds them: whether it moves, and what tests itself badly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from primary.needs import VehicleState
from secondary.needs import Verdict
from sim.can_bus import CanBus
from sim.founding import VehiclePlan
from sim.primary_node import PrimaryNode
from sim.secondary_node import SecondaryNode
from uptane.link.uds_tasks import Interlock
from uptane.model.ids import EcuId, VehicleId


@dataclass
class Around:
    """What the world does to a vehicle. `moving` and `unwell` count how many faults say so just now."""

    moving: int = 0
    unwell: dict[EcuId, Verdict] = field(default_factory=dict)

    def state(self) -> VehicleState:
        """What the vehicle says to its Primary."""
        return VehicleState(parked=not self.moving, energy_s=None, consent=None)

    def interlock(self) -> Interlock:
        """What each Secondary finds at its own interlock."""
        return Interlock.MOVING if self.moving else Interlock.SAFE

    def verdict(self, ecu: EcuId, _sha256: bytes) -> Verdict:
        """How the image that runs on `ecu` tests itself."""
        return self.unwell.get(ecu, Verdict.PASSED)

    def passes(self, ecu: EcuId) -> bool:
        """Whether the Primary's own image passes."""
        return self.unwell.get(ecu, Verdict.PASSED) is Verdict.PASSED


@dataclass
class SimVehicle:
    """One vehicle of a simulation; `present` are the ECUs that are plugged in."""

    plan: VehiclePlan
    around: Around
    primary: PrimaryNode
    secondaries: dict[EcuId, SecondaryNode]
    buses: dict[str, CanBus]
    revoked: bool = False
    wakes_ns: int = 0

    @property
    def asleep(self) -> bool:
        """Whether it is parked without power."""
        return self.primary.clock.now_ns < self.wakes_ns

    @property
    def id(self) -> VehicleId:
        """Which vehicle this is."""
        return self.plan.vehicle

    def nodes(self) -> Iterator[PrimaryNode | SecondaryNode]:
        """Every ECU, the Primary first."""
        yield self.primary
        yield from self.secondaries.values()

    def bus_of(self, node: str) -> str:
        """The name of the bus of the Secondary with this name; empty for any other node."""
        found = [ecu for ecu, each in self.secondaries.items() if each.name == node]
        return self.buses[self.plan.ecu(found[0]).bus].name if found else ""
