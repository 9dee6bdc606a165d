"""Frames that are lost, on the rig's side and at random: a block is repeated, the update succeeds."""

from __future__ import annotations

from typing import Final

from rig.session import Rig
from rig.under_test import UnderTest
from uptane.link.uds_values import Session

DATA_OCTETS: Final = {False: 7, True: 62}  # of one frame of a long message
LOSSES_MAX: Final = 0.05  # of all frames: beyond that no bus is usable
METADATA_OCTETS: Final = 1_000  # on the bus for one ECU, answers with them


def test_metadata_under_loss(ecu: UnderTest, rig: Rig) -> None:
    """Frames are lost while metadata are delivered; all of them are verified in the end."""
    update = ecu.update()
    with ecu.bus.lossy(_probability(ecu, rig, METADATA_OCTETS), ecu.dice):
        update.metadata()
    assert ecu.tester.status().targets_version == update.version
    assert ecu.tester.status().time_attested


def test_transfer_under_loss(ecu: UnderTest, rig: Rig) -> None:
    """Frames are lost while an image is transferred; what is installed is whole all the same."""
    update = ecu.update()
    update.metadata()
    ecu.tester.session(Session.PROGRAMMING)
    with ecu.bus.lossy(_probability(ecu, rig, len(update.what.octets)), ecu.dice):
        update.image()
    update.activate()
    report = update.released()
    assert report.image.sha256 == update.what.image.sha256


def _probability(ecu: UnderTest, rig: Rig, octets: int) -> float:
    """Such that about as many frames are lost as the rig file says."""
    return min(LOSSES_MAX, rig.settings.losses * DATA_OCTETS[ecu.bus.settings.fd] / octets)
