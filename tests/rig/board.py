"""A rig with the emulated board: the C firmware behind slcan and a console on terminals, power by command."""

import json
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

from firmware.tools import builds, flash_file
from tests.rig.bench import ROOT, SWITCH, Bench

READY_S = 60


@dataclass
class BoardBench(Bench):
    """`start` runs the board and waits until it is up; its power is switched by signals."""

    ecus: tuple[str, ...] = ("board",)
    lines: list[str] = field(default_factory=list)
    process: subprocess.Popen[str] | None = None

    @property
    def board(self) -> Path:
        return self.folder / "board"

    def bus_text(self) -> str:
        return f"""
[[bus]]
name = "bench"
interface = "slcan"
channel = "board/can"
fd = {json.dumps(self.fd)}
[bus.options]
sleep_after_open = 0.0
"""

    def ecu_text(self, name: str, address: int) -> str:
        def power(word: str) -> str:
            return json.dumps([sys.executable, str(SWITCH), "board", str(self.board), word])

        def interlock(word: str) -> str:
            return json.dumps([sys.executable, str(SWITCH), "interlock", str(self.board), word])

        return f"""
[[ecu]]
name = "{name}"
hardware = "{name}-hw"
address = {address}
bus = "bench"
slot_size = {flash_file.layout()["SLOT_SIZE"]}
tolerance_ms = 1000
[ecu.console]
url = "board/console"
[ecu.power]
kind = "command"
on = {power("on")}
off = {power("off")}
off_ms = 10
[ecu.interlock]
safe = {interlock("safe")}
moving = {interlock("moving")}
[ecu.images]
good = {json.dumps([path.name for path in builds.RELEASES])}
failing = "{builds.FAILS.name}"
hanging = "{builds.HANGS.name}"
"""

    def __post_init__(self) -> None:
        """What is built anew while a test runs is not what the test runs."""
        self.folder.mkdir(parents=True)
        for path in (*builds.RELEASES, builds.FAILS, builds.HANGS, builds.STUB):
            shutil.copy(path, self.folder)
        super().__post_init__()

    def start(self) -> None:
        folder = self.folder / "ecus" / self.ecus[0]
        command = [sys.executable, "-m", "firmware", "make", str(self.board), "--config", str(folder / "config.toml")]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        (self.board / flash_file.layout().interlock_file).write_text("safe\n")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "firmware", "run", str(self.board), "--stub", str(self.folder / builds.STUB.name)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._read, args=(self.process, said), daemon=True).start()
        try:
            while "is ready on" not in (line := said.get(timeout=READY_S)):
                assert line, "\n".join(self.lines)
        except Empty:
            raise AssertionError("\n".join(self.lines)) from None

    def _read(self, process: "subprocess.Popen[str]", said: "SimpleQueue[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.lines.append(line.rstrip())
                said.put(line)
        said.put("")

    def stop(self) -> int:
        if self.process is None:
            return 0
        self.process.terminate()
        return self.process.wait(10)
