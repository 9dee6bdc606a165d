"""The Primary's own self-test: every bus is up, and a command of the integrator's passes, if there is one.

The hash of the running slot has been looked at before.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

BUSES_S: Final = 15.0  # since power-up networkd may still be at it
LOOK_S: Final = 0.25

log = logging.getLogger("marque.self_test")


class SelfTestHook:
    """Runs `command`; exit 0 passes, everything else fails: another exit, a signal, no word within `timeout_s`.

    `buses_down` names the buses that are not up; they get a moment to come up.
    """

    def __init__(self, command: Sequence[str], timeout_s: float, buses_down: Callable[[], Sequence[str]]) -> None:
        self._buses_down = buses_down
        self._ending = threading.Event()
        self._command = tuple(command)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def passes(self) -> bool:
        """Take as long as it takes, at most the timeout; may be called in another thread than `stop`."""
        return self._buses_up() and (not self._command or self._runs())

    def _buses_up(self) -> bool:
        end = time.monotonic() + BUSES_S
        while missing := self._buses_down():
            if time.monotonic() >= end or self._ending.wait(LOOK_S):
                log.warning("self-test: not up within %s s: bus %s", BUSES_S, ", ".join(missing))
                return False
        return True

    def _runs(self) -> bool:
        with self._lock:
            if self._stopped:
                return False
            try:
                process = self._process = subprocess.Popen(  # noqa: S603 (the integrator's own command)
                    self._command, stdin=subprocess.DEVNULL, start_new_session=True
                )
            except OSError as error:
                log.warning("self-test: %s: %s", self._command[0], error.strerror)
                return False
        try:
            return process.wait(self._timeout_s) == 0
        except subprocess.TimeoutExpired:
            log.warning("self-test: no word within %s s", self._timeout_s)
            _kill(process)
            process.wait()
            return False
        finally:
            with self._lock:
                self._process = None

    def stop(self) -> None:
        """Kill the command that runs, and start none any more."""
        self._ending.set()
        with self._lock:
            self._stopped = True
            if self._process is not None:
                _kill(self._process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
