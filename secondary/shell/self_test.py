"""The self-test hook: a command that judges the image that runs, or else the hash of its slot."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Sequence

from secondary.needs import SelfTest, Verdict
from secondary.shell.slots import Slots
from uptane.errors import StorageFailure

log = logging.getLogger("marque.self_test")


class SelfTestHook:
    """Runs `command` with the slot's file as its last argument; without a command the slot is hashed.

    Exit 0 passes, another exit fails. A command that is killed, hangs for `timeout_s` seconds or cannot be started
    stands for an image that does not come up.
    """

    def __init__(self, command: Sequence[str], timeout_s: float, slots: Slots) -> None:
        self._command = tuple(command)
        self._timeout_s = timeout_s
        self._slots = slots
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def judge(self, test: SelfTest) -> Verdict:
        """Take as long as it takes, at most the timeout; may be called in another thread than `stop`."""
        verdict = self._run(test) if self._command else self._hash(test)
        log.info("self-test of slot %d: %s", test.slot, verdict.value)
        return verdict

    def abort(self) -> None:
        """Kill the command that runs, if any: the image it judges runs no more."""
        with self._lock:
            if self._process is not None:
                _kill(self._process)

    def stop(self) -> None:
        """Kill the command that runs, and start none any more."""
        with self._lock:
            self._stopped = True
        self.abort()

    def _hash(self, test: SelfTest) -> Verdict:
        try:
            content = self._slots.content(test.slot, test.length)
        except StorageFailure as failure:
            log.warning("self-test: %s", failure)
            return Verdict.FAILED
        whole = (content.length, content.sha256) == (test.length, test.sha256)
        return Verdict.PASSED if whole else Verdict.FAILED

    def _run(self, test: SelfTest) -> Verdict:
        with self._lock:
            if self._stopped:
                return Verdict.DEAD
            try:
                process = self._process = subprocess.Popen(  # noqa: S603 (the integrator's own command)
                    [*self._command, str(self._slots.path(test.slot))],
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                log.warning("self-test: %s: %s", self._command[0], error.strerror)
                return Verdict.DEAD
        try:
            code = process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            log.warning("self-test: no word within %s s", self._timeout_s)
            _kill(process)
            process.wait()
            return Verdict.DEAD
        finally:
            with self._lock:
                self._process = None
        if code < 0:
            return Verdict.DEAD
        return Verdict.PASSED if code == 0 else Verdict.FAILED


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
