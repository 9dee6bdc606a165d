"""What a process costs a board: memory, threads, processor time, wakeups, writes; and how soon a new one is of use.

A plain script of the standard library and procfs, so that it runs on a board where only the package is installed:

    python3 board_probe.py watch --seconds 60 primary=PID:/var/lib/marque/primary/state [NAME=PID[:STATE] ...]
    python3 board_probe.py start --bus can0 --seconds 60 -- marque-primary run --config /etc/marque/primary.toml
    python3 board_probe.py load can0 --percent 50 --bitrate 500000 --seconds 60

Each prints one JSON object. `watch` tells what happened meanwhile, and the memory at the end; `start` the seconds from
exec to the line that says "is ready", to the first frame on the bus and to the end of a Primary's first cycle, and ends
the command again. A bus is a SocketCAN interface, or GROUP:PORT of CAN over UDP multicast. `load` sends frames with an
identifier that no ECU of ours has.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MEGABYTE = 1e6
NS_S = 1e-9
STOP_S = 10.0
SAID = {"ready": b" is ready", "first_cycle": b"cycle: "}  # the lines by which we know
UNTIL = ("ready", "first_frame", "first_cycle")
RECORD_HEADER = struct.Struct(">8sHQ")  # uptane/shell/files.py: magic, format, generation
CAN_FRAME = struct.Struct("=IB3x8s")  # linux/can.h
EXTENDED = 0x8000_0000
FOREIGN_ID = 0x0CF0_0400  # J1939's engine speed: the commonest frame of a lorry's bus
FRAME_BITS = (
    141  # of an extended frame of eight octets, the space after it and half of the possible stuff bits included
)
BURST_S = 0.002


class Snapshot(NamedTuple):
    """Counters of a process since its start, all threads together, and of its records; None where nobody may look."""

    cpu_s: float
    wakeups: int
    preempted: int
    written: int | None
    records: int


class Resident(NamedTuple):
    """Megabytes and threads of a process now. PSS shares what several processes map; RSS counts it for each."""

    rss_mb: float
    pss_mb: float | None
    threads: int


def snapshot(pid: int, state: Path | None = None) -> Snapshot:
    """The counters of a process as they stand; `state` is the folder of its records."""
    cpu_s, wakeups, preempted = 0.0, 0, 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            cpu_s += _cpu_s(task)
            fields = _fields(task / "status")
            wakeups += int(fields["voluntary_ctxt_switches"])
            preempted += int(fields["nonvoluntary_ctxt_switches"])
    written = None
    with suppress(OSError):
        written = int(_fields(Path(f"/proc/{pid}/io"))["write_bytes"])
    return Snapshot(cpu_s, wakeups, preempted, written, records(state) if state else 0)


def resident(pid: int) -> Resident:
    """The memory of a process now."""
    fields = _fields(Path(f"/proc/{pid}/status"))
    pss = None
    with suppress(OSError):  # somebody else's
        pss = _megabytes(_fields(Path(f"/proc/{pid}/smaps_rollup"))["Pss"])
    return Resident(_megabytes(fields["VmRSS"]), pss, int(fields["Threads"]))


def records(state: Path) -> int:
    """How often a record was written in this folder: each carries its generation. Deleted ones are forgotten."""
    newest: dict[Path, int] = {}
    for copy in state.rglob("*~[01]"):
        with suppress(FileNotFoundError, struct.error), copy.open("rb") as file:
            _, _, generation = RECORD_HEADER.unpack(file.read(RECORD_HEADER.size))
            record = copy.with_name(copy.name[:-1])
            newest[record] = max(newest.get(record, 0), generation)
    return sum(newest.values())


def used(before: Snapshot, after: Snapshot) -> Snapshot:
    """What was used between two looks at the same process."""
    written = None if before.written is None or after.written is None else after.written - before.written
    return Snapshot(
        after.cpu_s - before.cpu_s,
        after.wakeups - before.wakeups,
        after.preempted - before.preempted,
        written,
        after.records - before.records,
    )


def watch(processes: dict[str, tuple[int, Path | None]], seconds: float) -> dict[str, object]:
    """What each process uses in `seconds`, and what it has then."""
    before = {name: snapshot(*each) for name, each in processes.items()}
    time.sleep(seconds)
    return {
        name: used(before[name], snapshot(*each))._asdict() | resident(each[0])._asdict()
        for name, each in processes.items()
    }


def start(command: Sequence[str], bus: str, until: str, seconds: float) -> dict[str, float]:
    """Seconds until a new process says that it is ready, until its first frame and its first cycle's end.

    The process is ended when it has come so far as `until`; what did not come by then, or in `seconds`, is left out.
    """
    found: dict[str, float] = {}
    text = b""
    with listener(bus) as ear:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        out = process.stdout.fileno()
        try:
            while until not in found and (left := began + seconds - time.monotonic()) > 0:
                readable, _, _ = select.select((ear.fileno(), out), (), (), left)
                passed = time.monotonic() - began
                if ear.fileno() in readable and ear.recv(4_096):
                    found.setdefault("first_frame", passed)
                if out in readable:
                    octets = os.read(out, 65_536)
                    if not octets:
                        break
                    text += octets
                    for name in (name for name, words in SAID.items() if words in text):
                        found.setdefault(name, passed)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
    return found


def listener(bus: str) -> socket.socket:
    """Hears every frame on a bus, and sends none."""
    group, colon, port = bus.rpartition(":")
    if not colon:
        ear = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
        ear.bind((bus,))
        return ear
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    ear.bind((group, int(port)))
    ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + bytes(4))
    return ear


def load(interface: str, percent: float, bitrate: int, seconds: float) -> dict[str, float]:
    """Keep a SocketCAN bus busy with frames for nobody here; the share of its time that they took in truth."""
    frame = CAN_FRAME.pack(FOREIGN_ID | EXTENDED, 8, b"\xff\x00" * 4)
    frame_s = FRAME_BITS / bitrate
    sent, refused = 0, 0
    with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as mouth:
        mouth.bind((interface,))
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            for _ in range(int(passed * percent / 100 / frame_s) - sent - refused):
                try:
                    mouth.send(frame)
                    sent += 1
                except OSError:  # the queue is full: others have the bus
                    refused += 1
            time.sleep(BURST_S)
    return {"frames": sent, "refused": refused, "percent": 100 * sent * frame_s / seconds}


def _cpu_s(task: Path) -> float:
    """Processor time of a thread: to the nanosecond, or in ticks where the kernel does not count finer."""
    try:
        return int((task / "schedstat").read_text().split(maxsplit=1)[0]) * NS_S
    except FileNotFoundError:
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _fields(file: Path) -> dict[str, str]:
    """`name: value` lines of procfs."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in file.read_text().splitlines())}


def _megabytes(value: str) -> float:
    return int(value.split(maxsplit=1)[0]) * 1_024 / MEGABYTE


def _process(text: str) -> tuple[str, tuple[int, Path | None]]:
    """NAME=PID[:STATE]."""
    name, _, rest = text.partition("=")
    pid, _, state = rest.partition(":")
    return name, (int(pid), Path(state) if state else None)


def main() -> None:
    """Do what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    watching, starting, loading = (verbs.add_parser(name) for name in ("watch", "start", "load"))
    for each in (watching, starting, loading):
        each.add_argument("--seconds", type=float, default=60.0)
    watching.add_argument("process", type=_process, nargs="+", metavar="NAME=PID[:STATE]")
    starting.add_argument("--bus", required=True)
    starting.add_argument("--until", choices=UNTIL, default="first_cycle")
    starting.add_argument("command", nargs="+")
    loading.add_argument("interface")
    loading.add_argument("--percent", type=float, default=50.0)
    loading.add_argument("--bitrate", type=int, default=500_000)
    asked = parser.parse_args()
    found: object
    match asked.verb:
        case "watch":
            found = watch(dict(asked.process), asked.seconds)
        case "start":
            found = start(asked.command, asked.bus, asked.until, asked.seconds)
        case _:
            found = load(asked.interface, asked.percent, asked.bitrate, asked.seconds)
    json.dump(found, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
