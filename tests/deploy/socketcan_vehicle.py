"""Run by tests/system/test_socketcan_vehicle.py in a kernel with SocketCAN: servers and a vehicle on busy buses.

One vehicle lives through all of it, in this order. vcan0 is a classic bus with two ECUs that verify partially, vcan1
one of CAN FD with an ECU that verifies fully; both carry other nodes' frames that would fill 70 % of a real bus.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event

import pytest

from demo.images import BODY, BRAKE, CAMERA, ECUS, TELEMATICS, EcuOfDemo
from tests.deploy.socketcan_board import Vehicle
from tests.deploy.socketcan_traffic import PERIOD_S, Bystander, Traffic, matched
from tests.system.fleet import wait_for
from uptane.link.can_frame import Address, can_id_of
from uptane.shell.can_port import CanSettings
from uptane.shell.can_socket import EFF_FLAG, ERR_FLAG, Trouble
from uptane.shell.checkup import Grade, can_facts, kernel_has_can, look_at_can

pytestmark = pytest.mark.timeout(400)
LOAD_PERCENT = 70
SENT_PERCENT = 100  # a machine that is busy elsewhere lets timers of this kernel pass
CLASSIC, FD = Traffic("vcan0", fd=False, percent=SENT_PERCENT), Traffic("vcan1", fd=True, percent=SENT_PERCENT)
BUSES = (CLASSIC, FD)
ON = {"vcan0": (BRAKE, BODY), "vcan1": (CAMERA,)}
UPDATE_S = 150.0
IDLE_S = 4.0
WAKES_MAX = 5  # of an idle Secondary in IDLE_S, which nobody speaks to


def ours(channel: str) -> list[int]:
    """Every identifier that our ECUs use on a bus."""
    pairs = [pair for ecu in ON[channel] for pair in ((0xF0, ecu.address), (ecu.address, 0xF0))]
    functional = Address(0x33, 0xF0, functional=True)
    return [EFF_FLAG | can_id_of(address) for address in (*(Address(*pair) for pair in pairs), functional)]


def link(*words: str) -> None:
    subprocess.run(["ip", "link", *words], check=True, capture_output=True)


def found(channel: str, *, fd: bool) -> tuple[Grade, str]:
    """What the doctor says of an interface."""
    [finding] = look_at_can(CanSettings("socketcan", channel, fd=fd), can_facts(channel), kernel=kernel_has_can())
    assert finding.remedy or finding.grade is Grade.GOOD
    return finding.grade, finding.text


@pytest.fixture(scope="module")
def vehicle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vehicle]:
    fleet = Vehicle.moved_to(tmp_path_factory.getbasetemp().parent / "fleet")
    for traffic in BUSES:
        traffic.start()
    try:
        fleet.start_all()
        yield fleet
        fleet.stop()
    finally:
        fleet.crew.stop()
        for traffic in BUSES:
            traffic.stop()


def test_all_are_updated_beside_other_traffic_that_nobody_touches(
    vehicle: Vehicle, record_property: Callable[[str, object], None]
) -> None:
    with ExitStack() as stack:
        watched = [stack.enter_context(closing(Bystander(bus.channel, bus.ids, but=False))) for bus in BUSES]
        strangers = [
            stack.enter_context(closing(Bystander(bus.channel, (*bus.ids, *ours(bus.channel)), but=True)))
            for bus in BUSES
        ]
        begin = time.monotonic()
        vehicle.order(2)
        wait_for(lambda: vehicle.proven(2), "all run release 2", seconds=UPDATE_S, every=0.5)
        took_s = time.monotonic() - begin
        record_property("update_s", round(took_s, 1))
        for bus, bystander in zip(BUSES, watched, strict=True):
            load = bus.load * matched(bus.channel) * PERIOD_S / len(bus.ids) / took_s
            record_property(f"load_{bus.channel}", round(load, 3))
            assert load >= LOAD_PERCENT / 100
            kept = {data for _, data in bystander.seen()}
            assert kept == {bus.data}, "nobody but them sends under their identifiers"
        assert [found for stranger in strangers for found in stranger.seen()] == [], "nobody has answered them"
    for ecu in ECUS:
        assert "WARNING" not in vehicle.said(ecu.name), vehicle.tail(ecu.name)


# -------------------------------------------------------------------------------------------------------- it sleeps


def wakes(vehicle: Vehicle, ecu: EcuOfDemo) -> int:
    """How often the ECU's threads have waited for something and got it."""
    count = 0
    for status in Path(f"/proc/{vehicle.pid(ecu.name)}/task").glob("*/status"):
        count += sum(map(int, re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.MULTILINE)))
    return count


@contextmanager
def nobody_asks(vehicle: Vehicle) -> Iterator[None]:
    """The Primary stands still."""
    os.kill(vehicle.pid(TELEMATICS.name), signal.SIGSTOP)
    try:
        Event().wait(1.0)  # what it had asked is answered
        yield
    finally:
        os.kill(vehicle.pid(TELEMATICS.name), signal.SIGCONT)


def test_a_busy_bus_wakes_no_idle_secondary(vehicle: Vehicle, record_property: Callable[[str, object], None]) -> None:
    def woken(seconds: float) -> list[int]:
        before = [wakes(vehicle, ecu) for ecu in (BRAKE, CAMERA)]
        Event().wait(seconds)
        return [wakes(vehicle, ecu) - count for ecu, count in zip((BRAKE, CAMERA), before, strict=True)]

    with nobody_asks(vehicle):
        beside = woken(IDLE_S)
        record_property("woken_beside_traffic", str(beside))
        assert max(beside) <= WAKES_MAX
        with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as tester:
            tester.bind(("vcan0",))
            for _ in range(3 * WAKES_MAX):
                tester.send(
                    struct.pack("=IB3x8s", EFF_FLAG | can_id_of(Address(BRAKE.address, 0xF1)), 3, b"\2\x3e\x80")
                )
                Event().wait(0.02)
        assert wakes(vehicle, BRAKE) > 2 * WAKES_MAX, "and is woken by what is for it"


# ----------------------------------------------------------------------------------------------------------- faults


def troubled(channel: str, classes: Trouble, second: int = 0) -> None:
    """What a driver tells of its controller; vcan has none, so that it is told by us."""
    with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as driver:
        driver.bind((channel,))
        driver.send(struct.pack("=IB3x8s", ERR_FLAG | classes, 8, bytes((0, second))))


def test_an_update_outlives_the_faults_of_its_buses(
    vehicle: Vehicle, record_property: Callable[[str, object], None]
) -> None:
    begin = time.monotonic()
    gate = vehicle.ecu(TELEMATICS) / "gate"
    parked = gate.read_text()
    gate.write_text(parked.replace("parked yes", "parked no"))  # 30 % of each bus: no transfer ends before its fault
    watch = vehicle.watch()
    vehicle.order(3)
    wait_for(lambda: watch.look().noted("transfer", CAMERA), "sending on vcan1", every=0.01)
    FD.stop()
    link("del", "vcan1")
    assert not watch.look().noted("prepare", CAMERA), "it is not too late"
    vehicle.wait_until_said("no such interface ([Errno 19] No such device); is its driver loaded?", CAMERA, TELEMATICS)
    assert found("vcan1", fd=True) == (Grade.BAD, "there is no interface vcan1")

    wait_for(lambda: watch.look().noted("transfer", BODY), "sending on vcan0", every=0.01)
    troubled("vcan0", Trouble.CONTROLLER, 0x20)
    troubled("vcan0", Trouble.BUS_OFF)
    vehicle.wait_until_said("error-passive: frames are damaged or nobody acknowledges them; wiring", BODY, TELEMATICS)
    vehicle.wait_until_said("bus-off: the controller has left the bus", BODY, BRAKE, TELEMATICS)
    link("add", "vcan1", "type", "vcan")
    link("set", "vcan1", "mtu", "16", "up")
    vehicle.wait_until_said(
        "carries classic frames only, and fd = true is asked for; set FDMode=yes", CAMERA, TELEMATICS
    )
    assert found("vcan1", fd=True)[1].startswith("vcan1 carries classic frames only")
    vehicle.wait_until_said("the interface is back", BODY, BRAKE, TELEMATICS)

    link("set", "vcan0", "down")
    assert not watch.look().noted("prepare", BRAKE), "it is not too late"
    vehicle.wait_until_said("the interface is down ([Errno 100] Network is down); ip link set vcan0", BRAKE, TELEMATICS)
    assert found("vcan0", fd=False) == (Grade.BAD, "vcan0 is down")
    link("set", "vcan1", "down")
    link("set", "vcan1", "mtu", "72", "up")
    assert found("vcan1", fd=True)[0] is Grade.GOOD
    FD.start()
    link("set", "vcan0", "up")
    gate.write_text(parked)

    wait_for(lambda: vehicle.proven(3), "all run release 3", seconds=UPDATE_S, every=0.5)
    record_property("update_s", round(time.monotonic() - begin, 1))
    for ecu in ECUS:
        assert vehicle.said(ecu.name).count("WARNING") <= 12, vehicle.tail(ecu.name)
