"""The checkers: silent on what is right, and each rule fires, alone, on a history that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sim.check_bundle import Transaction, VehicleTruth, mixed
from sim.checkers import Checkers
from sim.plan import Act, Fault
from sim.rules import Rule, Violated
from sim.truth import TARGETS, TIME
from tests.sim.scene import BRAKE, CAMERA, HEAD, VEHICLE, Scene, plan
from tests.sim.wrong_histories import WRONG, in_state
from uptane.model.reports import EcuState, Outcome
from uptane.verify import record

# ------------------------------------------------------------------------------------------------------ all is well


def test_silent_on_a_good_update() -> None:
    scene = Scene().ended()
    scene.judge.settled(scene.operators.wanted)
    assert not scene.judge.violations
    assert {scene.installation(ecu).state for ecu in (HEAD, BRAKE, CAMERA)} == {EcuState.RELEASED}
    assert all(len(scene.truth(ecu).reports) > 1 for ecu in (HEAD, BRAKE, CAMERA)), "reports were seen"
    assert scene.judge._vehicles[VEHICLE].transactions, "orders were seen"


@pytest.mark.parametrize("amount", [0, 1])
@pytest.mark.parametrize("where", ["v1.brake", "v1.camera", "v1.primary"])
def test_silent_on_an_update_that_is_rolled_back(where: str, amount: int) -> None:
    scene = Scene(plan((1_000, Fault.UNWELL, where), (2_000, Act.ASSIGN, "v1"), for_ms=60_000, amount=amount))
    scene.until(lambda: scene.judge._vehicles[VEHICLE].journal.rolled_back)
    scene.play(scene.clock.now_ns + 10**10)
    assert not scene.judge.violations
    assert "is assigned and not proven" in " ".join(scene.judge.unsettled({}))


@pytest.mark.parametrize(
    "act", [Act.ROTATE_DIRECTOR, Act.ROTATE_TIME, Act.ROTATE_IMAGE, Act.ROTATE_SUPPLIER, Act.RENEW]
)
def test_silent_when_keys_are_rotated(act: Act) -> None:
    scene = Scene(plan((1_000, Act.ASSIGN, "v1"), (12_000, act, "director"), (30_000, Act.ASSIGN, "v1")))
    scene.play(40 * 10**9)
    scene.ended()
    assert not scene.judge.violations


def test_silent_when_an_ecu_is_exchanged() -> None:
    scene = Scene(plan((1_000, Act.ASSIGN, "v1"), (3_000, Act.EXCHANGE, "v1.brake")))
    scene.play(20 * 10**9)
    scene.calm()
    scene.ended()
    assert not scene.judge.violations
    assert len(scene.judge._vehicles[VEHICLE].lives[BRAKE]) == 2


@pytest.mark.parametrize("count", range(0, 24, 2))
@pytest.mark.parametrize("where", ["v1.brake", "v1.primary"])
def test_silent_when_power_is_cut_in_the_middle_of_any_effect(where: str, count: int) -> None:
    scene = Scene(plan((1_500, Fault.CUT, where), (2_000, Act.ASSIGN, "v1"), count=count, amount=1, for_ms=100))
    scene.play(40 * 10**9)
    scene.calm()
    scene.ended()
    assert not scene.judge.violations


@pytest.mark.parametrize("name", ["installation", "report", "nonce", TARGETS, TIME])
def test_silent_when_storage_brings_back_an_older_copy(name: str) -> None:
    scene = Scene().ended()
    node = scene.secondary(BRAKE)
    node.records.damage(name)
    node.cut()
    node.power_up()
    scene.play(scene.clock.now_ns + 10**10)
    assert not scene.judge.violations
    assert name in scene.truth(BRAKE).lost


def test_what_a_cut_left_of_an_effect_is_judged_at_the_boot() -> None:
    scene = in_state(BRAKE, EcuState.TRIAL)
    node = scene.secondary(BRAKE)
    node.cut()
    node.records.save("installation", record.dump(replace(scene.installation(BRAKE), boots=2)))
    assert not scene.judge.violations
    node.power_up()
    assert scene.fired() == {Rule.STATES}


class Blind(Checkers):
    """Sees nothing."""

    def before(self, node: object) -> None:
        pass

    def after(self, node: object, effect: object) -> None:
        pass

    def booted(self, node: object) -> None:
        pass


def test_looking_changes_nothing() -> None:
    """The same seed writes the same trace with and without checkers, whatever storage does."""
    faults = [(at_ms, Fault.ROT, "v1.brake") for at_ms in (2_100, 2_600, 3_000)]
    faults += [(at_ms + 10, Fault.CUT, "v1.brake") for at_ms, _, _ in faults]
    scenes = [Scene(plan((2_000, Act.ASSIGN, "v1"), *faults, for_ms=50, count=3)) for _ in range(2)]
    scenes[0].checkers = Blind(lambda _vehicle: None)
    for scene in scenes:
        scene.play(20 * 10**9)
    assert scenes[0].trace.digest == scenes[1].trace.digest
    assert scenes[0].fuses.cuts
    assert scenes[1].truth(BRAKE).lost


# --------------------------------------------------------------------------------------------------- wrong histories


@pytest.mark.parametrize(
    ("rule", "history"),
    [pytest.param(rule, each, id=each.__name__) for rule, histories in WRONG.items() for each in histories],
)
def test_exactly_its_rule_fires(rule: Rule, history: Callable[[], Scene]) -> None:
    scene = history()
    assert scene.fired() == {rule}, [str(each) for each in scene.judge.violations]


def test_a_bundle_that_is_half_installed() -> None:
    """No ECU comes there without breaking another rule on the way; so the end is put together by hand."""
    scene = Scene().ended()
    vehicle, camera = scene.judge._vehicles[VEHICLE], scene.truth(CAMERA)
    attempt = camera.attempt
    assert not list(mixed(vehicle, attempt))
    camera.installation = replace(camera.installation, state=EcuState.IDLE, outcome=Outcome.ROLLED_BACK)
    assert [rule for rule, _ in mixed(vehicle, attempt)] == [Rule.ONE_BUNDLE]
    vehicle.transactions[attempt].decided.discard(CAMERA)
    assert [rule for rule, _ in mixed(vehicle, attempt)] == [Rule.ONE_BUNDLE]
    vehicle.transactions[attempt].spared.add(CAMERA)
    assert not list(mixed(vehicle, attempt))
    assert not list(mixed(VehicleTruth(VEHICLE), attempt)), "nothing is known of it"
    assert Transaction().decided == set()


def test_every_rule_has_a_history_that_breaks_it() -> None:
    elsewhere = {Rule.ONE_BUNDLE, Rule.RAISED}  # above; and what ends in an exception needs no checker
    assert WRONG.keys() | elsewhere == set(Rule)
    assert all(rule.text and rule.protects for rule in Rule)


def test_the_first_broken_rule_ends_a_run() -> None:
    scene = Scene().ended()
    scene.judge._halt = True
    with pytest.raises(Violated) as caught:
        scene.install(BRAKE, state=EcuState.IDLE)
    assert str(caught.value) == "STATES v1.brake released became idle"
    assert caught.value.violations == tuple(scene.judge.violations)
