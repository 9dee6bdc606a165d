"""The Primary's own self-test: a command of the integrator's; without one the hash of the running slot has decided."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Sequence

log = logging.getLogger("marque.self_test")


class SelfTestHook:
    """Runs `command`; exit 0 passes, everything else fails: another exit, a signal, no word within `timeout_s`."""

    def __init__(self, command: Sequence[str], timeout_s: float) -> None:
        self._command = tuple(command)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def passes(self) -> bool:
        """Take as long as it takes, at most the timeout; may be called in another thread than `stop`."""
        if not self._command:
            return True
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
        with self._lock:
            self._stopped = True
            if self._process is not None:
                _kill(self._process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
