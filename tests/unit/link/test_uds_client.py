"""The UDS client against our own server, over ISO-TP, under virtual time and loss."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import pytest

from tests.unit.link.uds_bench import ECU, TARGETS, Bench, FakeEcu
from uptane.errors import Check, LinkFailure, Rejected
from uptane.link import uds_client, uds_transfer
from uptane.link.can_frame import CanFrame
from uptane.link.isotp_values import IsoTpSettings
from uptane.link.uds_objects import CheckOption, Object, Place
from uptane.link.uds_tasks import BeginImage, BeginObject, Erase, Interlock, Verify
from uptane.link.uds_transfer import BLOCK_MIN, GROW_AFTER, Blocks, deliver, from_octets, send_image
from uptane.link.uds_values import Nrc, Session
from uptane.machine import Workflow
from uptane.model.reports import EcuState

FD = IsoTpSettings(data_length=64, fd=True, brs=True)
Steps: TypeAlias = Workflow[uds_client.Need, None]
IMAGE = hashlib.shake_128(b"image").digest(20_000)


def flash(image: bytes, blocks: Blocks | None = None) -> Steps:
    yield from uds_client.open_session(ECU, Session.PROGRAMMING)
    yield from send_image(ECU, len(image), from_octets(image), blocks or Blocks())
    yield from uds_client.check(ECU, CheckOption.IMAGE, lambda status: status.state is EcuState.PREPARED)


def test_an_image_arrives_in_blocks_of_the_largest_size() -> None:
    ecu = FakeEcu()
    Bench(ecu).run(flash(IMAGE))
    assert bytes(ecu.slot) == IMAGE
    assert ecu.writes == -(-len(IMAGE) // 4093)
    assert ecu.state is EcuState.PREPARED


@pytest.mark.parametrize("settings", [IsoTpSettings(), FD], ids=["classic", "fd"])
@pytest.mark.parametrize("seed", range(3))
def test_one_frame_in_a_hundred_lost_loses_blocks_not_the_transfer(settings: IsoTpSettings, seed: int) -> None:
    ecu = FakeEcu()
    bench = Bench(ecu, loss=0.01, seed=seed, settings=settings)
    bench.run(flash(IMAGE))
    assert bytes(ecu.slot) == IMAGE
    # 20,000 octets: if a loss cost more than a block, the whole would be sent again and again.
    assert bench.frames < 4 * len(IMAGE) // (settings.data_length - 1) + 2_000


def test_a_transfer_resumes_where_the_ecu_stands() -> None:
    ecu = FakeEcu(slot=bytearray(IMAGE[:12_345]))
    Bench(ecu).run(flash(IMAGE))
    assert bytes(ecu.slot) == IMAGE
    assert ecu.writes == -(-(len(IMAGE) - 12_345) // 4093)


def test_a_lost_acknowledgement_writes_nothing_twice() -> None:
    ecu = FakeEcu()
    bench = Bench(ecu)
    lost: list[CanFrame] = []

    def second_acknowledgement(frame: CanFrame) -> bool:
        hit = frame.data[1:3] == bytes((0x76, 2)) and not lost
        lost.extend([frame] * hit)
        return hit

    bench.lose = second_acknowledgement
    bench.run(flash(IMAGE))
    assert lost
    assert bytes(ecu.slot) == IMAGE


def test_a_lost_acknowledgement_of_a_short_block_is_repeated_with_its_counter() -> None:
    ecu = FakeEcu()
    bench = Bench(ecu)
    blocks = Blocks()
    while not blocks.short:
        blocks.lost()
    lost: list[CanFrame] = []

    def third(frame: CanFrame) -> bool:
        hit = frame.data[1:3] == bytes((0x76, 3)) and not lost
        lost.extend([frame] * hit)
        return hit

    bench.lose = third
    bench.run(flash(IMAGE[:1_000], blocks))
    assert lost
    assert bytes(ecu.slot) == IMAGE[:1_000]
    assert ecu.writes == -(-1_000 // blocks.size)


def test_blocks_halve_on_loss_and_grow_again() -> None:
    blocks = Blocks()
    assert blocks.size == 4_093
    for _ in range(20):
        blocks.lost()
    assert blocks.size == BLOCK_MIN
    for _ in range(GROW_AFTER):
        blocks.arrived()
    assert blocks.size == 2 * BLOCK_MIN
    for _ in range(20 * GROW_AFTER):
        blocks.arrived()
    assert blocks.size == 4_093


def test_blocks_never_exceed_what_the_server_offers() -> None:
    blocks = Blocks()
    blocks.offered(66)
    assert blocks.size == 64
    for _ in range(5):
        blocks.lost()
    assert blocks.size == 64


@pytest.mark.parametrize("seed", range(8))
def test_an_object_is_delivered_whole_however_lossy_the_bus(seed: int) -> None:
    ecu = FakeEcu()
    octets = IMAGE[:6_000]
    Bench(ecu, loss=0.01, seed=seed).run(_delivered(octets))
    assert ecu.objects[TARGETS] == octets


def _delivered(octets: bytes) -> Steps:
    yield from uds_client.open_session(ECU, Session.EXTENDED)
    yield from deliver(ECU, Place(Object.DIRECTOR_TARGETS), octets, Blocks())


def test_a_silent_ecu_is_given_up_in_bounded_time() -> None:
    bench = Bench(FakeEcu())
    bench.lose = lambda _frame: True
    with pytest.raises(uds_client.Silent):
        bench.run(uds_client.read_status(ECU))
    assert bench.now < 10_000


def test_pending_is_waited_for() -> None:
    ecu = FakeEcu(slow=12_000)
    bench = Bench(ecu)

    bench.run(_erase())
    assert ecu.erases == 1
    assert bench.now > 12_000


def test_an_erase_whose_answer_is_lost_is_not_asked_again() -> None:
    ecu = FakeEcu()
    bench = Bench(ecu)
    bench.lose = lambda frame: frame.data[1:2] == b"\x71"

    bench.run(_erase())
    assert ecu.erases == 1


def test_a_restart_whose_answer_is_lost_is_not_asked_again() -> None:
    ecu = FakeEcu()
    bench = Bench(ecu)
    bench.lose = lambda frame: frame.data[1:2] == b"\x51"

    def restart() -> Steps:
        yield from uds_client.open_session(ECU, Session.PROGRAMMING)
        yield from uds_client.restart(ECU)

    bench.run(restart())
    assert ecu.restarts == 1


def test_what_a_check_refused_is_named() -> None:
    ecu = FakeEcu(refuse={Verify: (Nrc.PROGRAMMING, Check.TARGETS_SIGNATURES.code)})

    def targets() -> Steps:
        yield from _delivered(b"x" * 100)
        yield from uds_client.check(ECU, CheckOption.DIRECTOR_TARGETS, lambda _: False)

    with pytest.raises(Rejected) as refused:
        Bench(ecu).run(targets())
    assert refused.value.check is Check.TARGETS_SIGNATURES


def test_a_lost_answer_to_a_check_is_settled_by_the_status() -> None:
    bench = Bench(FakeEcu())
    lost: list[int] = []

    def once(frame: CanFrame) -> bool:
        hit = frame.data[1:2] == b"\x71" and not lost
        lost.extend([1] * hit)
        return hit

    def image(accepted: bool) -> Steps:
        yield from uds_client.open_session(ECU, Session.PROGRAMMING)
        yield from uds_client.check(ECU, CheckOption.ORDER, lambda _: accepted)

    bench.lose = once
    bench.run(image(accepted=True))
    assert lost
    lost.clear()
    with pytest.raises(LinkFailure):
        bench.run(image(accepted=False))


def test_an_unsafe_interlock_is_told_apart() -> None:
    ecu = FakeEcu(interlock=Interlock.UNSAFE, refusal=Check.LINK_INTERLOCK.code)
    with pytest.raises(uds_client.Unsafe):
        Bench(ecu).run(flash(IMAGE))
    assert not ecu.slot
    ecu = FakeEcu(interlock=Interlock.MOVING)
    with pytest.raises(uds_client.Unsafe):
        Bench(ecu).run(flash(IMAGE))
    assert not (Bench(ecu).run(uds_client.preconditions(ECU)))


def test_a_denied_download_names_the_check() -> None:
    ecu = FakeEcu(refuse={BeginImage: (Nrc.DOWNLOAD, Check.LINK_UNVERIFIED.code), Erase: (Nrc.CONDITIONS, 0)})
    with pytest.raises(Rejected) as refused:
        Bench(ecu).run(flash(IMAGE))
    assert refused.value.check is Check.LINK_UNVERIFIED
    with pytest.raises(uds_client.Denied):
        Bench(ecu).run(_erase())


def _erase() -> Steps:
    yield from uds_client.open_session(ECU, Session.PROGRAMMING)
    yield from uds_client.erase(ECU)


def test_a_session_is_kept_while_its_owner_waits_but_not_for_ever() -> None:
    bench = Bench(FakeEcu())
    bench.run(uds_client.open_session(ECU, Session.PROGRAMMING))
    bench.wait(20_000)
    bench.run(uds_client.erase(ECU))
    assert bench.ecu.erases == 1
    bench.wait(60_000)
    with pytest.raises(uds_client.Denied) as refused:
        bench.run(uds_client.erase(ECU))
    assert refused.value.nrc == Nrc.SERVICE_SESSION


def test_an_ecu_that_lies_about_its_offset_is_not_followed() -> None:
    ecu = FakeEcu(slot=bytearray(30_000))
    with pytest.raises(LinkFailure):
        Bench(ecu).run(flash(IMAGE))
    assert uds_transfer.FAILURES_MAX > 1


def test_a_busy_ecu_is_asked_again_after_a_pause() -> None:
    ecu = FakeEcu(refuse={BeginObject: (Nrc.BUSY, 0)})
    bench = Bench(ecu)
    bench.at(2_500, ecu.refuse.clear)
    bench.run(_delivered(b"x" * 100))
    assert ecu.objects[TARGETS] == b"x" * 100
    assert bench.now >= 3_000
    ecu.refuse[BeginObject] = (Nrc.BUSY, 0)
    with pytest.raises(uds_client.Silent):
        bench.run(_delivered(b"x" * 100))
