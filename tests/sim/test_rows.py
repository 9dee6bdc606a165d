"""Histories that are hard to draw by chance, each written out: what is withheld, replayed, split, forged or lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from director.inventory import EcuRecord
from primary.journal import Stage, load
from primary.needs import Poll, Polled
from primary.state import TRANSACTION
from sim.plan import Act, Fault
from sim.run import run
from tests.sim.scene import BRAKE, CAMERA, HEAD, OTHER, VEHICLE, Scene, plan
from uptane.errors import Check
from uptane.link.can_frame import CanFrame, address_of
from uptane.model.ids import EcuId
from uptane.model.reports import EcuState

BRAKE_ADDRESS, CAMERA_ADDRESS = 0x21, 0x22


def record(scene: Scene, ecu: EcuId) -> EcuRecord:
    return next(each for each in scene.recorded.ecus if each.ecu.id == ecu)


def stage(scene: Scene) -> Stage | None:
    octets = scene.primary.records.load(TRANSACTION)
    journal = None if octets is None else load(octets).journal
    return None if journal is None else journal.stage


def file_of(scene: Scene, name: str) -> bytes:
    octets = scene.primary.records.load(f"metadata/director/{name}")
    assert octets is not None
    return octets


@pytest.mark.parametrize("late", [False, True])
def test_a_report_of_a_trial_that_is_withheld_and_sent_after_the_rollback_proves_nothing(late: bool) -> None:
    """Somebody keeps the manifest in which ECUs run the new image, and sends it when the vehicle has gone back.

    It is sent before the Director has heard of the rollback, and `late`, after that.
    """
    scene = Scene()
    kept: list[Poll] = []
    ask = scene.ask

    def withhold(caller: Any, need: Any, answered: Any) -> None:
        if isinstance(need, Poll) and need.manifest and scene.installation(BRAKE).state is EcuState.VOTED:
            kept.append(need)
        else:
            ask(caller, need, answered)

    scene.ask = withhold  # type: ignore[method-assign]
    scene.until(lambda: kept)
    scene.ask = ask  # type: ignore[method-assign]
    for node in scene.nodes():
        node.cut()
        node.power_up()
    polls = scene.network.calls
    scene.until(lambda: stage(scene) is None and scene.installation(BRAKE).state is EcuState.IDLE)
    if late:
        scene.until(lambda: scene.network.calls > polls + 3 and scene.recorded.admission is not None)
    answer = scene.servers.director.poll(VEHICLE, kept[-1])
    if late:
        assert {refused.check for refused in answer.refused} == {Check.MANIFEST_COUNTER.code}
    for ecu in (HEAD, BRAKE, CAMERA):
        assigned = record(scene, ecu).assigned
        assert assigned is None or not assigned.proven
    assert scene.fired() == set()


def test_the_timestamp_of_another_vehicle_is_refused_by_name() -> None:
    scene = Scene(plan((2_000, Act.ASSIGN, "v1"), (2_500, Act.ASSIGN, "v2"), vehicles=2))
    other: dict[str, bytes] = {}
    swapped = 0

    def swap(_server: str, need: Any, answer: object) -> object:
        nonlocal swapped
        if not isinstance(answer, Polled) or "timestamp" not in answer.files:
            return answer
        issued = scene.servers.director.records.vehicles[OTHER].issued
        assert issued is not None
        foreign = issued.timestamp
        if foreign == answer.files["timestamp"]:
            return answer
        swapped += 1
        return replace(answer, files=answer.files | {"timestamp": foreign})

    scene.network.tamper = swap
    timestamp = file_of(scene, "timestamp")
    scene.until(lambda: swapped >= 2)
    scene.until(lambda: Check.SPEAKER.code in _refusals(scene), limit_s=60)
    assert file_of(scene, "timestamp") == timestamp, "trusted state is unmoved"
    scene.network.tamper = None
    other.clear()
    assert scene.ended().fired() == set()


def _refusals(scene: Scene) -> set[int]:
    reported = record(scene, HEAD).reported
    return set() if reported is None else {refusal.check for refusal in reported.report.refusals}


@pytest.mark.parametrize("deaf", [BRAKE_ADDRESS, CAMERA_ADDRESS])
def test_a_commit_that_is_lost_to_one_ecu_is_told_again_until_all_have_it(deaf: int) -> None:
    scene = Scene()
    scene.until(lambda: stage(scene) is Stage.COMMITTING)
    decided_ns = scene.clock.now_ns

    def lose(_sender: str, frame: CanFrame) -> CanFrame | None:
        address = address_of(frame.can_id)
        return None if address is not None and address.target == deaf else frame

    for bus in scene.vehicles["v1"].buses.values():
        bus.filter = lose
    scene.until(lambda: scene.clock.now_ns > decided_ns + 40_000_000_000)
    assert stage(scene) in {Stage.COMMITTING, Stage.RELEASING}
    states = {scene.installation(ecu).state for ecu in (BRAKE, CAMERA)}
    assert EcuState.VOTED in states, "one has not heard it"
    assert EcuState.RELEASED not in states, "nobody is released before all have committed"
    for bus in scene.vehicles["v1"].buses.values():
        bus.filter = None
    assert scene.ended().fired() == set()


def test_orders_that_reach_only_some_ecus_and_a_dead_primary_leave_no_mixed_bundle() -> None:
    """Split orders: the Primary loses power for good right after the first ECU was told to commit."""
    scene = Scene()
    scene.until(lambda: EcuState.COMMITTED in {scene.installation(ecu).state for ecu in (BRAKE, CAMERA)})
    for node in scene.nodes():
        node.cut()
        node.power_up()
    assert scene.ended().fired() == set()
    assert {scene.installation(ecu).image.release_counter for ecu in (HEAD, BRAKE, CAMERA)} == {2}


def test_orders_of_an_earlier_transaction_are_refused_in_the_next() -> None:
    """Everything that was ever said on the buses is said again while the next update is under way."""
    outcome = run(
        plan(
            (2_000, Act.ASSIGN, "v1"),
            (1_000, Fault.INTRUDER, "v1.bus.classic"),
            (1_000, Fault.INTRUDER, "v1.bus.fast"),
            (25_000, Act.ASSIGN, "v1"),
            for_ms=45_000,
        )
    )
    assert outcome.violations == ()
    assert outcome.updates >= 1


@pytest.mark.parametrize("where", ["v1.primary", "v1.brake", "v1.camera"])
@pytest.mark.parametrize("torn", [0, 1])
def test_power_fails_at_any_durable_effect_of_an_update(where: str, torn: int) -> None:
    """A cut at each so manieth durable effect, in its middle or before it, and again until none is left."""
    hit = 0
    for count in range(0, 400, 3):
        outcome = run(plan((2_000, Act.ASSIGN, "v1"), (2_001, Fault.CUT, where), count=count, amount=torn, for_ms=300))
        assert outcome.violations == (), count
        if not outcome.cuts:
            break
        hit += 1
    assert hit >= 6, "an update has more durable effects than that"
