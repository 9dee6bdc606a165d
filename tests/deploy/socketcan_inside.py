"""Run by test_socketcan.py in a kernel with vcan0 (classic) and vcan1 (FD): our port beside python-can's socket."""

from __future__ import annotations

import itertools
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import can
import pytest

from primary.shell.can import BusSource
from secondary.shell.can import CanSource
from tests.peers.secondary_process import SecondaryProcess, firmware
from tests.peers.workshop import authorise, plugged_in
from uptane.errors import LinkFailure
from uptane.link.can_frame import Address, CanFrame, can_id_of
from uptane.link.isotp_values import SendFrames
from uptane.shell.can_port import CanPort, CanSettings, open_can_port
from uptane.shell.checkup import Grade, can_facts, kernel_has_can, look_at_can

PRIMARY, BRAKE = 0xF0, 0x11
CLASSIC = CanSettings("socketcan", "vcan0", paced=False)
FD = CanSettings("socketcan", "vcan1", fd=True, paced=False)
NAMES = (f"can{number}" for number in itertools.count())


@contextmanager
def peer(settings: CanSettings) -> Iterator[can.BusABC]:
    bus = can.Bus(settings.channel, "socketcan", ignore_config=True, fd=settings.fd)
    try:
        yield bus
    finally:
        bus.shutdown()


def all_heard(port: CanPort, within_s: float = 0.3) -> list[CanFrame]:
    frames: list[CanFrame] = []
    number = port.fileno()
    assert number is not None
    while select.select([number], [], [], within_s)[0]:
        frames += port.exchange().frames
    return frames


def link(*words: str) -> None:
    subprocess.run(["ip", "link", *words], check=True, capture_output=True)


@pytest.fixture
def interface() -> str:
    """An interface of this test's own, up."""
    name = next(NAMES)
    link("add", name, "type", "vcan")
    link("set", name, "up")
    return name


@pytest.mark.parametrize("settings", [CLASSIC, FD], ids=["classic", "fd"])
def test_frames_cross_to_stock_software_and_back(settings: CanSettings) -> None:
    frame = CanFrame(
        can_id_of(Address(BRAKE, PRIMARY)), bytes(range(64 if settings.fd else 8)), settings.fd, settings.fd
    )
    with (
        closing(open_can_port(settings, PRIMARY)) as ours,
        closing(open_can_port(settings, BRAKE)) as other,
        peer(settings) as stock,
    ):
        ours.send(SendFrames([frame] * 30, 7, 0))
        assert list(ours.exchange().tickets) == [7]
        assert all_heard(other) == [frame] * 30
        message = stock.recv(1)
        assert message is not None
        assert (message.arbitration_id, bytes(message.data), message.is_fd) == (frame.can_id, frame.data, settings.fd)
        stock.send(can.Message(arbitration_id=can_id_of(Address(PRIMARY, BRAKE)), data=b"ok", is_fd=settings.fd))
        assert [heard.data for heard in all_heard(ours)] == [b"ok"]


@pytest.mark.parametrize("settings", [CLASSIC, FD], ids=["classic", "fd"])
def test_a_busy_bus_wakes_nobody(settings: CanSettings) -> None:
    with closing(open_can_port(settings, BRAKE)) as ours, peer(settings) as stock:
        for at in range(2_000):
            extended = bool(at % 2)
            target = 0x1CDA0000 | (BRAKE + 1 + at % 50) << 8 | PRIMARY
            stock.send(can.Message(arbitration_id=target if extended else at % 0x800, is_extended_id=extended))
        number = ours.fileno()
        assert number is not None
        assert select.select([number], [], [], 0.2)[0] == []
        stock.send(can.Message(arbitration_id=0x18DA0000 | BRAKE << 8 | PRIMARY, data=b"tester"))
        stock.send(can.Message(arbitration_id=0x1CDB3300 | PRIMARY, data=b"all"))
        assert [frame.data for frame in all_heard(ours)] == [b"tester", b"all"], "whatever the priority"
        assert ours.overheard.frames == 0


def test_an_interface_that_is_missing_down_or_classic_is_said(interface: str) -> None:
    with pytest.raises(LinkFailure, match=r"no such interface .*is its driver loaded"):
        open_can_port(CanSettings("socketcan", "nope0"), BRAKE)
    link("set", interface, "down")
    with pytest.raises(LinkFailure, match=f"the interface is down .*ip link set {interface} up type can"):
        open_can_port(CanSettings("socketcan", interface), BRAKE)
    with pytest.raises(LinkFailure, match="carries classic frames only"):
        open_can_port(CanSettings("socketcan", "vcan0", fd=True), BRAKE)


def test_an_interface_that_goes_down_or_vanishes_under_us_is_said(interface: str) -> None:
    with closing(open_can_port(CanSettings("socketcan", interface), BRAKE)) as ours:
        link("set", interface, "down")
        with pytest.raises(LinkFailure, match="the interface is down"):
            ours.exchange()
    link("set", interface, "up")
    with closing(open_can_port(CanSettings("socketcan", interface), BRAKE)) as ours:
        link("del", interface)
        with pytest.raises(LinkFailure, match="no such interface"):
            ours.exchange()


def test_both_ecus_come_back_by_themselves_and_say_it_once(interface: str, caplog: pytest.LogCaptureFixture) -> None:
    now_ns = 0
    settings = CanSettings("socketcan", interface, paced=False)
    primary = BusSource(
        "b", lambda: open_can_port(settings, PRIMARY), lambda: True, driving_percent=100, clock_ns=lambda: now_ns
    )
    secondary = CanSource(lambda: open_can_port(settings, BRAKE), clock_ns=lambda: now_ns)
    primary.take()
    link("set", interface, "down")
    for now_ns in range(0, 20_000_000_000, 500_000_000):
        primary.take()
        secondary.take()
        if now_ns == 10_000_000_000:
            link("set", interface, "up")
    assert primary.fileno() is not None
    assert secondary.fileno() is not None
    assert len(caplog.records) <= 6, [record.message for record in caplog.records]
    primary.close()
    secondary.close()


def test_the_doctor_reads_the_kernel(interface: str) -> None:
    def found(name: str, *, fd: bool = False) -> tuple[Grade, str]:
        [finding] = look_at_can(CanSettings("socketcan", name, fd=fd), can_facts(name), kernel=kernel_has_can())
        return finding.grade, finding.text

    assert found("vcan1", fd=True) == (Grade.GOOD, "up, FD, no controller (virtual)")
    assert found("vcan0", fd=True)[1].startswith("vcan0 carries classic frames only")
    assert found("nope0") == (Grade.BAD, "there is no interface nope0")
    assert found("lo") == (Grade.BAD, "lo is no CAN interface")
    link("set", interface, "down")
    assert found(interface) == (Grade.BAD, f"{interface} is down")


@pytest.mark.parametrize("settings", [CLASSIC, FD], ids=["classic", "fd"])
def test_stock_software_flashes_a_secondary_on_it(
    settings: CanSettings, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """udsoncan over can-isotp over python-can over the kernel, while other traffic fills the bus; two processes."""
    ecu = SecondaryProcess(tmp_path / "brake", fd=settings.fd, socketcan=settings.channel)
    octets = firmware(40_000)[:40_000]
    authorise(ecu, octets)
    begin = time.monotonic()
    ecu.start()
    record_property("ready_s", round(time.monotonic() - begin, 1))
    record_property("idle_kb", ecu.rss_kb())
    try:
        with peer(settings) as others, plugged_in(ecu) as tester:
            noise = others.send_periodic(can.Message(arbitration_id=0x123, is_extended_id=False, data=bytes(8)), 0.002)
            tester.hand_over(ecu)
            tester.client.change_session(2)
            tester.client.start_routine(0xFF00)
            begin = time.monotonic()
            tester.deliver(0, octets)
            record_property("octets_per_s", int(len(octets) / (time.monotonic() - begin)))
            tester.check(0)
            tester.client.ecu_reset(1)
            assert tester.released(ecu).image.sha256 == sha256(octets).digest()
            noise.stop()
        assert ecu.process is not None
        loaded = Path(f"/proc/{ecu.process.pid}/maps").read_text()
        assert "msgpack" not in loaded
        assert "wrapt" not in loaded, "python-can's: its 12 MB are spared"
    finally:
        assert ecu.stop() == 0
