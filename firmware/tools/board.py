"""The emulated board under power: QEMU with the boot stub, the board's folder, and its two serial lines.

A power cut is QEMU killed: what the board had written is in its flash file, the rest never happened. It runs in the
same process group, and dies with us where the system can promise that.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Final

from firmware.tools.flash_file import FACTS_FILE, BoardError, layout

QEMU: Final = "qemu-system-arm"
MACHINE: Final = "lm3s6965evb"
READ_OCTETS: Final = 65_536  # taken at one go: a megabit of frames
UNSENT_MAX: Final = 65_536  # octets that wait for a board which reads nothing: half a second of a full bus
_MEANINGLESS = ("stellaris_enet", "Timer with period zero")  # what QEMU says of this machine however it is started


class Board:
    """A board with its two serial lines; `power_on` and `power_off` as often as one likes."""

    def __init__(self, folder: Path, stub: Path, *, icount: int | None = None) -> None:
        self._folder = folder
        self._stub = stub
        self._icount = icount
        self._numbers = layout()
        self._process: subprocess.Popen[bytes] | None = None
        self._unsent = b""
        self.can: socket.socket | None = None
        """Our end of the CAN line; None without power. Never blocks."""
        self.console: socket.socket | None = None
        """Our end of the console. Never blocks."""
        self.dropped = 0
        """Lines to the board that it did not take in time."""

    @property
    def pid(self) -> int | None:
        """QEMU's process; None without power."""
        return None if self._process is None else self._process.pid

    def power_on(self) -> None:
        """Start it.

        Raises:
            BoardError: QEMU, the boot stub, the facts or the flash file is not there.
        """
        assert self._process is None
        files = (self._stub, self._folder / FACTS_FILE, self._folder / self._numbers.flash_file)
        for path in files:
            if not path.is_file():
                raise BoardError(
                    f"{path}: no such file; `make firmware` builds, `python -m firmware make` makes a board"
                )
        if (qemu := shutil.which(QEMU)) is None:
            raise BoardError(f"{QEMU}: not found; on Debian: apt-get install qemu-system-arm")
        can, can_of_board = socket.socketpair()
        console, console_of_board = socket.socketpair()
        with can_of_board, console_of_board:
            lines = (can_of_board.fileno(), console_of_board.fileno())
            with (self._folder / "qemu.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [*_dying_with_us(), qemu, *self._arguments(lines)],
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=lines,
                )
        for line in (can, console):
            line.setblocking(False)
        self.can, self.console = can, console

    def _arguments(self, lines: tuple[int, int]) -> list[str]:
        facts = f"loader,file={FACTS_FILE},addr=0x{self._numbers['FACTS']:X},force-raw=on"
        words = ["-M", MACHINE, "-kernel", str(self._stub.resolve()), "-device", facts, "-nodefaults"]
        words += ["-display", "none", "-semihosting-config", "enable=on,target=native"]
        if self._icount is not None:
            words += ["-icount", f"shift={self._icount}"]
        for name, number in zip(("can", "console"), lines, strict=True):
            words += ["-chardev", f"socket,id={name},fd={number}", "-serial", f"chardev:{name}"]
        return words

    def power_off(self) -> None:
        """Cut its power."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        for line in (self.can, self.console):
            if line is not None:
                line.close()
        self.can = self.console = None
        self._unsent = b""

    def ended(self) -> str | None:
        """Why QEMU ended by itself, in its own last words; None while it runs or is off."""
        if self._process is None or self._process.poll() is None:
            return None
        said = (self._folder / "qemu.log").read_text(errors="replace").splitlines()
        words = [line for line in said if "qemu" in line and not any(each in line for each in _MEANINGLESS)]
        return f"QEMU ended with {self._process.returncode}: {words[-1] if words else 'without a word'}"

    # ------------------------------------------------------------------------------------------------- the lines

    def send(self, octets: bytes) -> None:
        """Give it whole lines of its CAN; without power, or when it has not read for long, they are lost."""
        if self.can is None:
            return
        if len(self._unsent) + len(octets) > UNSENT_MAX:
            self.dropped += octets.count(b"\r")
            octets = b""
        self._unsent += octets
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._unsent:
                self._unsent = self._unsent[self.can.send(self._unsent) :]

    @property
    def waits(self) -> bool:
        """Whether octets wait until the CAN line can be written."""
        return bool(self._unsent)

    def heard(self) -> bytes:
        """What its CAN line has said since the last call."""
        return _read(self.can)

    def said(self) -> bytes:
        """What its console has said since the last call."""
        return _read(self.console)


def _read(line: socket.socket | None) -> bytes:
    if line is None:
        return b""
    try:
        return line.recv(READ_OCTETS)
    except (BlockingIOError, ConnectionResetError):
        return b""


def _dying_with_us() -> list[str]:
    """Words before a command whose process is to end when this one is killed; none where there is no such tool."""
    tool = shutil.which("setpriv")  # of util-linux
    return [] if tool is None else [tool, "--pdeathsig", "KILL"]
