"""A rig of Python Secondaries: real processes on a udp_multicast bus of their own, whose power switch is a command."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from rig import backend, provision
from rig.settings import RigSettings, load
from uptane.moments import UtcTime

ROOT = Path(__file__).resolve().parents[2]
SWITCH = Path(__file__).with_name("power_switch.py")


@dataclass
class Bench:
    """A rig file below `folder`, its keys, and its provisioned ECUs; `start` gives them power."""

    folder: Path
    fd: bool = True
    verification: str = "partial"
    ecus: tuple[str, ...] = ("brake",)
    more: str = ""
    length: int = 20_000
    group: str = field(default_factory=lambda: ".".join(["239", *(str(random.randrange(1, 255)) for _ in range(3))]))
    port: int = field(default_factory=lambda: random.randrange(20_000, 60_000))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "failing.bin").write_bytes(b"FAILS " + random.Random(1).randbytes(9_000))
        (self.folder / "hanging.bin").write_bytes(b"HANGS " + random.Random(2).randbytes(9_000))
        self.file.write_text(self.text())
        self.settings: RigSettings = load(self.file)
        made = backend.create(self.settings.backend, self.settings.vehicle, lambda: UtcTime(int(time.time())))
        for ecu in self.settings.ecus:
            folder = provision.provision(self.settings, ecu, made, self.folder / "ecus")
            config = folder / "config.toml"
            test = json.dumps([sys.executable, str(SWITCH), "self-test"])
            config.write_text(config.read_text() + f"[self_test]\ncommand = {test}\ntimeout_s = 10\n")

    @property
    def file(self) -> Path:
        return self.folder / "rig.toml"

    def text(self) -> str:
        ecus = "".join(self.ecu_text(name, 0x21 + number) for number, name in enumerate(self.ecus))
        return f"""
seed = 7
power_cuts = 2
losses = 3
{self.more}
{self.bus_text()}{ecus}"""

    def bus_text(self) -> str:
        return f"""
[[bus]]
name = "bench"
interface = "udp_multicast"
channel = "{self.group}"
fd = {json.dumps(self.fd)}
paced = false
[bus.options]
port = {self.port}
hop_limit = 0
"""

    def ecu_text(self, name: str, address: int) -> str:
        def command(*words: str) -> str:
            return json.dumps([sys.executable, str(SWITCH), *words])

        folder = str(self.folder / "ecus" / name)
        return f"""
[[ecu]]
name = "{name}"
hardware = "{name}-hw"
verification = "{self.verification}"
address = {address}
bus = "bench"
slot_size = 65536
tolerance_ms = 400
[ecu.power]
kind = "command"
on = {command("on", folder)}
off = {command("off", folder)}
off_ms = 10
[ecu.interlock]
safe = {command("interlock", folder, "safe")}
moving = {command("interlock", folder, "moving")}
[ecu.images]
takes = "rig/*"
length = {self.length}
failing = "failing.bin"
hanging = "hanging.bin"
"""

    def switch(self, word: str) -> None:
        for name in self.ecus:
            subprocess.run([sys.executable, str(SWITCH), word, str(self.folder / "ecus" / name)], check=True)

    def run(self, *arguments: str, seconds: float = 110) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rig", *arguments]
        environment = {**os.environ, "COLUMNS": "160"}
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=seconds, env=environment
        )


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def kill(pid: int) -> None:
    os.killpg(pid, signal.SIGKILL)
