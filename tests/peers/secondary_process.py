"""A real marque-secondary process on a bus of its own, provisioned from tests/builders.py."""

import json
import random
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tests.builders import BRAKE, BUILT, HARDWARE, VEHICLE, Pair, image
from uptane.model.ids import EcuId, Filename
from uptane.model.metadata import Image
from uptane.model.signed import PublicKey
from uptane.shell import keys

ROOT = Path(__file__).resolve().parents[2]
READY_S = 60
ADDRESS = 0x21
SLOT_SIZE = 512 * 1024
FIRMWARE = Path("/usr/share/firmware-microbit-micropython")  # Debian's package of that name, where it is installed


def firmware(length: int = 220_000) -> bytes:
    """A real firmware image of at least `length` octets, or octets that look as dense as one."""
    for path in sorted(FIRMWARE.glob("*")) if FIRMWARE.is_dir() else []:
        if path.is_file() and path.stat().st_size >= length:
            return path.read_bytes()[:SLOT_SIZE]
    return random.Random(length).randbytes(length)


def image_of(octets: bytes, counter: int) -> Image:
    """A brake image with these octets, as the repositories list it."""
    return image(
        f"brakes/app-{counter}",
        counter,
        HARDWARE[BRAKE],
        filename=Filename(f"brakes/app-{counter}"),
        length=len(octets),
        sha256=sha256(octets).digest(),
    )


@dataclass
class SecondaryProcess:
    """The process, its folder and its bus. `start` and `kill` as often as one likes."""

    folder: Path
    fd: bool = True
    paced: bool = False
    self_test: list[str] = field(default_factory=list)
    group: str = field(default_factory=lambda: ".".join(["239", *(str(random.randrange(1, 255)) for _ in range(3))]))
    port: int = field(default_factory=lambda: random.randrange(20_000, 60_000))
    socketcan: str | None = None  # an interface of the kernel's instead of a bus between processes
    program: list[str] = field(default_factory=lambda: [sys.executable, "-m", "secondary"])
    process: subprocess.Popen[str] | None = None
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pair = Pair()
        self.ecu: EcuId = BRAKE
        self.folder.mkdir(parents=True, exist_ok=True)
        self.interlock("safe")
        self._provision()

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def _provision(self) -> None:
        factory = self.pair.factory[self.ecu]
        octets = f"{factory.filename} 1".encode() * 50
        assert sha256(octets).digest() == factory.sha256
        initial = self.folder / "initial"
        (initial / "director").mkdir(parents=True)
        director = self.pair.director
        (initial / "director" / "root").write_bytes(director.offered["1.root"])
        (initial / "director" / "targets").write_bytes(director.offered[f"{director.versions['targets']}.targets"])
        (initial / "time").write_text(f"{BUILT}\n")
        (initial / "image.bin").write_bytes(octets)
        (self.folder / "keys").mkdir()
        self.key: PublicKey = keys.create(self.folder / "keys" / "ecu.pem", None).public
        bus = f'interface = "udp_multicast"\nchannel = "{self.group}"\nport = {self.port}'
        if self.socketcan is not None:
            bus = f'interface = "socketcan"\nchannel = "{self.socketcan}"'
        command = f"command = {json.dumps(self.self_test)}" if self.self_test else ""
        self.config.write_text(
            f"""
            vehicle = "{VEHICLE}"
            ecu = "{self.ecu}"
            hardware = "{HARDWARE[self.ecu]}"
            verification = "partial"
            address = {ADDRESS}
            filename = "*/*"
            slot_size = {SLOT_SIZE}
            [can]
            {bus}
            fd = {str(self.fd).lower()}
            paced = {str(self.paced).lower()}
            [interlock]
            kind = "file"
            path = "interlock"
            [self_test]
            {command}
            [image]
            filename = "{factory.filename}"
            length = {factory.length}
            sha256 = "{factory.sha256.hex()}"
            release_counter = {factory.release_counter}
            """
        )

    def interlock(self, word: str) -> None:
        (self.folder / "interlock").write_text(word)

    def start(self, *, file_octets_max: int | None = None) -> "SecondaryProcess":
        """Start it and wait until it says that it is ready; longer files than given fail, as on a full disk."""
        command = [*self.program, "run", "--config", str(self.config)]
        if file_octets_max is not None:
            limit = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({file_octets_max},) * 2);"
            command = [sys.executable, "-c", f"{limit} os.execv(sys.executable, {command!r})"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._read, args=(self.process, said), daemon=True).start()
        try:
            while "is ready on" not in (line := said.get(timeout=READY_S)):
                assert line, "\n".join(self.lines)
        except Empty:
            raise AssertionError("\n".join(self.lines)) from None
        return self

    def _read(self, process: subprocess.Popen[str], said: "SimpleQueue[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.lines.append(line.rstrip())
                said.put(line)
        said.put("")

    def kill(self) -> None:
        """As a power cut."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """As systemd does; the exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def status(self) -> dict[str, Any]:
        """What the status command tells."""
        command = [*self.program, "status", "--config", str(self.config), "--json"]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
        facts: dict[str, Any] = json.loads(told.stdout)
        return facts

    def rss_kb(self) -> int:
        """Resident memory of the process."""
        assert self.process is not None
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert found is not None
        return int(found.group(1))
