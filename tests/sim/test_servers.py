"""The servers of the simulator: shipping cores behind doors, durable state, crashes, wrong clocks, rotations."""

from __future__ import annotations

from primary.cycle import Result
from secondary.ecu import Secondary
from secondary.needs import Answered, Found, PowerUp, Running, SelfTest, SelfTested, Verdict
from sim.clock import Clock
from sim.founding import EcuPlan, Founded, VehiclePlan, factory_image, found, image_octets
from sim.image_node import Wish
from tests.sim.lone_primary import LonePrimary
from uptane.link.uds_tasks import Interlock
from uptane.model.ids import EcuId, Filename, HardwareId, VehicleId
from uptane.moments import Instant

VEHICLE = VehicleId("v1")
GATEWAY, BRAKE, CAMERA = EcuId("gateway"), EcuId("brake"), EcuId("camera")
PLAN = VehiclePlan(
    VEHICLE,
    EcuPlan(GATEWAY, HardwareId("gateway-hw"), full=True, bus="", address=0),
    (
        EcuPlan(BRAKE, HardwareId("brake-hw"), full=False, bus="classic", address=0x21),
        EcuPlan(CAMERA, HardwareId("camera-hw"), full=True, bus="fast", address=0x22),
    ),
)
LONE = VehicleId("v2")
LONE_PLAN = VehiclePlan(LONE, EcuPlan(GATEWAY, HardwareId("gateway-hw"), full=True, bus="", address=0))
FRESH = Filename("fleet/gateway-2")


def founded() -> Founded:
    return found(Clock(), [PLAN, LONE_PLAN])


def publish(servers: Founded, name: Filename, counter: int = 2, hardware: str = "gateway-hw") -> None:
    servers.image.publish({name: Wish(image_octets(name, counter, 700), HardwareId(hardware), counter)})


def test_one_update_goes_through_all_servers() -> None:
    servers = founded()
    primary = LonePrimary(servers, LONE)
    assert primary.run().result is Result.IDLE
    assert primary.runs == factory_image(PLAN.primary)
    publish(servers, FRESH)
    servers.director.assign([LONE], {GATEWAY: FRESH})
    primary.run()
    assert primary.runs.filename == FRESH
    record = servers.director.vehicles[LONE].find(GATEWAY)
    assert record is not None
    assert record.assigned is not None
    assert record.assigned.proven


def test_secondaries_start_from_what_they_are_born_with() -> None:
    servers = founded()
    for ecu in (BRAKE, CAMERA):
        records = servers.secondary_records(VEHICLE, ecu)
        assert ("image/targets" in records) == (ecu == CAMERA)
        machine = Secondary(servers.facts(VEHICLE, ecu), Found(records), lambda: Interlock.SAFE, Instant(0))
        effects = list(machine.handle(PowerUp(), Instant(0)))
        booted = False
        while effects:
            effect = effects.pop(0)
            booted = booted or isinstance(effect, Running)
            answer = SelfTested(Verdict.PASSED) if isinstance(effect, SelfTest) else Answered()
            if not isinstance(effect, Running):
                effects += machine.handle(answer, Instant(0))
        assert booted


def test_a_primary_starts_from_what_it_is_born_with() -> None:
    servers = founded()
    assert LonePrimary(servers, VEHICLE).run().result is Result.IDLE
    vehicle = servers.director.vehicles[VEHICLE]
    assert vehicle.admission is not None
    assert {record.ecu.id for record in vehicle.ecus if record.reported is not None} == {GATEWAY}
