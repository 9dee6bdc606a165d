"""Servers, a resident Primary and a Secondary as processes, with counting relays between vehicle and servers."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import BUILD

FOLDER = BUILD / "bench" / "poll"
VEHICLE = "BENCH000000000001"
PRIMARY, SECONDARY = "telematics", "brake"
IMAGE = b"factory image " * 1_000
READY_S = 60.0
SERVERS = ("director", "time", "image")


class BenchFailure(Exception):
    """A process did not do its part; the text says which, and what it said last."""


class Relay:
    """Passes connections on to a server and counts every octet, both ways."""

    def __init__(self, port: int) -> None:
        self._to = ("127.0.0.1", port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self.octets = 0
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._door.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._door.accept()
                there = socket.create_connection(self._to)
                for each in (here, there):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                for source, target in ((here, there), (there, here)):
                    threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while octets := source.recv(65_536):
                self.octets += len(octets)
                target.sendall(octets)
            target.shutdown(socket.SHUT_WR)


@dataclass
class Vehicle:
    """All processes, the relays by server, and where the Primary writes what it does."""

    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    relays: dict[str, Relay] = field(default_factory=dict)

    @property
    def progress(self) -> Path:
        """One JSON object a line."""
        return FOLDER / "progress.jsonl"

    def folder(self, ecu: str) -> Path:
        """What was provisioned for an ECU."""
        return FOLDER / "vehicle" / ecu

    def start(self, name: str, *command: str) -> None:
        """Start `python -m command`, its output in a file."""
        with (FOLDER / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command], stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def cycles(self) -> list[str]:
        """How the Primary's cycles ended so far."""
        if not self.progress.exists():
            return []
        lines = [json.loads(line) for line in self.progress.read_text().splitlines()]
        return [line["result"] for line in lines if "result" in line]

    def wait_idle(self, count: int) -> None:
        """Wait until the last `count` cycles found nothing to do."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self.cycles()[-count:] == ["IDLE"] * count:
                return
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise BenchFailure(f"{name} ended: {(FOLDER / f'{name}.log').read_text()[-1_000:]}")
            time.sleep(0.05)
        raise BenchFailure(f"the Primary does not come to rest: {self.cycles()[-5:]}")

    def seconds(self, name: str) -> float:
        """Processor seconds a process has used."""
        fields = Path(f"/proc/{self.processes[name].pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self, name: str) -> float:
        """Megabytes of memory a process has, shared libraries included."""
        lines = Path(f"/proc/{self.processes[name].pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) * 1_024 / 1e6

    def stop(self, *names: str) -> None:
        """End these processes, or all."""
        for name in names or tuple(self.processes):
            process = self.processes.pop(name)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def started() -> Vehicle:
    """Found everything anew below FOLDER, and start it all."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    secret = FOLDER / "passphrase"
    secret.touch(0o600)
    secret.write_text(secrets.token_urlsafe(24) + "\n")
    vehicle = Vehicle()
    try:
        _found(("--passphrase-file", str(secret)))
        _serve(vehicle, ("--passphrase-file", str(secret)))
        _provision(vehicle)
        vehicle.start(SECONDARY, "secondary", "run", "--config", str(vehicle.folder(SECONDARY) / "config.toml"))
        start_primary(vehicle)
    except BaseException:
        vehicle.stop()
        raise
    return vehicle


def start_primary(vehicle: Vehicle) -> None:
    """Start the resident Primary."""
    config = str(vehicle.folder(PRIMARY) / "config.toml")
    vehicle.start(PRIMARY, "primary", "run", "--config", config, "--progress", str(vehicle.progress))


def _found(secret: tuple[str, str]) -> None:
    _command("image_repo", "init", str(FOLDER / "image"), *secret)
    _command("director.time_main", "init", str(FOLDER / "time"), *secret)
    time_key = ("--time-key", str(FOLDER / "time" / "public.pem"))
    image = ("--image-repo", str(FOLDER / "image"))
    _command("director", "init", str(FOLDER / "director"), *time_key, *image, "--poll", "1", *secret)


def _serve(vehicle: Vehicle, secret: tuple[str, str]) -> None:
    """Start the three servers and a relay before each."""
    publish = ("--operator-port", "0", "--operator-port-file", str(FOLDER / "publish.port"))
    commands: dict[str, tuple[str, ...]] = {
        "image": ("image_repo", "serve", "--repo", str(FOLDER / "image"), *publish),
        "time": ("director.time_main", "serve", "--folder", str(FOLDER / "time")),
    }
    for name, command in commands.items():
        _serve_one(vehicle, name, (*command, *secret))
    places = [(f"--{name}-address", f"127.0.0.1:{vehicle.relays[name].port}") for name in ("image", "time")]
    further = [text for place in places for text in place]
    _serve_one(vehicle, "director", ("director", "serve", "--folder", str(FOLDER / "director"), *secret, *further))


def _serve_one(vehicle: Vehicle, name: str, command: tuple[str, ...]) -> None:
    file = FOLDER / f"{name}.port"
    vehicle.start(name, *command, "--port", "0", "--port-file", str(file))
    vehicle.relays[name] = Relay(_port(vehicle, file))


def _provision(vehicle: Vehicle) -> None:
    """Enrol a vehicle of two ECUs and write what each starts from."""
    port = _port(vehicle, FOLDER / "director.port")
    where = ("--folder", str(FOLDER / "director"), "--server", f"127.0.0.1:{port}")
    (FOLDER / "vehicle.toml").write_text(_description())
    _command("director", "enrol", str(FOLDER / "vehicle.toml"), *where)
    to = [text for name in SERVERS for text in (f"--{name}-address", f"127.0.0.1:{vehicle.relays[name].port}")]
    _command("director", "provision", VEHICLE, "--out", str(FOLDER / "vehicle"), *to, *where)
    for ecu in (PRIMARY, SECONDARY):
        (vehicle.folder(ecu) / "initial" / "image.bin").write_bytes(IMAGE)


def _description() -> str:
    group = f"239.{secrets.randbelow(63) + 192}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"
    image = f'length = {len(IMAGE)}\nsha256 = "{hashlib.sha256(IMAGE).hexdigest()}"\n'
    return (
        f'vehicle = "{VEHICLE}"\n[[bus]]\nname = "chassis"\ninterface = "udp_multicast"\nchannel = "{group}"\n'
        f"port = {20_000 + secrets.randbelow(20_000)}\n"
        f'[[ecu]]\nid = "{PRIMARY}"\nhardware = "tcu"\nprimary = true\nslot_size = 100000\n'
        f'[ecu.image]\nfilename = "oem/tcu-1"\n{image}'
        f'[[ecu]]\nid = "{SECONDARY}"\nhardware = "esc"\nverification = "partial"\nbus = "chassis"\naddress = 17\n'
        f'slot_size = 100000\n[ecu.image]\nfilename = "oem/esc-1"\n{image}'
    )


def _command(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], check=False, capture_output=True, text=True)
    if done.returncode:
        raise BenchFailure(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def _port(vehicle: Vehicle, file: Path) -> int:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if file.exists() and (text := file.read_text().strip()):
            return int(text)
        for name, process in vehicle.processes.items():
            if process.poll() is not None:
                raise BenchFailure(f"{name} ended: {(FOLDER / f'{name}.log').read_text()[-1_000:]}")
        time.sleep(0.05)
    raise BenchFailure(f"nobody wrote {file}")
