"""One emulated board: QEMU with two CAN controllers on a bus, a disk that loses what was not flushed, a hand on it.

Cutting its power is SIGKILL. The disk is an overlay in QEMU's qcow2: where a block lies that is written for the first
time stands in QEMU's memory until the board flushes its disk, so a cut loses it, as a drive's cache would.
"""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.board.root import QEMU, WORDS, Made
from tests.system.fleet import wait_for

BOOT_S = 600.0
COMMAND_S = 600.0
CAN = ("-object", "can-bus,id=bus", "-device", "kvaser_pci,canbus=bus", "-device", "kvaser_pci,canbus=bus")


@dataclass(frozen=True, slots=True)
class Told:
    """What a command on the board ended with, and printed."""

    status: int
    text: str


def _connected(name: str) -> socket.socket | None:
    ours = socket.socket(socket.AF_UNIX)
    try:
        ours.connect(f"\0{name}")
    except OSError:
        ours.close()
        return None
    return ours


@dataclass
class Machine:
    """A board of its own; `folder` keeps its disk and what its console said."""

    made: Made
    folder: Path
    clock: str = "utc"
    carried: Path | None = None
    """A second disk, for reading: /dev/vdb."""
    _process: subprocess.Popen[bytes] | None = None
    _agent: socket.socket | None = None
    _rest: bytearray = field(default_factory=bytearray)

    @property
    def disk(self) -> Path:
        """What it has written."""
        return self.folder / "disk.qcow2"

    @property
    def console(self) -> str:
        """What the kernel and systemd have said, of all boots."""
        return "".join(log.read_text(errors="replace") for log in sorted(self.folder.glob("console-*.log")))

    def boot(self) -> Machine:
        """Give it power, and wait for its agent."""
        assert self._process is None
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.disk.exists():
            words = ("-f", "qcow2", "-b", str(self.made.disk), "-F", "qcow2", str(self.disk))
            subprocess.run(["qemu-img", "create", "-q", *words], check=True)
        name = f"marque-board-{secrets.token_hex(8)}"
        log = self.folder / f"console-{len(list(self.folder.glob('console-*.log'))):03}.log"
        second = () if self.carried is None else ("-drive", f"file={self.carried},format=raw,if=virtio,readonly=on")
        command = [
            *QEMU,
            *("-kernel", self.made.kernel, "-initrd", self.made.initramfs, "-append", WORDS),
            *("-device", "virtio-serial-pci"),
            *("-chardev", f"socket,id=agent,path={name},abstract=on,server=on,wait=off"),
            *("-device", "virtserialport,chardev=agent"),
            *("-drive", f"file={self.disk},format=qcow2,if=virtio,cache=writeback"),
            *second,
            *CAN,
            *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="),
            *("-device", "virtio-rng-pci", "-rtc", f"base={self.clock}"),
            *("-serial", f"file:{log}"),
        ]
        self._process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, start_new_session=True
        )
        self._agent, self._rest = wait_for(lambda: _connected(name), "QEMU runs"), bytearray()
        while self._line(time.monotonic() + BOOT_S) != b"hello":
            pass
        return self

    def cut(self) -> None:
        """Take its power away."""
        assert self._process is not None
        assert self._agent is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._agent.close()
        self._process = self._agent = None

    def stop(self) -> None:
        """Leave no process behind."""
        if self._process is not None:
            self.cut()

    def _line(self, end: float) -> bytes:
        assert self._agent is not None
        while b"\n" not in self._rest:
            left = end - time.monotonic()
            assert left > 0, f"the board does not answer:\n{self.console[-3_000:]}"
            self._agent.settimeout(left)
            try:
                octets = self._agent.recv(65_536)
            except TimeoutError:
                continue
            assert octets, f"the board has ended:\n{self.console[-3_000:]}"
            self._rest += octets
        line, _, self._rest = self._rest.partition(b"\n")
        return bytes(line)

    def tell(self, command: str, *, seconds: float = COMMAND_S) -> Told:
        """Run a command as root, and wait for its end."""
        assert self._agent is not None
        self._agent.settimeout(seconds)
        self._agent.sendall(base64.b64encode(command.encode()) + b"\n")
        said = base64.b64decode(self._line(time.monotonic() + seconds)).decode(errors="replace")
        text, _, status = said.rpartition(" ")
        return Told(int(status), text.rstrip("\n"))

    def do(self, command: str, *, seconds: float = COMMAND_S) -> str:
        """The same for a command that must succeed; what it printed."""
        told = self.tell(command, seconds=seconds)
        assert told.status == 0, f"{command}: {told.status}\n{told.text}\n{self.console[-1_000:]}"
        return told.text
