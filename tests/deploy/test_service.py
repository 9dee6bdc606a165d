"""A real Secondary as systemd has it: ready when it listens, alive while its loop turns, and not when it hangs."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.peers.secondary_process import SecondaryProcess
from tests.shell.repository_process import wait_for

pytestmark = pytest.mark.process
HEARD_S = 20.0


def heard(listening: socket.socket, word: str) -> list[str]:
    """What comes until `word` does."""
    lines: list[str] = []
    while not lines or word not in lines[-1]:
        lines.append(listening.recv(4_096).decode())
    return lines


def test_ready_alive_and_stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(HEARD_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        ecu = SecondaryProcess(tmp_path / "brake").start()
        try:
            lines = heard(listening, "READY=1")
            assert f"STATUS={ecu.ecu} is ready on udp_multicast" in lines[-1]
            heard(listening, "WATCHDOG=1")
            assert ecu.process is not None
            os.kill(ecu.process.pid, signal.SIGSTOP)  # as a loop that hangs
            listening.settimeout(1.0)
            with pytest.raises(TimeoutError):
                heard(listening, "nothing says this")
            os.kill(ecu.process.pid, signal.SIGCONT)
            listening.settimeout(HEARD_S)
            heard(listening, "WATCHDOG=1")
        finally:
            status = ecu.stop()
        assert status == 0
        heard(listening, "STOPPING=1")


def test_when_the_watchdog_bites_the_log_says_where_it_hung(tmp_path: Path) -> None:
    """WatchdogSignal=SIGABRT, and the package's command runs Python with -X faulthandler."""
    ecu = SecondaryProcess(tmp_path / "brake")
    ecu.program = [ecu.program[0], "-X", "faulthandler", *ecu.program[1:]]
    ecu.start()
    assert ecu.process is not None
    ecu.process.send_signal(signal.SIGABRT)
    assert ecu.process.wait(20) == -signal.SIGABRT
    wait_for(lambda: any("uptane/shell/loop.py" in line and "_wait" in line for line in ecu.lines))
    assert any("Fatal Python error: Aborted" in line for line in ecu.lines)
