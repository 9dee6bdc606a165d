"""What a vehicle of a Primary and 20 Secondaries costs its boards while nothing happens, and what an update costs.

Real processes on this host, as bench/poll.py has them; CAN is udp_multicast, which hands every frame to every process
(a board's SocketCAN filters them in the kernel: docs/raspberry-pi.md has what that comes to). Everything is read from
procfs by board_probe.py, which runs alike on a board. What is written in a day is not waited for, but reckoned: from
what a poll, and a renewal of the Director's metadata, were seen to write, and how often a day has them by default.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from bench import board_probe
from bench.board_probe import BURST_S, FOREIGN_ID, FRAME_BITS, Snapshot
from bench.figures import BUILD, SECOND_MS, Peer, Row, at_most, plain
from bench.poll import PRIMARY_MB, SECONDARY_MB
from bench.poll_vehicle import (
    PRIMARY,
    VEHICLE,
    BenchFailure,
    Vehicle,
    founded,
    operate,
    primary_command,
    publish,
    serve_director,
    start_primary,
    start_secondaries,
)
from uptane.link.can_frame import CanFrame
from uptane.shell.can_udp import pack

SECONDARIES: Final = tuple(f"ecu-{number:02}" for number in range(1, 21))
FIRST: Final = SECONDARIES[0]
AKTUALIZR: Final = Peer("aktualizr (C++), published", 23.0)
POLL_S: Final = 60
AFTER_S: Final = 3.0  # after a cycle, before it counts as over: gRPC's threads take a moment to end
CALM_S: Final = 20.0
CALM_TRIES: Final = 3
WAIT_S: Final = 240.0
STARTS: Final = 3
BITRATE: Final = 500_000
LOAD_PERCENT: Final = 50
IMAGE_LENGTH: Final = 1_000_000
DAY_S, DEFAULT_LIFETIME_S, DEFAULT_POLL_S = 86_400, 86_400, 300  # the Director's defaults
RENEWALS_A_DAY: Final = DAY_S / (DEFAULT_LIFETIME_S * 3 / 4)  # a set is issued anew when a fourth of its life is left
THREADS: Final = 4  # the loop, disk, servers, self-test
THREADS_OF_A_SECONDARY: Final = 3
IDLE: Final = ["IDLE"] * 3  # the first two may tell what changed with the start


def rows() -> list[Row]:
    """Memory, threads, start, processor time, wakeups and writes, of the Primary and of one of its Secondaries."""
    vehicle = founded(Vehicle(home=BUILD / "bench" / "idle", secondaries=SECONDARIES, poll_s=POLL_S))
    try:
        for ecu in (PRIMARY, *SECONDARIES):
            (vehicle.folder(ecu) / "interlock").write_text("safe")
            (vehicle.folder(ecu) / "gate").write_text("parked yes\nminutes 60\nconsent any\n")
        found = _start_rows(vehicle)
        start_primary(vehicle)
        _wait(vehicle, lambda: vehicle.cycles()[-len(IDLE) :] == IDLE, "the Primary at rest")
        time.sleep(AFTER_S)
        found += _idle_rows(vehicle)
        found += _load_rows(vehicle)
        found += _written_rows(vehicle)
    finally:
        vehicle.stop()
        for relay in vehicle.relays.values():
            relay.close()
    return found


# ------------------------------------------------------------------------------------------------------- the start


def _start_rows(vehicle: Vehicle) -> list[Row]:
    """From exec to work, the files in the page cache: the best of some."""
    bus = f"{vehicle.group}:{vehicle.port}"

    def started(until: str, *command: str) -> dict[str, float]:
        found = board_probe.start([sys.executable, "-m", *command], bus, until, WAIT_S)
        if until not in found:
            raise BenchFailure(f"{' '.join(command)} does not start: {found}")
        return found

    config = str(vehicle.folder(FIRST) / "config.toml")
    secondary = [started("ready", "secondary", "run", "--config", config) for _ in range(STARTS)]
    start_secondaries(vehicle)
    _wait(vehicle, lambda: all(" is ready" in vehicle.said(ecu) for ecu in SECONDARIES), "20 Secondaries")
    new = started("first_cycle", *primary_command(vehicle))
    again = [started("first_cycle", *primary_command(vehicle)) for _ in range(STARTS)]
    return [
        plain("start of a Secondary: until it listens", "s", min(each["ready"] for each in secondary)),
        plain("start of a Primary: until its first frame", "s", min(each["first_frame"] for each in again)),
        plain(
            "start of a Primary: first manifest told, 20 Secondaries", "s", min(each["first_cycle"] for each in again)
        ),
        plain("first start of a Primary: until all 20 have what is new", "s", new["first_cycle"]),
    ]


# ----------------------------------------------------------------------------------------------------------- idle


def _idle_rows(vehicle: Vehicle) -> list[Row]:
    """Between two polls, and of a poll."""
    memory = {name: board_probe.resident(vehicle.processes[name].pid) for name in (PRIMARY, FIRST)}
    threads = memory[PRIMARY].threads, memory[FIRST].threads
    found = [
        at_most("idle Primary, 20 Secondaries: RSS", "MB", memory[PRIMARY].rss_mb, limit=PRIMARY_MB, peer=AKTUALIZR),
        plain("idle Primary, 20 Secondaries: PSS", "MB", memory[PRIMARY].pss_mb or 0.0, AKTUALIZR),
        at_most("idle Secondary: RSS", "MB", memory[FIRST].rss_mb, limit=SECONDARY_MB),
        plain("idle Secondary: PSS", "MB", memory[FIRST].pss_mb or 0.0),
        at_most("idle Primary, 20 Secondaries: threads", "", threads[0], limit=THREADS),
        at_most("idle Secondary: threads", "", threads[1], limit=THREADS_OF_A_SECONDARY),
    ]
    between, seconds = _calm(vehicle, lambda: time.sleep(CALM_S))
    before = _look(vehicle)
    _after_a_cycle(vehicle)
    polled = _since(vehicle, before)
    for name, who in ((PRIMARY, "Primary, 20 Secondaries"), (FIRST, "Secondary")):
        calm_minute, polls = 60 / seconds, 60 / DEFAULT_POLL_S
        cpu_s = between[name].cpu_s * calm_minute + polled[name].cpu_s * polls
        found += [
            plain(f"idle minute of a {who}: processor time", "ms", cpu_s * SECOND_MS),
            plain(f"a poll, {who}: processor time", "ms", polled[name].cpu_s * SECOND_MS),
            at_most(f"between two polls, {who}: wakeups a minute", "", between[name].wakeups * calm_minute, limit=6),
            plain(f"a poll, {who}: wakeups", "", polled[name].wakeups),
            at_most(f"a poll, {who}: records written", "", between[name].records + polled[name].records, limit=0),
        ]
    return found


def _load_rows(vehicle: Vehicle) -> list[Row]:
    """Beside a bus half full of frames for others; the other Secondaries stand still: this host is not 21 boards."""
    frames: list[int] = []

    def busy() -> None:
        with _standing_still(vehicle):
            frames.append(_load(vehicle, CALM_S))

    used, seconds = _calm(vehicle, busy)
    percent = 100 * frames[-1] * FRAME_BITS / BITRATE / seconds
    where = f"bus {percent:.0f} % full, no kernel filter"
    return [
        plain(f"idle minute of a {who}, {where}: processor time", "ms", used[name].cpu_s * SECOND_MS * 60 / seconds)
        for name, who in ((PRIMARY, "Primary"), (FIRST, "Secondary"))
    ]


@contextmanager
def _standing_still(vehicle: Vehicle) -> Iterator[None]:
    others = [vehicle.processes[ecu].pid for ecu in vehicle.secondaries if ecu != FIRST]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


def _load(vehicle: Vehicle, seconds: float) -> int:
    """Send others' frames as often as half a classic bus carries them; how many they were."""
    frame, sent = CanFrame(FOREIGN_ID, b"\xff\x00" * 4), 0
    frame_s = FRAME_BITS / BITRATE
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=I", socket.INADDR_ANY))
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            for _ in range(int(passed * LOAD_PERCENT / 100 / frame_s) - sent):
                mouth.sendto(pack(frame, time.monotonic_ns()), (vehicle.group, vehicle.port))
                sent += 1
            time.sleep(BURST_S)
    return sent


# --------------------------------------------------------------------------------------------------------- writes


def _written_rows(vehicle: Vehicle) -> list[Row]:
    """Of a renewal of the Director's metadata, a day of them, and an update of one Secondary."""
    renewed = _during(vehicle, lambda: _renew(vehicle))
    updated = _during(vehicle, lambda: _update(vehicle))
    found: list[Row] = []
    for name, who in ((PRIMARY, "Primary, 20 Secondaries"), (FIRST, "Secondary")):
        renewal, update = renewed[name], updated[name]
        found += [
            plain(f"idle day of a {who}: records written", "", renewal.records * RENEWALS_A_DAY),
            plain(f"idle day of a {who}: written", "octets", (renewal.written or 0) * RENEWALS_A_DAY),
            plain(f"update of a Secondary, 1 MB, {who}: records written", "", update.records),
            plain(
                f"update of a Secondary, 1 MB, {who}: written",
                "octets",
                update.written or 0,
                Peer("the image", IMAGE_LENGTH),
            ),
        ]
    return found


def _renew(vehicle: Vehicle) -> None:
    """Let the Director promise five days at once: of what it has issued for one, less than a fourth is left."""
    settings = vehicle.home / "director" / "director.toml"
    text = settings.read_text()
    assert f"lifetime_s = {DEFAULT_LIFETIME_S} " in text
    settings.write_text(text.replace(f"lifetime_s = {DEFAULT_LIFETIME_S} ", f"lifetime_s = {5 * DEFAULT_LIFETIME_S} "))
    vehicle.stop("director")
    serve_director(vehicle)
    verified = vehicle.said(PRIMARY).count(" verified")
    _wait(vehicle, lambda: vehicle.said(PRIMARY).count(" verified") > verified, "renewed metadata")


def _update(vehicle: Vehicle) -> None:
    """Give one Secondary a new image."""
    file = vehicle.home / "esc-2"
    file.write_bytes(os.urandom(IMAGE_LENGTH))
    publish(vehicle, file, "esc", 2)
    operate(vehicle, "assign", f"{FIRST}={file.name}", "--vehicle", VEHICLE)
    _wait(vehicle, lambda: "DONE" in vehicle.cycles(), "the update is done")


def _during(vehicle: Vehicle, act: Callable[[], None]) -> dict[str, Snapshot]:
    """What was used from before `act` until the vehicle is at rest again."""
    before = _look(vehicle)
    act()
    _after_a_cycle(vehicle)
    _wait(vehicle, lambda: vehicle.cycles()[-1] == "IDLE", "the Primary at rest")
    return _since(vehicle, before)


# ------------------------------------------------------------------------------------------------------- helpers


def _calm(vehicle: Vehicle, act: Callable[[], None]) -> tuple[dict[str, Snapshot], float]:
    """What is used while `act` takes its time between two cycles, and how many seconds that was."""
    for _ in range(CALM_TRIES):
        _after_a_cycle(vehicle)
        cycles, began, before = len(vehicle.cycles()), time.monotonic(), _look(vehicle)
        act()
        found, seconds = _since(vehicle, before), time.monotonic() - began
        if len(vehicle.cycles()) == cycles:
            return found, seconds
    raise BenchFailure("the Primary does not come to rest")


def _look(vehicle: Vehicle) -> dict[str, Snapshot]:
    return {
        name: board_probe.snapshot(vehicle.processes[name].pid, vehicle.folder(name) / "state")
        for name in (PRIMARY, FIRST)
    }


def _since(vehicle: Vehicle, before: dict[str, Snapshot]) -> dict[str, Snapshot]:
    return {name: board_probe.used(before[name], after) for name, after in _look(vehicle).items()}


def _after_a_cycle(vehicle: Vehicle) -> None:
    """Wait until a further cycle has ended, and a little longer."""
    count = len(vehicle.cycles())
    _wait(vehicle, lambda: len(vehicle.cycles()) > count, "a cycle")
    time.sleep(AFTER_S)


def _wait(vehicle: Vehicle, come: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not come():
        vehicle.check()
        if time.monotonic() > deadline:
            raise BenchFailure(f"waited in vain for: {what}; {vehicle.cycles()[-5:]}")
        time.sleep(0.05)
