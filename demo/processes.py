"""The processes of the demo: started with their output in files, watched, and all stopped at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, kill, a terminal that was closed
READY_SECONDS_MAX = 60.0  # a cold interpreter importing gRPC on a slow board takes 15
STOP_SECONDS_MAX = 5.0  # every process promises 2


class DemoFailure(Exception):
    """Something the demo cannot go on from; the text says what and where to look."""


@contextmanager
def held_back() -> Iterator[None]:
    """Have signals that end us wait: in the middle of a start they would leave a process behind that nobody knows."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield
        return
    came: list[int] = []
    handlers = {number: handler for number in ENDING if callable(handler := signal.getsignal(number))}
    for each in handlers:
        signal.signal(each, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
        for number in came:
            signal.raise_signal(number)


@dataclass
class Crew:
    """Every process the demo started; `stop` leaves none behind."""

    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `python -m module arguments` in a process group of its own, output to logs/name.log."""
        self.logs.mkdir(parents=True, exist_ok=True)
        with (self.logs / f"{name}.log").open("ab") as log, held_back():
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.running[name] = process
        return process

    def kill(self, name: str) -> None:
        """Kill -9, as a power cut would."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def check(self) -> None:
        """Raise DemoFailure when a process has ended by itself."""
        for name, process in list(self.running.items()):  # others may be starting in other threads meanwhile
            if process.poll() is not None:
                raise DemoFailure(f"{name} ended with exit code {process.returncode}:\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 12) -> str:
        """The last lines of a process's log."""
        text = (self.logs / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def stop(self) -> None:
        """Ask all to end, then insist."""
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS_MAX
        for process in self.running.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.running.clear()


def command(module: str, *arguments: str) -> str:
    """Run one command of Marque to its end and return what it printed; raise DemoFailure when it refuses."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shown = " ".join([module, *arguments])
        raise DemoFailure(f"{shown}\nended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def port_of(crew: Crew, file: Path) -> int:
    """The port a server wrote to its port file, once it is ready."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        crew.check()
        if file.exists() and (text := file.read_text().strip()):
            return int(text)
        time.sleep(0.05)
    raise DemoFailure(f"no server wrote its port to {file} within {READY_SECONDS_MAX:.0f} s")
