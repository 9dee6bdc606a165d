"""The same figures on an emulated Cortex-A72 with Debian's arm64 packages, beside this machine's where it has them.

Takes about ten minutes: an emulated board installs and enrols as tests/board has it. QEMU translates each instruction
and counts none: neither caches nor a clock rate are modelled, so memory is what a board's would be, and seconds are a
ratio to this machine, several times slower than a Raspberry Pi 4. Where no such board can be had, it says why.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench.figures import BUILD, Peer, Row, plain
from tests.board import root
from tests.board.packages import NoBoardError
from tests.board.vehicle import Vehicle, on_a_new_board
from tests.system.fleet import wait_for

HERE: Final = "this machine"
PROBE, ISOTP = (Path(__file__).with_name(name).resolve() for name in ("board_probe.py", "board_isotp.py"))
WATCHED_S: Final = 120
START_S: Final = 300
UPDATE_S: Final = 600.0
THERE: Final = "/srv"
PYTHON: Final = "/usr/lib/marque/primary/bin/python3 -I"
STATE: Final = "/var/lib/marque"
BUS: Final = "modprobe vcan; modprobe can-isotp; ip link add dev vcan0 type vcan; ip link set vcan0 up"
LOADED: Final = """
import time
from primary.shell import memory
memory.load_less()
import primary.shell.board, primary.shell.process
status = open("/proc/self/status").read()
print(time.process_time(), int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6)
"""


def rows() -> list[Row]:
    """Memory, start, processor time of idling, ISO-TP. Without a board none, and the reason on standard error."""
    missing = root.why_not()
    if missing is None:
        _say("an emulated arm64 board is made, installed and enrolled: minutes")
        try:
            return _measured()
        except NoBoardError as error:
            missing = str(error)
    _say(f"no figures of the emulated arm64 board: {missing}")
    return []


def _measured() -> list[Row]:
    folder = BUILD / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as below, on_a_new_board(Path(below)) as vehicle:
        return figures_of(vehicle)


def figures_of(vehicle: Vehicle) -> list[Row]:
    """Of a board that runs; its services are stopped in the end."""
    for script in (PROBE, ISOTP):
        vehicle.machine.do(f"cat > {THERE}/{script.name} <<'EOF'\n{script.read_text()}\nEOF")
    wait_for(vehicle.at_rest, "a report of both", seconds=UPDATE_S, every=1.0)
    return [*_idle_rows(vehicle), *_start_rows(vehicle), *_machine_rows(vehicle), *_isotp_rows(vehicle)]


def _idle_rows(vehicle: Vehicle) -> list[Row]:
    _say(f"both services idle for {WATCHED_S} s")
    pids = {role: vehicle.machine.do(f"systemctl show -P MainPID marque-{role}") for role in ("primary", "secondary")}
    processes = " ".join(f"{role}={pid}:{STATE}/{role}/state" for role, pid in pids.items())
    found = json.loads(vehicle.machine.do(f"python3 {THERE}/{PROBE.name} watch --seconds {WATCHED_S} {processes}"))
    table = []
    for role, each in found.items():
        table += [
            plain(f"emulated A72, idle {role}: RSS", "MB", each["rss_mb"]),
            plain(f"emulated A72, idle {role}: PSS", "MB", each["pss_mb"]),
            plain(f"emulated A72, idle {role}: processor time a minute", "ms", each["cpu_s"] * 1e3 * 60 / WATCHED_S),
        ]
    return table


def _start_rows(vehicle: Vehicle) -> list[Row]:
    """From exec to work, as the service's user, the files in the page cache."""
    _say("both start anew")
    table, do = [], vehicle.machine.do
    for role, bus, until in (("primary", "can0", "first_cycle"), ("secondary", "can1", "ready")):
        do(f"systemctl stop marque-{role}")
        user = f"setpriv --reuid marque-{role} --regid marque-{role} --clear-groups"
        probe = f"{user} python3 {THERE}/{PROBE.name} start --bus {bus} --until {until} --seconds {START_S}"
        found = json.loads(do(f"{probe} -- /usr/bin/marque-{role} run --config /etc/marque/{role}.toml"))
        do(f"systemctl start marque-{role}")
        named = {"ready": "it is ready", "first_frame": "its first frame", "first_cycle": "its first manifest is told"}
        names = [name for name in named if name in found and (role == "primary" or name == "ready")]
        table += [plain(f"emulated A72, start of a {role}: until {named[name]}", "s", found[name]) for name in names]
    return table


def _machine_rows(vehicle: Vehicle) -> list[Row]:
    """The same work here and there; nothing of it waits."""
    _say("the same work there and here")
    loaded = f"{PYTHON} -c '{LOADED}'"
    seconds, megabytes = map(float, vehicle.machine.do(loaded).split())
    our_seconds, our_megabytes = map(float, _here("-c", LOADED).split())
    rate, our_rate = _rate(vehicle, "alone"), float(_here(str(ISOTP), "alone"))
    return [
        plain("emulated A72, loading a Primary: processor time", "s", seconds, Peer(HERE, our_seconds)),
        plain("emulated A72, loaded Primary: RSS", "MB", megabytes, Peer(HERE, our_megabytes)),
        _faster("emulated A72, ISO-TP payload in one process", rate, Peer(HERE, our_rate)),
    ]


def _isotp_rows(vehicle: Vehicle) -> list[Row]:
    _say("ISO-TP over vcan, ours and the kernel's")
    vehicle.machine.do("systemctl stop marque-primary marque-secondary")
    vehicle.machine.do(BUS)
    rates = {who: _rate(vehicle, f"{who} vcan0") for who in ("ours", "kernel")}
    name = "emulated A72, ISO-TP payload over vcan, two processes"
    return [_faster(name, rates["ours"], Peer("the kernel's ISO-TP", rates["kernel"]))]


def _faster(name: str, ours: float, peer: Peer) -> Row:
    """In kB/s; more is better."""
    row = plain(name, "kB/s", ours / 1e3, Peer(peer.name, peer.figure / 1e3))
    return row | {"ratio": float(f"{ours / peer.figure:.4g}")}


def _rate(vehicle: Vehicle, words: str) -> float:
    return float(vehicle.machine.do(f"{PYTHON} {THERE}/{ISOTP.name} {words}"))


def _here(*words: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(BUILD.parent)}
    return subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True, env=environment).stdout


def _say(line: str) -> None:
    print(f"board: {line}", file=sys.stderr, flush=True)
