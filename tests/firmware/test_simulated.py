"""The C core in the simulator: seeds, found plans and attacks come out with it as they do with the Python core."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from secondary.needs import EraseSlot, Store
from sim.attack.matrix import cases
from sim.attack.record import changed, recorded
from sim.attack.strategies.registry import STRATEGIES
from sim.firmware_node import FirmwareNode, Maker
from sim.founding import VehiclePlan
from sim.plan import MANNERS, Act, Fault, Plan, Planned, draw, vehicle_of
from sim.plan_text import dump, load
from sim.rules import Violated
from sim.run import run
from sim.shell.attack_runs import run as play
from sim.shell.attacks_command import RECORD
from sim.shell.firmware import maker_of
from sim.trace import Trace
from sim.world import World
from tests.firmware.twin import LIBRARY
from uptane.verify import record

CASES = {case.name: case for case in cases(STRATEGIES)}

# Attacks that a partial ECU has a part in, one of each kind.
ATTACKS = (
    "in/old Targets",
    "in/foreign vehicle",
    "in/order: roll one back",
    "in/cut off all when one voted",
    "in/say yes for body-1",
    "in/forge malware [dTG]",
    "in/cut off brake-1",
    "out/freeze",
    "primary/two bundles",
)


@pytest.fixture(scope="module")
def maker() -> Maker:
    assert LIBRARY.exists(), f"{LIBRARY} is not built: make firmware"
    return maker_of(LIBRARY)


BOTH = ("brake:firmware:classic", "seat:firmware:fast", "door:full:fast")


def plan(*faults: Planned, ecus: tuple[str, ...] = BOTH, length: int = 1_500) -> Plan:
    """One update of one vehicle, ordered after two seconds."""
    secondaries = [(name, kind, bus) for name, kind, bus in (ecu.split(":") for ecu in ecus)]
    acts = (Planned(1, 2_000, Act.ASSIGN, "v1"),)
    vehicles = (vehicle_of(1, secondaries),)
    return Plan(seed=1, vehicles=vehicles, image_length=length, acts=acts, faults=faults, calm_ms=60_000)


def test_an_update_of_two_ecus_that_run_the_c_core(maker: Maker) -> None:
    one = plan()
    outcome = run(one, maker=maker)
    assert outcome.violations == ()
    assert outcome.updates >= 1
    assert run(one, maker=maker).digest == outcome.digest, "the same plan, the same trace"
    assert run(one).digest != outcome.digest, "another core is seen in it"


def test_nodes_are_what_the_plan_says(maker: Maker) -> None:
    world = World(plan(), Trace(1), maker=maker)
    kinds = [type(node) is FirmwareNode for node in world.vehicles["v1"].secondaries.values()]
    assert kinds == [True, True, False]
    assert not any(isinstance(node, FirmwareNode) for node in World(plan(), Trace(1)).vehicles["v1"].nodes())


def test_plans_with_the_c_core_are_the_others_but_for_that() -> None:
    some = False
    for seed in range(30):
        python, both = draw(seed), draw(seed, MANNERS["firmware"])
        some = some or python != both
        plain = tuple(_without_firmware(vehicle) for vehicle in both.vehicles)
        assert replace(both, vehicles=plain) == python
        assert load(dump(both)) == both
        assert not any(ecu.firmware and ecu.full for vehicle in both.vehicles for ecu in vehicle.secondaries)
    assert some


def _without_firmware(vehicle: VehiclePlan) -> VehiclePlan:
    return replace(vehicle, secondaries=tuple(replace(ecu, firmware=False) for ecu in vehicle.secondaries))


@pytest.mark.parametrize("torn", [0, 1])
def test_power_fails_at_some_durable_effects_of_an_update(maker: Maker, torn: int) -> None:
    """tests/firmware/test_power_cuts.py cuts at every operation of the flash; here the whole vehicle goes on."""
    hit = 0
    for count in range(torn, 40, 4):
        cut = Planned(2, 2_001, Fault.CUT, "v1.brake", 300, count, torn)
        outcome = run(plan(cut, ecus=("brake:firmware:classic",), length=512), maker=maker)
        assert outcome.violations == (), count
        if not outcome.cuts:
            break
        hit += 1
    assert hit >= 4, "an update has more durable effects than that"


@pytest.mark.parametrize("fault", [Fault.WORN, Fault.UNWELL, Fault.MOVING, Fault.ROT, Fault.INTRUDER])
def test_a_fault_breaks_no_rule(maker: Maker, fault: Fault) -> None:
    where = {Fault.MOVING: "v1", Fault.INTRUDER: "v1.bus.classic"}.get(fault, "v1.brake")
    faults = (Planned(2, 2_500, fault, where, 9_000), Planned(3, 6_000, Fault.CUT, "v1.brake", 300))
    assert run(plan(*faults), maker=maker).violations == ()


@pytest.mark.parametrize(("manner", "seeds"), [("firmware", range(1, 4)), ("firmware-cuts", range(1, 4))])
def test_seeds(maker: Maker, manner: str, seeds: range) -> None:
    for seed in seeds:
        outcome = run(draw(seed, MANNERS[manner]), maker=maker)
        assert outcome.violations == (), seed


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_more_seeds(maker: Maker) -> None:
    for manner in ("firmware", "firmware-cuts", "firmware-storm"):
        for seed in range(100, 110):
            outcome = run(draw(seed, MANNERS[manner]), maker=maker)
            assert outcome.violations == (), (manner, seed)


def played(maker: Maker, names: Sequence[str]) -> list[str]:
    known = recorded(RECORD.read_text(encoding="utf-8"))
    return list(changed(play([CASES[name] for name in names], 2, lambda _played: None, maker), known))


def test_attacks_come_out_as_they_are_on_record(maker: Maker) -> None:
    assert played(maker, ATTACKS[:4]) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_more_attacks_come_out_as_they_are_on_record(maker: Maker) -> None:
    """`marque-sim attacks --firmware` plays them all."""
    assert played(maker, ATTACKS[4:]) == []


def test_checkers_look_at_what_the_c_core_has_stored(maker: Maker) -> None:
    world = World(plan(), Trace(1), maker=maker)
    world.play(60_000_000_000)
    node = next(iter(world.vehicles["v1"].secondaries.values()))
    assert isinstance(node, FirmwareNode)
    assert {"director/targets", "director/time", "installation", "nonce"} <= set(node.records.names())
    assert json.loads(node.records.peek("director/time") or b"")["keys"], "under which the time was attested"
    world.checkers.before(node)
    node.records.save("director/targets", b"nothing that was ever issued")
    with pytest.raises(Violated, match="something else as director/targets"):
        world.checkers.after(node, Store("director/targets", b""))
    running = record.load(node.records.peek("installation") or b"").running
    with pytest.raises(Violated, match="which it"):
        world.checkers.after(node, EraseSlot(running, bytes(32)))
