"""What systemd hears of a service, and how lines go to the journal."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from uptane.machine import Machine
from uptane.moments import Instant
from uptane.shell.loop import Loop
from uptane.shell.systemd import JournalFormatter, Service, is_journal, with_priority

SECOND_NS = 1_000_000_000


class Systemd:
    """The far end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}

    def heard(self) -> list[str]:
        lines: list[str] = []
        while True:
            try:
                lines.append(self.socket.recv(4_096).decode())
            except BlockingIOError:
                return lines


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    listening = Systemd(tmp_path / "s")
    yield listening
    listening.socket.close()


def test_ready_status_and_stopping_are_said(systemd: Systemd) -> None:
    service = Service(systemd.environment)
    service.ready("brake is ready\non can0")
    service.status("x" * 500)
    service.stopping()
    assert systemd.heard() == ["READY=1\nSTATUS=brake is ready on can0", f"STATUS={'x' * 200}", "STOPPING=1"]


def test_the_loop_says_that_it_is_alive_thrice_within_the_time_systemd_waits(systemd: Systemd) -> None:
    now_ns = 5
    service = Service(systemd.environment, clock_ns=lambda: now_ns)
    said = 0
    for now_ns in range(0, 60 * SECOND_NS, SECOND_NS):
        service.take()
        said += len(systemd.heard())
        wake_ns = service.wake_ns()
        assert wake_ns is not None
        assert now_ns < wake_ns <= now_ns + 20 * SECOND_NS
    assert said == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "vsock:2:1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_PID": "1"},
    ],
    ids=str,
)
def test_nobody_waits_so_nothing_wakes_the_loop(systemd: Systemd, changes: dict[str, str]) -> None:
    service = Service(systemd.environment | changes)
    assert service.wake_ns() is None
    service.take()
    assert systemd.heard() == []


def test_a_listener_that_has_gone_is_no_trouble(systemd: Systemd) -> None:
    service = Service(systemd.environment)
    systemd.socket.close()
    service.ready("x")
    service.take()


class Still(Machine[str, str]):
    """A machine that wants nothing, and hangs when told to."""

    def handle(self, event: str, now: Instant) -> tuple[()]:
        return ()

    def deadline(self) -> Instant | None:
        return None


def test_a_loop_that_hangs_is_not_said_to_be_alive(systemd: Systemd) -> None:
    environment = systemd.environment | {"WATCHDOG_USEC": "30000"}  # every 10 ms
    service = Service(environment)
    heard: list[int] = []

    class Hanging:
        """A source that lets the loop turn five times, then holds it."""

        turns = 0

        def fileno(self) -> int | None:
            return None

        def wake_ns(self) -> int | None:
            return None

        def take(self) -> list[str]:
            self.turns += 1
            if self.turns == 5:
                heard.append(len(systemd.heard()))
                systemd.socket.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    systemd.socket.recv(100)
                loop.stop()
            return []

    loop: Loop[str, Any] = Loop(Still(), {}, [service, Hanging()], tick="tick")
    assert loop.run() == 0
    loop.close()
    assert heard[0] in range(3, 6)


def test_lines_of_a_traceback_all_have_the_priority() -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        record = logging.LogRecord("marque.x", logging.CRITICAL, "", 0, "a bug", (), sys.exc_info())
    lines = JournalFormatter().format(record).splitlines()
    assert lines[0] == "<2>marque.x: a bug"
    assert len(lines) > 2
    assert all(line.startswith("<2>") for line in lines)
    assert with_priority("a", logging.WARNING) == "<4>a"
    assert with_priority("a", logging.DEBUG) == "<7>a"


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w") as stream:
        status = os.fstat(stream.fileno())
        assert is_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert not is_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"})
        assert not is_journal(stream, {})


@pytest.mark.parametrize("role", ["primary", "secondary"])
def test_why_a_service_ends_is_an_error_in_the_journal(role: str, tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        environment = os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        command = [sys.executable, "-m", role, "run", "--config", str(tmp_path / "none.toml")]
        assert subprocess.run(command, env=environment, stderr=stream, check=False, timeout=60).returncode == 78
        stream.seek(0)
        assert stream.read().startswith(f"<3>marque-{role}: ")
