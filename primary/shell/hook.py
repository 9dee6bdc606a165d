"""One run of a command of the integrator's: bounded in time and output, in its own session, ended by us if need be."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

OUTPUT_KEPT: Final = 4_096  # octets: what anybody reads
OUTPUT_MAX: Final = 1_048_576  # octets: more is no message but a fault
CHUNK: Final = 65_536


class HookFailure(Exception):
    """The command did not run to its end by itself; the text says why."""


class Said(NamedTuple):
    """Exit status (negative: the signal that ended it), and the beginning of what it wrote to stdout and stderr."""

    status: int
    output: str


class Command:
    """Runs programs one at a time; `stop` in another thread ends the one that runs, and starts none any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self, words: Sequence[str], timeout_s: float) -> Said:
        """Run `words` and wait for its end. Raises HookFailure."""
        process = self._start(words)
        try:
            return self._attend(process, timeout_s)
        except HookFailure as failure:
            raise HookFailure(f"{words[0]}: {failure}") from failure
        finally:
            if process.poll() is None:
                _kill(process)
                process.wait()
            assert process.stdout is not None
            process.stdout.close()
            with self._lock:
                self._process = None

    def stop(self) -> None:
        """End what runs."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                _kill(self._process)

    def _start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise HookFailure(f"{words[0]}: not started, this process ends")
            try:
                process = subprocess.Popen(  # noqa: S603  (the integrator's own command)
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    cwd="/",
                )
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or error
                raise HookFailure(f"{words[0]} cannot be run: {why}; is it there and executable?") from error
            self._process = process
            return process

    @staticmethod
    def _attend(process: subprocess.Popen[bytes], timeout_s: float) -> Said:
        """Read until it has ended; what it has left behind in its session does not keep us waiting."""
        end = time.monotonic() + timeout_s
        assert process.stdout is not None
        fd, kept, length = process.stdout.fileno(), bytearray(), 0
        os.set_blocking(fd, False)
        exited = os.pidfd_open(process.pid)
        with contextlib.closing(selectors.DefaultSelector()) as selector, os.fdopen(exited):
            for each in (fd, exited):
                selector.register(each, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select(max(0.0, end - time.monotonic()))}
                if not ready:
                    raise HookFailure(f"no end within {timeout_s:g} s; killed")
                octets = _available(fd)
                length += len(octets)
                kept += octets[: OUTPUT_KEPT - len(kept)]
                if length > OUTPUT_MAX:
                    raise HookFailure(f"more than {OUTPUT_MAX} octets of output; killed")
                if not octets and fd in ready and exited not in ready:
                    selector.unregister(fd)
                if exited in ready and not octets:
                    return Said(process.wait(), kept.decode(errors="replace"))


def _available(fd: int) -> bytes:
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return b""


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
