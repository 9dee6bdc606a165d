"""What an idle vehicle costs: a poll of a resident Primary on a warm mTLS connection, and the memory of its processes.

Real processes on this host. Every octet between the vehicle and its servers passes a counting relay, TLS and HTTP/2
included. Processor time is that of whole idle cycles, statuses of Secondaries over CAN included; wall time that of the
one call. Memory is what the kernel counts as resident, shared libraries included.
"""

from __future__ import annotations

import queue
import statistics
import time

from bench.figures import SECOND_MS, Row, at_most, plain
from bench.poll_vehicle import PRIMARY, SECONDARY, BenchFailure, Vehicle, started
from primary.needs import Poll, Polled, Versions
from primary.shell import config
from primary.shell.servers import Servers
from primary.state import ADMITTED, metadata_name
from uptane.codec.oer import Oer
from uptane.model.ids import Repository
from uptane.model.limits import SNAPSHOT_LENGTH_MAX
from uptane.model.metadata import DirectorTargets, Root, Snapshot, Timestamp
from uptane.shell.files import Store

CYCLES = 12  # idle ones that are measured: the Director asks for one about every second
CALLS = 100
PRIMARY_MB, SECONDARY_MB = 60, 40


def rows() -> list[Row]:
    """Octets, calls, processor and wall time of an idle poll; resident memory."""
    vehicle = started()
    try:
        vehicle.wait_idle(4)
        found = _resident_rows(vehicle)
        vehicle.stop(PRIMARY)
        found += _call_rows(vehicle)
    finally:
        vehicle.stop()
        for relay in vehicle.relays.values():
            relay.close()
    return found


def _resident_rows(vehicle: Vehicle) -> list[Row]:
    """Of the process as it runs: some idle cycles long."""
    before = {name: (relay.octets, relay.connections) for name, relay in vehicle.relays.items()}
    seconds, cycles = vehicle.seconds(PRIMARY), len(vehicle.cycles())
    deadline = time.monotonic() + 10 * CYCLES
    while len(vehicle.cycles()) < cycles + CYCLES:
        if time.monotonic() > deadline:
            raise BenchFailure("the Primary has stopped polling")
        time.sleep(0.02)
    count = len(vehicle.cycles()) - cycles
    used_ms = (vehicle.seconds(PRIMARY) - seconds) * SECOND_MS
    octets = {name: relay.octets - before[name][0] for name, relay in vehicle.relays.items()}
    connections = sum(relay.connections - before[name][1] for name, relay in vehicle.relays.items())
    return [
        plain("idle poll: octets both ways, TLS and HTTP/2 included", "octets", octets["director"] / count),
        at_most(
            "idle poll: octets to and from the Image repository and the time service",
            "octets",
            octets["image"] + octets["time"],
            limit=0,
        ),
        at_most("idle polls: new connections", "connections", connections, limit=0),
        plain("idle cycle: processor time of the resident Primary", "ms", used_ms / count),
        at_most("resident memory of a Primary", "MB", vehicle.resident(PRIMARY), limit=PRIMARY_MB),
        at_most("resident memory of a Secondary", "MB", vehicle.resident(SECONDARY), limit=SECONDARY_MB),
    ]


def _call_rows(vehicle: Vehicle) -> list[Row]:
    """Of the call alone: the same request again and again, from this process, on one connection."""
    settings = config.load(vehicle.folder(PRIMARY) / "config.toml")
    servers = Servers(settings)
    try:
        request = _idle_request(settings)
        _ask(servers, request)
        servers.octets_sent = servers.octets_received = 0
        began_cpu = time.process_time()
        walls = [_ask(servers, request) for _ in range(CALLS)]
        cpu_ms = (time.process_time() - began_cpu) * SECOND_MS / CALLS
        messages = (servers.octets_sent + servers.octets_received) / CALLS
    finally:
        servers.close()
    return [
        plain("idle poll: octets of the two messages", "octets", messages),
        plain("idle poll: wall time of the call, warm connection, same host", "ms", statistics.median(walls)),
        plain("idle poll: processor time of the call at the vehicle", "ms", cpu_ms),
    ]


def _idle_request(settings: config.Config) -> Poll:
    """What the Primary that has just ended would have asked next."""
    store, codec = Store(settings.state), Oer()

    def version(file: str) -> int:
        octets = store.read(metadata_name(Repository.DIRECTOR, file))
        assert octets is not None
        value = codec.parse(codec.open(octets, SNAPSHOT_LENGTH_MAX).payload)
        assert isinstance(value, Root | Timestamp | Snapshot | DirectorTargets)
        return value.header.version

    held = Versions(version("root"), version("timestamp"), version("snapshot"), version("targets"))
    return Poll(store.read(ADMITTED) or b"", b"", held)


def _ask(servers: Servers, request: Poll) -> float:
    """One call: its wall time in milliseconds. It must have been an idle one."""
    answers: queue.SimpleQueue[object] = queue.SimpleQueue()
    began = time.perf_counter()
    servers.ask(request, answers.put)
    answer = answers.get()
    took_ms = (time.perf_counter() - began) * SECOND_MS
    if not isinstance(answer, Polled) or answer.files or answer.manifest_wanted:
        raise BenchFailure(f"no idle poll: {answer}")
    return took_ms
