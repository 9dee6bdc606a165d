"""A workshop tester made of stock parts flashes a real marque-secondary, or is refused at each step where it tries."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import udsoncan

from tests.builders import BRAKE, HARDWARE, VEHICLE
from tests.peers.secondary_process import SecondaryProcess, firmware, image_of
from tests.peers.workshop import ATTESTATION_AT, TARGETS_AT, Workshop, authorise, plugged_in
from uptane.errors import Check
from uptane.model.reports import EcuState, Outcome

pytestmark = [pytest.mark.peer, pytest.mark.process]


@pytest.fixture(params=[True, False], ids=["fd", "classic"])
def ecu(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecondaryProcess]:
    process = SecondaryProcess(tmp_path / "brake", fd=request.param).start()
    try:
        yield process
    finally:
        assert process.stop() == 0, "\n".join(process.lines)


def test_a_workshop_flashes_an_ecu(ecu: SecondaryProcess) -> None:
    octets = firmware()
    authorise(ecu, octets)
    with plugged_in(ecu) as tester:
        assert tester.read(0xF190) == VEHICLE.encode()
        tester.hand_over(ecu)
        tester.client.change_session(2)
        tester.client.start_routine(0x0203)
        tester.client.control_dtc_setting(2)
        tester.client.communication_control(3, 1)
        tester.client.start_routine(0xFF00)
        begin = time.monotonic()
        tester.deliver(0, octets)
        seconds = time.monotonic() - begin
        tester.check(0)
        tester.client.start_routine(0xFF01)
        tester.client.ecu_reset(1)
        report = tester.released(ecu)
    assert report.image.sha256 == image_of(octets, 2).sha256
    assert (report.state, report.outcome) == (EcuState.RELEASED, Outcome.INSTALLED)
    assert (report.hardware, report.released_counter, report.refusals) == (HARDWARE[BRAKE], 2, ())
    status = ecu.status()
    assert (status["state"], status["slot"], status["image"]) == ("released", 1, "brakes/app-2")
    rate = len(octets) / seconds / 1e3
    print(f"{len(octets)} octets in {seconds:.2f} s, {rate:.0f} kB/s; {ecu.rss_kb()} kB resident")


def test_without_authorised_metadata_every_step_is_refused(tmp_path: Path) -> None:
    ecu = SecondaryProcess(tmp_path / "brake").start()
    octets = firmware()
    try:
        with plugged_in(ecu) as tester:
            where = udsoncan.MemoryLocation(0, len(octets), address_format=32, memorysize_format=32)
            for method, argument in (("start_routine", 0xFF00), ("request_download", where), ("ecu_reset", 1)):
                assert tester.refused(method, argument) == 0x7F
            ecu.interlock("moving")
            assert tester.refused("change_session", 2) == 0x88
            ecu.interlock("unsafe")
            assert tester.refused("change_session", 2) == 0x22
            ecu.interlock("safe")
            forge(tester, ecu, octets)
            tester.client.change_session(2)
            steps: list[tuple[str, tuple[Any, ...], int]] = [
                ("start_routine", (0xFF00,), 0x22),
                ("request_download", (where,), 0x22),
                ("transfer_data", (1, octets[:1_000]), 0x24),
                ("request_transfer_exit", (), 0x24),
                ("start_routine", (0x0202, b"\x00"), 0x22),
                ("start_routine", (0xFF01,), 0x22),
            ]
            for method, arguments, code in steps:
                assert tester.refused(method, *arguments) == code, method
            assert tester.refusal() is Check.INSTALL_STATE
            tester.client.ecu_reset(1)
            assert tester.report(ecu).image.filename == "brakes/app-1"
    finally:
        assert ecu.stop() == 0
    assert ecu.status()["state"] == "idle"


def forge(tester: Workshop, ecu: SecondaryProcess, octets: bytes) -> None:
    """Targets that a thief without the Director's key makes are refused, and so is a time of his own."""
    authorise(ecu, octets)
    tester.client.change_session(3)
    director = ecu.pair.director
    forged = bytearray(director.offered[f"{director.versions['targets']}.targets"])
    forged[-1] ^= 1
    tester.deliver(TARGETS_AT, bytes(forged))
    assert tester.refused("start_routine", 0x0202, b"\xf3") == 0x72
    assert tester.refusal() is Check.TARGETS_SIGNATURES
    tester.deliver(ATTESTATION_AT, ecu.pair.attestation(nonce=bytes(16)))
    assert tester.refused("start_routine", 0x0202, b"\xfa") == 0x72
    assert tester.refusal() is Check.TIME_NONCE
