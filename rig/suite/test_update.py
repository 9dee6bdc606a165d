"""Updates that have to succeed, and those that have to be taken back."""

from __future__ import annotations

import pytest

from rig import images
from rig.under_test import UnderTest
from rig.update import Stage, wait_for
from uptane.link.uds_values import Did
from uptane.model.reports import EcuState, Outcome, Phase


def test_who_it_is(ecu: UnderTest) -> None:
    """Vehicle, ECU and hardware are those of the rig file, in the DIDs and in the signed report."""
    report = ecu.tester.report()
    read = [ecu.tester.read(did).decode("ascii") for did in (Did.VEHICLE, Did.ECU, Did.HARDWARE)]
    assert read == [ecu.backend.vehicle, ecu.settings.ecu, ecu.settings.hardware]
    assert [report.vehicle, report.ecu, report.hardware] == read


def test_update(ecu: UnderTest) -> None:
    """A whole update as a workshop does it: the new image runs, is released, and the signed report says so."""
    before = ecu.tester.status().running_slot
    update = ecu.install()
    report = ecu.tester.report()
    assert (report.state, report.outcome) == (EcuState.RELEASED, Outcome.INSTALLED)
    assert report.released_counter == update.what.image.release_counter
    assert report.targets_version == update.version
    assert ecu.tester.status().running_slot == 1 - before


def test_update_by_orders(ecu: UnderTest) -> None:
    """A whole update as part of a vehicle transaction: activated, committed and released by signed orders."""
    update = ecu.update(coordinated=True)
    report = update.run()
    assert report.image.sha256 == update.what.image.sha256
    assert (report.state, report.outcome) == (EcuState.RELEASED, Outcome.INSTALLED)


def test_it_votes_and_waits(ecu: UnderTest) -> None:
    """After its self-test the ECU waits for the coordinator; an order to roll back brings the old image back."""
    before = ecu.tester.report().image
    update = ecu.update(coordinated=True)
    update.prepare()
    update.activate()
    voted = update.follow(EcuState.VOTED)
    assert voted.image.sha256 == update.what.image.sha256
    update.order(Phase.ROLL_BACK)
    ecu.tester.leave()
    ecu.restart()
    report = wait_for(ecu.tester, EcuState.IDLE)
    assert (report.image, report.outcome) == (before, Outcome.ROLLED_BACK)


def test_a_prepared_image_is_given_up(ecu: UnderTest) -> None:
    """Newer Targets with another bundle cancel what was prepared; the old image runs on through a restart."""
    before = ecu.tester.report().image
    update = ecu.update(coordinated=True)
    update.prepare()
    assert ecu.tester.status().state is EcuState.PREPARED
    ecu.update().metadata()
    assert ecu.tester.status().state in {EcuState.IDLE, EcuState.RELEASED}
    ecu.restart()
    assert ecu.tester.report().image == before


def test_a_new_root(ecu: UnderTest) -> None:
    """The next Root is taken, kept through a restart, and an update under it succeeds."""
    ecu.backend.new_root()
    ecu.ready()
    held = ecu.tester.status().director_root
    assert held == ecu.backend.latest_root()
    ecu.restart()
    assert ecu.tester.status().director_root == held
    ecu.install()


@pytest.mark.parametrize("kind", ["failing", "hanging"])
def test_an_image_that_does_not_work(ecu: UnderTest, kind: str) -> None:
    """An image that fails its self-test, or never says a word, is left for the old one, and the report says why."""
    path = ecu.settings.images.failing if kind == "failing" else ecu.settings.images.hanging
    if path is None:
        pytest.skip(f"no {kind} image in the rig file")
    before = ecu.tester.report().image
    update = ecu.update(ecu.image(images.read(path, ecu.settings.slot_size)))
    update.prepare()
    update.activate()
    with update.stage(Stage.SELF_TEST):
        report = wait_for(ecu.tester, EcuState.IDLE)
        if report.image != before:  # it goes back at its next restart, by itself or when asked
            ecu.tester.leave()
            ecu.restart()
            report = wait_for(ecu.tester, EcuState.IDLE)
    assert report.image == before
    assert report.outcome in {Outcome.SELF_TEST_FAILED, Outcome.UNBOOTABLE, Outcome.ROLLED_BACK}
    ecu.install()
