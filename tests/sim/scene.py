"""One simulated vehicle whose checkers collect what they find, and ways to write a wrong history into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from director.inventory import Vehicle
from primary.needs import Forget, Save
from secondary.needs import Delete, Store
from sim.clock import NS_PER_S
from sim.founding import EcuPlan, VehiclePlan
from sim.plan import Act, Fault, Plan, Planned
from sim.primary_node import PrimaryNode
from sim.rules import Rule
from sim.secondary_node import SecondaryNode
from sim.signatures import CODEC
from sim.trace import Trace
from sim.truth import installed_name, look, stored_as
from sim.world import World
from uptane.model.ids import EcuId, HardwareId, VehicleId
from uptane.ports import Payload
from uptane.verify import record
from uptane.verify.installation import Installation
from uptane.verify.signing import sign

VEHICLE, OTHER = VehicleId("vehicle-1"), VehicleId("vehicle-2")
HEAD, BRAKE, CAMERA = EcuId("head-1"), EcuId("brake-1"), EcuId("camera-1")


def vehicle_plan(number: int) -> VehiclePlan:
    """A Primary, a partial Secondary on the classic bus and a full one on the fast bus."""
    return VehiclePlan(
        VehicleId(f"vehicle-{number}"),
        EcuPlan(EcuId(f"head-{number}"), HardwareId("head-hw"), full=True, bus="", address=0),
        (
            EcuPlan(EcuId(f"brake-{number}"), HardwareId("brake-hw"), full=False, bus="classic", address=0x21),
            EcuPlan(EcuId(f"camera-{number}"), HardwareId("camera-hw"), full=True, bus="fast", address=0x22),
        ),
    )


def plan(*planned: tuple[int, Fault | Act, str], vehicles: int = 1, **changes: Any) -> Plan:
    """What happens when, in ms, `changes` to faults; with nothing else, everything is assigned after two seconds."""
    numbered = [
        replace(Planned(number, at_ms, kind, where), **(changes if isinstance(kind, Fault) else {}))
        for number, (at_ms, kind, where) in enumerate(planned or [(2_000, Act.ASSIGN, "v1")], 1)
    ]
    return Plan(
        seed=1,
        vehicles=tuple(vehicle_plan(number) for number in range(1, vehicles + 1)),
        image_length=512,
        faults=tuple(each for each in numbered if isinstance(each.kind, Fault)),
        acts=tuple(each for each in numbered if isinstance(each.kind, Act)),
        calm_ms=60_000,
    )


class Scene(World):
    """A world whose checkers collect what they find instead of ending it."""

    def __init__(self, what: Plan | None = None) -> None:
        super().__init__(what or plan(), Trace(1))
        self.judge = self.checkers
        self.judge._halt = False
        for node in self.nodes():
            self.judge.booted(node)

    # ---------------------------------------------------------------------------------------------------- looking

    def nodes(self) -> list[PrimaryNode | SecondaryNode]:
        return [node for vehicle in self.vehicles.values() for node in vehicle.nodes()]

    def node(self, ecu: EcuId) -> PrimaryNode | SecondaryNode:
        return next(node for node in self.nodes() if node.ecu == ecu)

    def secondary(self, ecu: EcuId) -> SecondaryNode:
        node = self.node(ecu)
        assert isinstance(node, SecondaryNode)
        return node

    @property
    def primary(self) -> PrimaryNode:
        node = self.node(HEAD)
        assert isinstance(node, PrimaryNode)
        return node

    def truth(self, ecu: EcuId) -> Any:
        return self.judge._ecus[self.node(ecu)]

    def installation(self, ecu: EcuId) -> Installation:
        """As durable."""
        found: Installation = self.truth(ecu).installation
        return found

    @property
    def recorded(self) -> Vehicle:
        """What the Director knows."""
        return self.servers.director.records.vehicles[VEHICLE]

    def fired(self) -> set[Rule]:
        """The rules that were broken."""
        return {violation.rule for violation in self.judge.violations}

    # ---------------------------------------------------------------------------------------------------- playing

    def until(self, done: Callable[[], object], *, limit_s: int = 300) -> Scene:
        """Let everything happen until `done`."""
        end = self.clock.now_ns + limit_s * NS_PER_S
        while not done():
            assert self.clock.step()
            assert self.clock.now_ns < end, "never comes"
        return self

    def ended(self) -> Scene:
        """Let the update come to its end, and the Director hear of it."""
        return self.until(lambda: self.operators.wanted and not self.judge.unsettled(self.operators.wanted))

    # ------------------------------------------------------------------------------------------------- wrong history

    def write(self, ecu: EcuId, name: str, octets: bytes) -> None:
        """An ECU makes a record durable that it should not; `name` as Secondaries call it."""
        node = self.node(ecu)
        stored = stored_as(self.truth(ecu), name)
        node.records.save(stored, octets)
        primary = isinstance(node, PrimaryNode)
        self.judge.after(node, Save(stored, octets) if primary else Store(stored, octets))

    def erase_record(self, ecu: EcuId, name: str) -> None:
        """An ECU deletes a record that it should keep."""
        node = self.node(ecu)
        stored = stored_as(self.truth(ecu), name)
        node.records.forget(stored)
        self.judge.after(node, Forget(stored) if isinstance(node, PrimaryNode) else Delete(stored))

    def install(self, ecu: EcuId, **changes: Any) -> None:
        """An ECU makes another record of its installation durable."""
        changed = replace(self.installation(ecu), **changes)
        self.write(ecu, installed_name(self.truth(ecu)), record.dump(changed))

    def octets(self, ecu: EcuId, name: str) -> bytes:
        """A record as it is durable."""
        octets = look(self.node(ecu).records, stored_as(self.truth(ecu), name))
        assert octets is not None
        assert octets.octets is not None
        return octets.octets

    def signed(self, ecu: EcuId, value: Payload) -> bytes:
        """Anything, signed by an ECU's key."""
        node = self.node(ecu)
        signer = node.means.signer if isinstance(node, PrimaryNode) else node.facts.signer
        return sign(CODEC, value, [signer])
