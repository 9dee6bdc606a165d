"""The C firmware on the emulated board, driven by stock workshop tools: flashed, attacked, and its power cut.

What our Primary does with it is in test_board_fleet.py.
"""

import contextlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import udsoncan
from udsoncan.exceptions import NegativeResponseException, TimeoutException

from demo.board import emulated
from firmware.tools import builds
from tests.builders import BRAKE, HARDWARE, VEHICLE
from tests.peers.secondary_process import image_of
from tests.peers.workshop import ATTESTATION_AT, TARGETS_AT, Workshop, authorise, plugged_in
from tests.system.board_process import BoardProcess
from tests.system.builds import build
from tests.system.fleet import wait_for
from uptane.errors import Check
from uptane.model.reports import EcuReport, EcuState, Outcome

pytestmark = [pytest.mark.peer, pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def ecu(tmp_path: Path) -> Iterator[BoardProcess]:
    process = BoardProcess(tmp_path / "brake", fd=False)
    yield process
    process.stop()


def flash(tester: Workshop, ecu: BoardProcess, octets: bytes) -> None:
    """What a workshop's program does, from where a former attempt has left the ECU."""
    tester.hand_over(ecu)
    tester.client.change_session(2)
    tester.client.start_routine(0x0203)
    status = tester.status()
    if status.next_offset == 0:
        tester.client.start_routine(0xFF00)
    if status.next_offset < len(octets):
        tester.deliver(status.next_offset, octets[status.next_offset :])
    tester.check(0)
    tester.client.start_routine(0xFF01)
    tester.client.ecu_reset(1)


# ----------------------------------------------------------------------------------------------------- updates


@pytest.mark.parametrize("fd", [False, True], ids=["classic", "fd"])
def test_a_workshop_flashes_the_board(tmp_path: Path, fd: bool) -> None:
    """From one real build of the firmware to the next, by stock tools; a signed report is the proof."""
    ecu = BoardProcess(tmp_path / "brake", fd=fd).start()
    octets = build(emulated(), 2)
    authorise(ecu, octets)
    try:
        with plugged_in(ecu) as tester:
            assert tester.read(0xF190) == VEHICLE.encode()
            before = tester.report(ecu)
            assert (before.image.sha256, before.state) == (image_of(ecu.factory_octets, 1).sha256, EcuState.IDLE)
            flash(tester, ecu, octets)
            report = tester.released(ecu)
    finally:
        assert ecu.stop() == 0, "\n".join(ecu.lines)
    assert_new(report, octets)
    assert ecu.slot(0)[: len(ecu.factory_octets)] == ecu.factory_octets
    assert ecu.slot(1)[: len(octets)] == octets
    versions = emulated().versions
    running = [line for line in ecu.lines if " runs: " in line]
    assert running[0].endswith(versions[0])
    assert running[-1].endswith(versions[1])


def assert_new(report: EcuReport, octets: bytes, counter: int = 2) -> None:
    assert report.image.sha256 == image_of(octets, counter).sha256
    assert (report.state, report.outcome) == (EcuState.RELEASED, Outcome.INSTALLED)
    assert (report.hardware, report.released_counter) == (HARDWARE[BRAKE], counter)


@pytest.mark.parametrize(
    ("path", "outcome", "check"),
    [
        (builds.FAILS, Outcome.SELF_TEST_FAILED, Check.INSTALL_SELF_TEST),
        (builds.HANGS, Outcome.ROLLED_BACK, None),
    ],
    ids=["fails", "hangs"],
)
def test_a_build_that_does_not_work(ecu: BoardProcess, path: Path, outcome: Outcome, check: Check | None) -> None:
    """One says that it is broken, the watchdog ends the one that hangs: the old one runs again, and tells why."""
    octets = path.read_bytes()
    authorise(ecu, octets)
    ecu.start()
    with plugged_in(ecu) as tester:
        flash(tester, ecu, octets)
        report = wait_for(lambda: _back(tester, ecu), "the old image runs again", seconds=120)
        assert (report.state, report.outcome) == (EcuState.IDLE, outcome)
        assert report.image.sha256 == image_of(ecu.factory_octets, 1).sha256
        assert check is None or check.code in {refusal.check for refusal in report.refusals}
        tester.hand_over(ecu)
        tester.client.change_session(2)
        assert tester.refused("start_routine", 0xFF00) == 0x72, "this bundle is over"
        assert tester.refusal() is Check.INSTALL_RETRIED


def _back(tester: Workshop, ecu: BoardProcess) -> EcuReport | None:
    """The report, once the factory's image has lived through an attempt."""
    try:
        report = tester.report(ecu)
    except TimeoutException:
        return None
    back = report.image.sha256 == image_of(ecu.factory_octets, 1).sha256
    return report if back and report.outcome is not Outcome.NONE else None


# ----------------------------------------------------------------------------------------------------- attacks


def test_without_authorised_metadata_every_step_is_refused(ecu: BoardProcess) -> None:
    ecu.start()
    octets = build(emulated(), 2)
    with plugged_in(ecu) as tester:
        where = udsoncan.MemoryLocation(0, len(octets), address_format=32, memorysize_format=32)
        for method, argument in (("start_routine", 0xFF00), ("request_download", where), ("ecu_reset", 1)):
            assert tester.refused(method, argument) == 0x7F
        for word, code in (("moving", 0x88), ("unsafe", 0x22), ("nonsense", 0x22)):
            ecu.interlock(word)
            assert tester.refused("change_session", 2) == code
        assert tester.refusal() is Check.LINK_INTERLOCK
        ecu.interlock("safe")
        tester.client.change_session(2)
        steps: list[tuple[str, tuple[Any, ...], int]] = [
            ("start_routine", (0xFF00,), 0x22),
            ("request_download", (where,), 0x70),  # a board leaves the factory without Targets
            ("transfer_data", (1, octets[:500]), 0x24),
            ("request_transfer_exit", (), 0x24),
            ("start_routine", (0x0202, b"\x00"), 0x22),
            ("start_routine", (0xFF01,), 0x22),
        ]
        for method, arguments, code in steps:
            assert tester.refused(method, *arguments) == code, method
        assert tester.refusal() is Check.INSTALL_STATE
        tester.client.ecu_reset(1)
        assert tester.report(ecu).image.sha256 == image_of(ecu.factory_octets, 1).sha256


def _forged(targets: bytes) -> bytes:
    return targets[:-1] + bytes((targets[-1] ^ 1,))


def _cut(targets: bytes) -> bytes:
    return targets[:-1]


def _longer(targets: bytes) -> bytes:
    return targets + b"\0"


@pytest.mark.parametrize(
    ("attack", "check"),
    [(_forged, Check.TARGETS_SIGNATURES), (_cut, Check.ENCODING), (_longer, Check.ENCODING)],
    ids=["forged", "cut", "longer"],
)
def test_bad_targets(ecu: BoardProcess, attack: Any, check: Check) -> None:
    ecu.start()
    authorise(ecu, build(emulated(), 2))
    director = ecu.pair.director
    with plugged_in(ecu) as tester:
        tester.client.change_session(3)
        tester.deliver(0xF000_0000, director.offered[f"{director.versions['root']}.root"])
        tester.check(0xF0)
        tester.deliver(TARGETS_AT, attack(director.offered[f"{director.versions['targets']}.targets"]))
        assert tester.refused("start_routine", 0x0202, b"\xf3") == 0x72
        assert tester.refusal() is check
        assert check.code in {refusal.check for refusal in tester.report(ecu).refusals}


def test_a_time_for_another_nonce_and_replayed_targets(ecu: BoardProcess) -> None:
    ecu.start()
    octets = build(emulated(), 2)
    authorise(ecu, octets)
    director = ecu.pair.director
    old = director.offered[f"{director.versions['targets']}.targets"]
    director.issue()
    with plugged_in(ecu) as tester:
        tester.hand_over(ecu)
        tester.deliver(ATTESTATION_AT, ecu.pair.attestation(nonce=bytes(16)))
        assert tester.refused("start_routine", 0x0202, b"\xfa") == 0x72
        assert tester.refusal() is Check.TIME_NONCE
        tester.deliver(TARGETS_AT, old)
        assert tester.refused("start_routine", 0x0202, b"\xf3") == 0x72
        assert tester.refusal() is Check.TARGETS_VERSION
        flash(tester, ecu, octets)
        assert_new(tester.released(ecu), octets)


def test_another_image_than_the_assigned_one(ecu: BoardProcess) -> None:
    """The octets travel whole, and are refused whole; the old image still runs, and the right one is taken then."""
    ecu.start()
    octets = build(emulated(), 2)
    authorise(ecu, octets)
    swapped = build(emulated(), 3)[: len(octets)]
    with plugged_in(ecu) as tester:
        tester.hand_over(ecu)
        tester.client.change_session(2)
        tester.client.start_routine(0xFF00)
        tester.deliver(0, swapped)
        assert tester.refused("start_routine", 0x0202, b"\x00") == 0x72
        assert tester.refusal() is Check.INSTALL_HASH
        assert tester.report(ecu).image.sha256 == image_of(ecu.factory_octets, 1).sha256
        flash(tester, ecu, octets)
        assert_new(tester.released(ecu), octets)


# -------------------------------------------------------------------------------------------------- power cuts


class PowerIsOut(Exception):
    """The board's power was cut."""


CUTS = {  # what begins with a request that begins so; how many of them pass before; milliseconds from it to the cut
    "erasing": (b"\x31\x01\xff\x00", range(1), 20),
    "an early block": (b"\x36", range(5, 20), 20),
    "a late block": (b"\x36", range(20, 75), 20),
    "the end of the image": (b"\x37", range(3, 4), 20),  # behind those of Root, time and Targets
    "hashing": (b"\x31\x01\x02\x02\x00", range(1), 30),
    "restarting": (b"\x11\x01", range(1), 50),
    "on trial": (b"\x11\x01", range(1), 1_000),
}


class Fuse:
    """Cuts the power of a board a seeded moment after a seeded request has begun."""

    def __init__(self, ecu: BoardProcess, tester: Workshop, name: str) -> None:
        self._begins, before, delay_ms = CUTS[name]
        dice = random.Random(name)
        self._left = 1 + dice.choice(before)
        self._delay_s = dice.randrange(delay_ms) / 1_000
        self._ecu = ecu
        self._send = tester.client.send_request
        tester.client.send_request = self._counted

    def _counted(self, request: Any, *words: Any, **options: Any) -> Any:
        self._left -= request.get_payload().startswith(self._begins)
        if self._left:
            return self._send(request, *words, **options)
        cut = threading.Timer(self._delay_s, self._ecu.kill)
        cut.start()
        with contextlib.suppress(TimeoutException, NegativeResponseException):
            self._send(request, timeout=1)
        cut.join()
        raise PowerIsOut


@pytest.mark.parametrize("moment", CUTS)
def test_power_cut(ecu: BoardProcess, moment: str) -> None:
    """Old image or new, both bootable; the next attempt goes on from there and ends in the new one."""
    octets = build(emulated(), 2)
    authorise(ecu, octets)
    ecu.start()
    with plugged_in(ecu) as tester:
        Fuse(ecu, tester, moment)
        with pytest.raises(PowerIsOut):
            flash(tester, ecu, octets)
    old, new = image_of(ecu.factory_octets, 1).sha256, image_of(octets, 2).sha256
    ecu.start()
    with plugged_in(ecu) as tester:
        report = tester.report(ecu)
        print(f"{moment}: {report.state.value}, {report.outcome.value}, {tester.status().next_offset} octets")
        assert report.image.sha256 in {old, new}
        if report.outcome is Outcome.ROLLED_BACK:  # cut on trial: this bundle is over, the Director assigns another
            octets = build(emulated(), 3)
            authorise(ecu, octets)
            tester.hand_over(ecu)
            tester.client.change_session(2)
            tester.client.start_routine(0xFF00)
        if report.image.sha256 != image_of(octets, 2).sha256:
            flash(tester, ecu, octets)
        assert_new(tester.released(ecu), octets)
