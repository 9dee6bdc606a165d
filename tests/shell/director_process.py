"""The Director, the time service and an Image repository as real processes, set up by the commands a person types."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.shell.repository_process import PASSPHRASE, ROOT, Repository, octets_of, secret_file, wait_for

MODULES = {"director": "director", "time": "director.time_main"}


def run(module: str, *words: object, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", MODULES[module], *map(str, words)]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def answer(module: str, *words: object, code: int = 0) -> Any:
    """The JSON a command answers with; its exit code is checked."""
    ran = run(module, *words, "--json")
    assert ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
    return json.loads(ran.stdout)


@dataclass
class Process:
    """A server of ours in a folder of its own."""

    module: str
    folder: Path
    secret: Path
    further: tuple[object, ...] = ()
    server: subprocess.Popen[bytes] | None = None
    port: int = 0

    def start(self, *more: object) -> Process:
        """Start it, on the port it had before if it ran before."""
        file = self.folder.parent / f"{self.module}.port"
        file.unlink(missing_ok=True)
        words = ["serve", "--folder", self.folder, "--port", self.port, "--port-file", file]
        words += ["--passphrase-file", self.secret, *self.further, *more]
        self.log = self.folder.parent / f"{self.module}.log"
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", MODULES[self.module], *map(str, words)]
            self.server = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        server = self.server
        wait_for(lambda: file.exists() or server.poll() is not None)
        assert server.poll() is None, self.log.read_text()
        self.port = int(file.read_text())
        return self

    def stop(self, number: int = signal.SIGTERM, within: float = 20) -> int:
        """Send a signal; the exit code."""
        assert self.server is not None
        self.server.send_signal(number)
        code = self.server.wait(within)
        self.server = None
        return code

    def kill(self) -> None:
        if self.server is not None:
            self.server.kill()
            self.server.wait(20)
            self.server = None


@dataclass
class Town:
    """All three, and operators' commands."""

    folder: Path
    images: Repository
    time: Process
    director: Process

    def cli(self, verb: str, *words: object, code: int = 0) -> Any:
        where = ("--folder", self.director.folder, "--server", f"127.0.0.1:{self.director.port}")
        return answer("director", verb, *words, *where, code=code)

    def publish(self, name: str, hardware: str, counter: int) -> Path:
        file = self.folder / name.replace("/", "-")
        file.write_bytes(octets_of(5_000, name.encode()))
        self.images.publish(file, name, "--hardware", hardware, "--counter", counter)
        return file

    def factory(self, kind: str) -> Path:
        """What an ECU left the factory with: the same for every vehicle, published once."""
        name = f"oem/{kind}-1"
        file = self.folder / name.replace("/", "-")
        return file if file.exists() else self.publish(name, f"{kind}-hw", 1)

    def status(self, vin: str, ecu: str) -> Any:
        [vehicle] = self.cli("status", vin)["vehicles"]
        return next(each for each in vehicle["ecus"] if each["ecu"] == ecu)


def found(folder: Path, images: Path) -> None:
    """The time service's and the Director's folders, beside a repository that was founded before."""
    secret = secret_file(folder)
    answer("time", "init", folder / "time", "--passphrase-file", secret)
    words = ("--time-key", folder / "time" / "public.pem", "--image-repo", images, "--passphrase-file", secret)
    answer("director", "init", folder / "director", *words)


@contextmanager
def town(founded: Path, folder: Path) -> Iterator[Town]:
    """All three, founded before, copied, serving."""
    shutil.copytree(founded, folder, dirs_exist_ok=True)
    secret = folder / "passphrase"
    assert secret.read_bytes() == PASSPHRASE + b"\n"
    images = Repository(folder / "repo", secret)
    time = Process("time", folder / "time", secret)
    director = Process("director", folder / "director", secret)
    try:
        images.start()
        time.start()
        director.further = ("--image-address", f"127.0.0.1:{images.port}", "--time-address", f"127.0.0.1:{time.port}")
        director.start()
        yield Town(folder, images, time, director)
    finally:
        for process in (director, time, images):
            process.kill()


VEHICLE = """
vehicle = "{vin}"

[[bus]]
name = "chassis"
interface = "udp_multicast"
channel = "239.10.10.10"
port = 30001
bitrate = 500000

[[bus]]
name = "backbone"
interface = "udp_multicast"
channel = "239.10.10.11"
port = 30002
fd = true
data_bitrate = 2000000

[[ecu]]
id = "gw"
hardware = "gw-hw"
primary = true
slot_size = 100000
filename = "oem/*"
image = {{ filename = "oem/gw-1", release_counter = 1, file = "{gw}" }}
gate = {{ kind = "file", path = "gate" }}

[[ecu]]
id = "brake"
hardware = "brake-hw"
bus = "chassis"
address = 0x11
slot_size = 100000
image = {{ filename = "oem/brake-1", release_counter = 1, file = "{brake}" }}
interlock = {{ kind = "file", path = "interlock" }}

[[ecu]]
id = "camera"
hardware = "camera-hw"
verification = "full"
bus = "backbone"
address = 0x12
slots = 1
slot_size = 100000
image = {{ filename = "oem/camera-1", release_counter = 1, length = 3, sha256 = "{hash}" }}
"""


def describe(of: Town, vin: str) -> Path:
    """VEHICLE.toml of one vehicle, beside the files it names."""
    names = {"gw": of.factory("gw").name, "brake": of.factory("brake").name}
    file = of.folder / f"{vin}.toml"
    file.write_text(VEHICLE.format(vin=vin, hash="00" * 32, **names))
    return file
