"""SocketCAN in a kernel that has it (user-mode Linux): our raw socket beside python-can's, and ECUs on a busy bus.

The same ISO-TP machines and port on both sides of a transfer, only the interface differs. What an idle ECU costs is
measured on buses that other nodes fill to LOAD_PERCENT, and beside it on silent ones; the servers run in the same
kernel, which has one processor and counts its time in ticks of 10 ms; a wakeup there is dearer than on real hardware.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from bench.figures import BUILD, Peer, Row, at_most, plain, smaller
from bench.isotp import MESSAGE, ONE, OTHER, Failed, Node
from tests.deploy.socketcan_board import Vehicle, on_socketcan
from tests.deploy.socketcan_traffic import Traffic
from tests.deploy.uml import kernel, run_inside
from tests.system.fleet import Fleet
from uptane.shell.can_library import LibraryWire
from uptane.shell.can_port import CanPort, CanSettings, open_can_port

FOLDER = BUILD / "bench" / "socketcan"
SECONDS_MAX = 600
KINDS = {False: ("classic", "vcan0"), True: ("CAN FD", "vcan1")}
MESSAGES = {False: 20, True: 100}
ROUNDS = 3
LOAD_PERCENT = 50
POLL_S = 30  # what the Director asks of the vehicle meanwhile; a fleet polls every few minutes
IDLE_S = 31.0  # one poll falls into it
IDLE_ROUNDS = 2  # the least of them: the first may still have a start's last work in it
REST_S = 5.0
LEAST_MS = 10.0  # that kernel counts in ticks; who was not woken at all has no ratio
RESIDENT_MB_MAX = {"telematics": 60, "brake": 40, "camera": 40}
ECUS = {
    "telematics": "a Primary with 3 Secondaries",
    "brake": "a partial Secondary",
    "camera": "a full Secondary on FD",
}


def rows() -> list[Row]:
    """All figures of this module, measured now; none, and the reason said, where that kernel cannot be had."""
    root = kernel()
    if root is None:
        print("socketcan: skipped: Debian's user-mode-linux can be had nowhere; it is for x86-64", file=sys.stderr)
        return []
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    fleet = Fleet.founded(FOLDER / "fleet")
    settings = fleet.folder / "director" / "director.toml"
    settings.write_text(settings.read_text().replace("poll_s = 1 ", f"poll_s = {POLL_S} "))
    on_socketcan(fleet)
    said = run_inside(root, FOLDER, f"{sys.executable} -m bench.socketcan", seconds=SECONDS_MAX)
    status = FOLDER / "status"
    if not status.exists() or status.read_text() != "0\n":
        raise Failed(f"in the kernel with SocketCAN: {said[-2_000:]}")
    figures: dict[str, float] = json.loads((FOLDER / "figures.json").read_text())
    return _rates(figures) + _idle(figures)


def _rates(figures: dict[str, float]) -> list[Row]:
    table = []
    for kind, channel in KINDS.values():
        ours, peers = (figures[f"{channel} {whose}"] for whose in ("ours", "library"))
        # Time per megabyte, so that the table's ratio, which is of what should be small, holds.
        peer = Peer("the same over python-can", 1e6 / peers)
        table.append(
            smaller(f"SocketCAN, ISO-TP payload between two processes, {kind}", "s/MB", 1e6 / ours, peer, times=1)
        )
    return table


def _idle(figures: dict[str, float]) -> list[Row]:
    table = []
    for ecu, what in ECUS.items():
        busy, silent = (figures[f"{ecu} {how}"] for how in ("busy", "silent"))
        peer = Peer("on a silent bus", silent)
        row = plain(f"SocketCAN, CPU per idle minute at {LOAD_PERCENT} % load, {what}", "ms", busy, peer)
        table.append(row)
    for ecu, what in ECUS.items():
        resident, limit = figures[f"{ecu} MB"], RESIDENT_MB_MAX[ecu]
        table.append(at_most(f"SocketCAN, resident memory when idle, {what}", "MB", resident, limit=limit))
    return table


# ------------------------------------------------------------------------------------------------- in that kernel


def ours(channel: str, own: int, *, fd: bool) -> CanPort:
    """A port on the kernel's raw socket."""
    return open_can_port(CanSettings("socketcan", channel, fd=fd, paced=False), own)


def library(channel: str, own: int, *, fd: bool) -> CanPort:
    """The same port on python-can's interface."""
    settings = CanSettings("socketcan", channel, fd=fd, paced=False)
    return CanPort(LibraryWire("socketcan", channel, fd=fd, speed=settings.speed, options={}), settings, own)


def rate(opener: Callable[..., CanPort], *, fd: bool) -> float:
    """Octets a second from this process to a child."""
    channel, count = KINDS[fd][1], MESSAGES[fd]
    sender, receiver = (Node(opener(channel, own, fd=fd), own, fd=fd) for own in (ONE, OTHER))
    done_in, done_out = os.pipe()
    if (child := os.fork()) == 0:
        _receive(receiver, count, done_out)
    try:
        begin = time.perf_counter()
        for at in range(count):
            sender.send(OTHER)
            while sender.sent <= at:
                sender.turn()
        os.read(done_in, 4)
        return count * len(MESSAGE) / (time.perf_counter() - begin)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for number in (done_in, done_out):
            os.close(number)
        for node in (sender, receiver):
            node.port.close()


def _receive(receiver: Node, count: int, done: int) -> NoReturn:
    """A child's whole life."""
    status = 1
    try:
        while receiver.received < count:
            receiver.turn()
        status = os.write(done, b"done") - 4
    except Failed as failure:
        print(f"the receiving process: {failure}, {receiver.port.heard}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def processor_ms(vehicle: Vehicle, name: str) -> float:
    """Processor time that a process has had, all its threads, as the kernel's scheduler counts it."""
    tasks = Path(f"/proc/{vehicle.pid(name)}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def resident_mb(vehicle: Vehicle, name: str) -> float:
    """Memory of a process, shared libraries included."""
    lines = Path(f"/proc/{vehicle.pid(name)}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) * 1_024 / 1e6


def spent(vehicle: Vehicle) -> dict[str, float]:
    """What each ECU needs in a minute, in ms."""
    time.sleep(REST_S)
    before = {ecu: processor_ms(vehicle, ecu) for ecu in ECUS}
    time.sleep(IDLE_S)
    took = {name: (processor_ms(vehicle, name) - then) * 60 / IDLE_S for name, then in before.items()}
    return {name: max(LEAST_MS, ms) for name, ms in took.items()}


def _take_least(figures: dict[str, float], how: str, took: dict[str, float]) -> None:
    for ecu, ms in took.items():
        key = f"{ecu} {how}"
        figures[key] = min(figures.get(key, ms), ms)


def measure() -> dict[str, float]:
    """Every figure by its name."""
    figures: dict[str, float] = {}
    gc.disable()
    for _ in range(ROUNDS):
        for fd, (_, channel) in KINDS.items():
            for opener in (ours, library):
                key = f"{channel} {opener.__name__}"
                with suppress(Failed):  # a machine that is busy elsewhere stands still for longer than ISO-TP waits
                    figures[key] = max(figures.get(key, 0.0), rate(opener, fd=fd))
    gc.enable()
    vehicle = Vehicle.moved_to(FOLDER / "fleet")
    vehicle.start_all()
    try:
        for _ in range(IDLE_ROUNDS):
            _take_least(figures, "silent", spent(vehicle))
            buses = [Traffic(channel, fd=fd, percent=LOAD_PERCENT) for fd, (_, channel) in KINDS.items()]
            for bus in buses:
                bus.start()
            _take_least(figures, "busy", spent(vehicle))
            for bus in buses:
                bus.stop()
        figures |= {f"{ecu} MB": resident_mb(vehicle, ecu) for ecu in ECUS}
    finally:
        vehicle.stop()
    return figures


if __name__ == "__main__":
    (FOLDER / "figures.json").write_text(json.dumps(measure()))
