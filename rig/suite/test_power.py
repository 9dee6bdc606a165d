"""Power cuts at moments that the dice draw, in every stage of an update: the old image or the new, never neither."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import pytest

from rig.power import Power
from rig.under_test import PowerCut, UnderTest
from rig.update import Stage
from uptane.errors import LinkFailure, Rejected
from uptane.link.uds_values import Session
from uptane.model.reports import EcuState, Outcome

BEYOND: Final = 1.2  # of a stage's time: cuts right behind its end are drawn, too
STAGES: Final = tuple(Stage)


def test_power_cut(ecu: UnderTest, power: Power, cut: int) -> None:
    """Cut in the middle of an update, given back, and updated again: nothing is lost but time."""
    assert power.there
    if not ecu.lasted_ms:
        ecu.install()  # how long each stage takes
    before = ecu.tester.report().image
    stage = STAGES[cut % len(STAGES)]
    delay_ms = int(ecu.dice.random() * BEYOND * ecu.lasted_ms[stage])
    update = ecu.update()

    def watch(begun: Stage) -> None:
        if begun is stage:
            ecu.journal.note("note", f"power goes {delay_ms} ms into {stage.value}")
            ecu.cut_after(delay_ms)

    update.watch = watch
    with suppress(PowerCut):
        update.run()
        ecu.bus.no_alarm()  # the update was faster than the dice thought
        ecu.cut()
    ecu.restore()
    report = ecu.tester.report()
    assert report.image.sha256 in {before.sha256, update.what.image.sha256}
    assert report.state in {EcuState.IDLE, EcuState.PREPARED, EcuState.TRIAL, EcuState.VOTED, EcuState.RELEASED}
    assert ecu.install().what.image.release_counter > update.what.image.release_counter


def test_power_cut_at_rest(ecu: UnderTest, power: Power) -> None:
    """Power goes while nothing happens: the same image runs, the same metadata are trusted."""
    before = ecu.standing()
    power.cycle()
    ecu.tester.reset()
    ecu.tester.awake()
    assert ecu.standing() == before
    assert not ecu.tester.status().time_attested


def test_a_download_goes_on_after_a_power_cut(ecu: UnderTest, power: Power) -> None:
    """What was downloaded before the cut is not downloaded again, as far as the ECU had it durable."""
    assert power.there
    if not ecu.lasted_ms:
        ecu.install()
    update = ecu.update()
    update.watch = lambda stage: ecu.cut_after(ecu.lasted_ms[stage] // 2) if stage is Stage.TRANSFER else None
    try:
        update.run()
    except PowerCut:
        reached = sum(moved.octets for moved in ecu.journal.moved)
        ecu.restore()
        held = ecu.tester.status().next_offset
        assert held <= reached + update.tester.blocks.size
        ecu.journal.note("note", f"{held} octets were durable")
    else:
        pytest.skip("the image was in the ECU before the power went")
    update.watch = lambda _stage: None
    assert update.run().image.sha256 == update.what.image.sha256


def test_an_image_cut_off_on_trial_is_left(ecu: UnderTest, power: Power) -> None:
    """A new image that loses its power before it has passed its self-test is not booted again."""
    assert power.there
    before = ecu.tester.report().image
    update = ecu.update(coordinated=True)
    update.prepare()
    update.activate()
    state = ecu.tester.status().state
    ecu.cut()
    ecu.restore()
    report = ecu.tester.report()
    if state is EcuState.TRIAL and report.state is EcuState.IDLE:
        assert (report.image, report.outcome) == (before, Outcome.ROLLED_BACK)
    else:  # it had voted when the power went
        assert report.image.sha256 == update.what.image.sha256


def test_the_interlock_forbids(ecu: UnderTest) -> None:
    """While the vehicle moves nothing is programmed, erased or restarted, and the ECU says why."""
    if not ecu.settings.interlock:
        pytest.skip("no interlock commands in the rig file")
    ecu.interlock("moving")
    with pytest.raises(LinkFailure, match="88"):
        ecu.tester.session(Session.PROGRAMMING)
    ecu.interlock("safe")
    with suppress(Rejected):
        ecu.tester.session(Session.PROGRAMMING)
    assert ecu.tester.nrc(b"\x31\x01\x02\x03") is None
