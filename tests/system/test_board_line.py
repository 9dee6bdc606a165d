"""The emulated board as a serial device: stock python-can and pyserial on its terminals, noise, its power switch.

And every mistake with it: a clear line with what to do.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import can
import pytest
import serial

from firmware.tools import flash_file
from secondary.shell.config import load
from tests.peers.secondary_process import ADDRESS, ROOT
from tests.system.board_process import BoardProcess
from tests.system.fleet import wait_for

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(120)]

TO_ECU, FROM_ECU = 0x1CDA00F1 | ADDRESS << 8, 0x1CDAF100 | ADDRESS
NOISE = b"\xff\x00\rT1CDA21F102\r" + b"T" * 500 + b"\rgarbage\r\x07T1CDA21F18" + b"zz" * 8 + b"\r"
PRESENT = bytes((2, 0x3E, 0, *[0xAA] * 5))


@dataclass
class Bench:
    """A board on terminals, as a bench would have it."""

    board: Path
    log: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            words = [sys.executable, "-m", "firmware", "run", str(self.board)]
            process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        self.processes.append(process)
        wait_for(lambda: b" is ready on " in self.log.read_bytes(), "the board is ready", seconds=60)
        return process

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.board / "board.json").read_text())
        return state

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    ecu = BoardProcess(tmp_path / "brake", fd=False)
    bench = Bench(tmp_path / "board", tmp_path / "log")
    flash_file.make(bench.board, load(ecu.config))
    yield bench
    bench.end()


def firmware(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "firmware", *words]
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


def answers(bus: can.BusABC, seconds: float = 2.0) -> bool:
    """Whether the ECU answers a TesterPresent. Noise on the line raises ValueError in python-can."""
    bus.send(can.Message(arbitration_id=TO_ECU, data=PRESENT, is_extended_id=True))

    def heard() -> bool:
        try:
            message = bus.recv(0.1)
        except ValueError:
            return False
        return message is not None and (message.arbitration_id, bytes(message.data[:3])) == (FROM_ECU, b"\x02\x7e\x00")

    try:
        return wait_for(heard, "an answer", seconds=seconds)
    except AssertionError:
        return False


def test_a_board_on_terminals(bench: Bench) -> None:
    process = bench.start()
    with serial.serial_for_url(str(bench.board / "console"), timeout=5) as console:
        bus = can.Bus(interface="slcan", channel=str(bench.board / "can"), bitrate=500_000, sleep_after_open=0)
        try:
            assert answers(bus)
            bus.serialPortOrig.write(NOISE)  # type: ignore[attr-defined]
            assert answers(bus)
            assert firmware("power", str(bench.board), "off").returncode == 0
            assert bench.state()["power"] is False
            assert not answers(bus, 0.3)
            assert firmware("power", str(bench.board), "cycle").returncode == 0
            assert bench.state()["power"] is True
            wait_for(lambda: answers(bus, 0.5), "an answer after the power came back", seconds=20)
            assert b"slot 0 runs: " in console.read_until(b"runs: ")
        finally:
            bus.shutdown()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert not (bench.board / "can").is_symlink()
    assert not (bench.board / "board.json").exists()


def test_qemu_ends_with_the_process_that_runs_it(bench: Bench) -> None:
    process = bench.start()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not _is_running(children[0]), "QEMU ends", seconds=10)


def _is_running(pid: str) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_when_qemu_ends_it_is_said(bench: Bench) -> None:
    process = bench.start()
    child = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().strip()
    os.kill(int(child), signal.SIGSEGV)
    assert process.wait(10) == 1
    assert "QEMU ended with -11" in bench.log.read_text()
    assert "Traceback" not in bench.log.read_text()


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("power", "{board}", "off"), 1, "no board runs here; start it with"),
        (("power", "{board}", "sideways"), 2, "expected on, off or cycle"),
        (("run", "{board}/none"), 1, "no such folder; `python -m firmware make "),
        (("run", "{board}", "--stub", "{board}/none.elf"), 1, "none.elf: no such file; `make firmware` builds"),
        (("run", "{board}", "--config", "{board}/none.toml"), 1, "none.toml"),
        (("make", "{board}", "--config", "{board}/none.toml"), 1, "none.toml"),
        (("info", "{board}/facts.bin"), 1, "facts.bin: "),
        (("info", "{board}/none.bin"), 1, "none.bin is missing; `make firmware` builds it"),
    ],
)
def test_mistakes(bench: Bench, words: tuple[str, ...], status: int, text: str) -> None:
    told = firmware(*(word.format(board=bench.board) for word in words))
    assert told.returncode == status, told
    assert text in told.stderr
    assert "Traceback" not in told.stderr
