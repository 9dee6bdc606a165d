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
SLOT = 2_000_000  # octets
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

    def lead_to(self, port: int) -> None:
        """From now on pass connections on to another port: the server was started again."""
        self._to = ("127.0.0.1", port)

    def close(self) -> None:
        """Take no more connections."""
        self._door.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._door.accept()
                self._join(here)

    def _join(self, here: socket.socket) -> None:
        try:
            there = socket.create_connection(self._to)
        except OSError:  # the server is down: so are we
            here.close()
            return
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


def _any_group() -> str:
    return f"239.{secrets.randbelow(63) + 192}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"


@dataclass
class Vehicle:
    """All processes, the relays by server, and where everything is. The Primary has `secondaries`, named and numbered.

    `poll_s` is how often it polls, in seconds.
    """

    home: Path = FOLDER
    secondaries: tuple[str, ...] = (SECONDARY,)
    poll_s: int = 1
    group: str = field(default_factory=_any_group)
    port: int = field(default_factory=lambda: 20_000 + secrets.randbelow(20_000))
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    relays: dict[str, Relay] = field(default_factory=dict)

    @property
    def progress(self) -> Path:
        """One JSON object a line."""
        return self.home / "progress.jsonl"

    def folder(self, ecu: str) -> Path:
        """What was provisioned for an ECU."""
        return self.home / "vehicle" / ecu

    def start(self, name: str, *command: str) -> None:
        """Start `python -m command`, its output in a file."""
        with (self.home / f"{name}.log").open("ab") as log:
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
            self.check()
            time.sleep(0.05)
        raise BenchFailure(f"the Primary does not come to rest: {self.cycles()[-5:]}")

    def check(self) -> None:
        """Raise BenchFailure when a process has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise BenchFailure(f"{name} ended: {self.said(name)[-1_000:]}")

    def said(self, name: str) -> str:
        """Everything a process has said."""
        return (self.home / f"{name}.log").read_text()

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
    vehicle = founded(Vehicle())
    try:
        start_secondaries(vehicle)
        start_primary(vehicle)
    except BaseException:
        vehicle.stop()
        raise
    return vehicle


def founded(vehicle: Vehicle) -> Vehicle:
    """Found everything anew in the vehicle's home, and start the servers."""
    home = vehicle.home
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    secret = home / "passphrase"
    secret.touch(0o600)
    secret.write_text(secrets.token_urlsafe(24) + "\n")
    try:
        _found(vehicle, ("--passphrase-file", str(secret)))
        _serve(vehicle, ("--passphrase-file", str(secret)))
        _provision(vehicle)
    except BaseException:
        vehicle.stop()
        raise
    return vehicle


def start_secondaries(vehicle: Vehicle) -> None:
    """Start every Secondary."""
    for ecu in vehicle.secondaries:
        vehicle.start(ecu, "secondary", "run", "--config", str(vehicle.folder(ecu) / "config.toml"))


def primary_command(vehicle: Vehicle) -> tuple[str, ...]:
    """What starts the resident Primary, after `python -m`."""
    config = str(vehicle.folder(PRIMARY) / "config.toml")
    return "primary", "run", "--config", config, "--progress", str(vehicle.progress)


def start_primary(vehicle: Vehicle) -> None:
    """Start the resident Primary."""
    vehicle.start(PRIMARY, *primary_command(vehicle))


def _found(vehicle: Vehicle, secret: tuple[str, str]) -> None:
    home = vehicle.home
    _command("image_repo", "init", str(home / "image"), *secret)
    _command("director.time_main", "init", str(home / "time"), *secret)
    time_key = ("--time-key", str(home / "time" / "public.pem"))
    image = ("--image-repo", str(home / "image"))
    _command("director", "init", str(home / "director"), *time_key, *image, "--poll", str(vehicle.poll_s), *secret)


def _serve(vehicle: Vehicle, secret: tuple[str, str]) -> None:
    """Start the three servers and a relay before each."""
    home = vehicle.home
    publish = ("--operator-port", "0", "--operator-port-file", str(home / "publish.port"))
    commands: dict[str, tuple[str, ...]] = {
        "image": ("image_repo", "serve", "--repo", str(home / "image"), *publish),
        "time": ("director.time_main", "serve", "--folder", str(home / "time")),
    }
    for name, command in commands.items():
        _serve_one(vehicle, name, (*command, *secret))
    serve_director(vehicle)


def serve_director(vehicle: Vehicle) -> None:
    """Start the Director behind the other two servers; once more, and vehicles still find it where it was."""
    home = vehicle.home
    places = [(f"--{name}-address", f"127.0.0.1:{vehicle.relays[name].port}") for name in ("image", "time")]
    further = [text for place in places for text in place]
    secret = ("--passphrase-file", str(home / "passphrase"))
    _serve_one(vehicle, "director", ("director", "serve", "--folder", str(home / "director"), *secret, *further))


def _serve_one(vehicle: Vehicle, name: str, command: tuple[str, ...]) -> None:
    file = vehicle.home / f"{name}.port"
    file.unlink(missing_ok=True)
    vehicle.start(name, *command, "--port", "0", "--port-file", str(file))
    port = _port(vehicle, file)
    if name in vehicle.relays:
        vehicle.relays[name].lead_to(port)
    else:
        vehicle.relays[name] = Relay(port)


def _provision(vehicle: Vehicle) -> None:
    """Enrol the vehicle and write what each of its ECUs starts from."""
    home = vehicle.home
    description = home / "vehicle.toml"
    description.write_text(_description(vehicle))
    operate(vehicle, "enrol", str(description))
    to = [text for name in SERVERS for text in (f"--{name}-address", f"127.0.0.1:{vehicle.relays[name].port}")]
    operate(vehicle, "provision", VEHICLE, "--out", str(home / "vehicle"), *to)
    for ecu in (PRIMARY, *vehicle.secondaries):
        (vehicle.folder(ecu) / "initial" / "image.bin").write_bytes(IMAGE)


def operate(vehicle: Vehicle, *command: str) -> None:
    """Do as an operator at the Director does."""
    port = _port(vehicle, vehicle.home / "director.port")
    _command("director", *command, "--folder", str(vehicle.home / "director"), "--server", f"127.0.0.1:{port}")


def publish(vehicle: Vehicle, file: Path, hardware: str, counter: int) -> None:
    """Have the Image repository vouch for a file under its own name."""
    home = vehicle.home
    secret = ("--passphrase-file", str(home / "passphrase"))
    where = ("--repo", str(home / "image"), "--server", f"127.0.0.1:{_port(vehicle, home / 'publish.port')}")
    _command("image_repo", "publish", str(file), "--hardware", hardware, "--counter", str(counter), *where, *secret)


def _description(vehicle: Vehicle) -> str:
    image = f'length = {len(IMAGE)}\nsha256 = "{hashlib.sha256(IMAGE).hexdigest()}"\n'
    bus = (
        f'[[bus]]\nname = "chassis"\ninterface = "udp_multicast"\nchannel = "{vehicle.group}"\nport = {vehicle.port}\n'
    )
    primary = f'[[ecu]]\nid = "{PRIMARY}"\nhardware = "tcu"\nprimary = true\nslot_size = {SLOT}\n'
    secondaries = (
        f'[[ecu]]\nid = "{ecu}"\nhardware = "esc"\nverification = "partial"\nbus = "chassis"\naddress = {address}\n'
        f'slot_size = {SLOT}\n[ecu.image]\nfilename = "oem/esc-1"\n{image}'
        '[ecu.interlock]\nkind = "file"\npath = "interlock"\n'
        for address, ecu in enumerate(vehicle.secondaries, 17)
    )
    gate = '[ecu.gate]\nkind = "file"\npath = "gate"\n'
    whole = f'{primary}[ecu.image]\nfilename = "oem/tcu-1"\n{image}{gate}'
    return f'vehicle = "{VEHICLE}"\n{bus}{whole}{"".join(secondaries)}'


def _command(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], check=False, capture_output=True, text=True)
    if done.returncode:
        raise BenchFailure(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def _port(vehicle: Vehicle, file: Path) -> int:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if file.exists() and (text := file.read_text().strip()):
            return int(text)
        vehicle.check()
        time.sleep(0.05)
    raise BenchFailure(f"nobody wrote {file}")
