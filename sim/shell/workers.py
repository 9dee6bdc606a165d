"""Processes that run seeds: a simulation is one thread, so a machine with two cores runs two of them.

A process is given one seed at a time. One that dies, or takes too long with a seed, fails that seed and is replaced.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final

from sim.attempt import Failure, Simulation, attempt
from sim.soak import Soak, Task
from sim.trace import Trace

DIED: Final = "DIED"
HANGS: Final = "HANGS"
"""The rules that a seed has broken whose process died, or did not come to an end."""

DYING_S: Final = 5.0  # from its last word to its end
LOOK_S: Final = 0.5  # how long nobody is told anything
_SPAWN: Final = get_context("spawn")  # nothing of this process is carried over, not even the order of its sets


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many processes; how long a seed may take; when no further seed is begun; after how many failing ones."""

    jobs: int
    seed_s: float
    end_s: float | None = None
    failures: int = 1


def soaking(soak: Soak, simulation: Simulation, bounds: Bounds) -> Iterator[None]:
    """Run what is to be run; yields when there is something new to see, and twice a second.

    Whoever stops listening stops the processes; seeds that were being run count as not run.
    """
    end = None if bounds.end_s is None else time.monotonic() + bounds.end_s
    workers: list[_Worker] = []
    try:
        while True:
            over = len(soak.failed) >= bounds.failures or (end is not None and time.monotonic() >= end)
            if not over:
                _feed(workers, soak, simulation, bounds.jobs)
            busy = [worker for worker in workers if worker.task is not None]
            if not busy:
                return
            for ready in wait([worker.connection for worker in busy], timeout=LOOK_S):
                next(worker for worker in busy if worker.connection is ready).hear(soak)
            for worker in busy:
                worker.look(soak, bounds.seed_s)
            workers = [worker for worker in workers if worker.alive]
            yield
    finally:
        for worker in workers:
            worker.end()


def _feed(workers: list[_Worker], soak: Soak, simulation: Simulation, jobs: int) -> None:
    """Give a seed to everybody who has none, and start who is missing."""
    while True:
        idle = next((worker for worker in workers if worker.task is None), None)
        if idle is None and len(workers) >= jobs:
            return
        task = soak.task()
        if task is None:
            return
        if idle is None:
            idle = _Worker(simulation)
            workers.append(idle)
        idle.give(task)


class _Worker:
    """One process, as its parent sees it."""

    def __init__(self, simulation: Simulation) -> None:
        self.connection, theirs = _SPAWN.Pipe()
        self._process: SpawnProcess = _SPAWN.Process(target=_work, args=(theirs, simulation), daemon=True)
        self._process.start()
        theirs.close()
        self.task: Task | None = None
        self.alive = True
        self._since = 0.0

    def give(self, task: Task) -> None:
        """Have it run a seed."""
        assert self.task is None
        self.task, self._since = task, time.monotonic()
        with suppress(OSError):  # it has died between two seeds; hearing from it will tell
            self.connection.send(task.asked)

    def hear(self, soak: Soak) -> None:
        """Take what it says."""
        task = self.task
        assert task is not None
        try:
            result, cpu_s = self.connection.recv()
        except (EOFError, OSError):
            self._process.join(DYING_S)
            self._lose(soak, DIED, f"the process that ran it ended with {self._process.exitcode}")
            return
        self.task = None
        soak.take(task, result, cpu_s)

    def look(self, soak: Soak, seed_s: float) -> None:
        """End it if it has been busy with one seed for too long."""
        if self.task is not None and self.alive and time.monotonic() - self._since > seed_s:
            self._lose(soak, HANGS, f"did not end in {seed_s:g} s")

    def end(self) -> None:
        """End the process."""
        self.connection.close()
        self._process.kill()
        self._process.join()
        self.alive = False

    def _lose(self, soak: Soak, rule: str, text: str) -> None:
        task, self.task = self.task, None
        assert task is not None
        self.end()
        soak.lose(task, Failure(rule, "run", text))


def _work(connection: Connection, simulation: Simulation) -> None:
    """What the process does: one seed after the other, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its processes itself
    while True:
        try:
            asked = connection.recv()
        except EOFError:
            return
        began = time.process_time()
        result = attempt(simulation, asked, Trace(asked.seed))
        connection.send((result, time.process_time() - began))
