"""One CAN bus in virtual time, to the bit: who may send when, what is heard, what goes wrong.

Frames of one send that nobody else interrupts are one event, at the end of the last of them; what would interrupt
them shortens them to the frame on the wire at that time. So the bus costs an event per run of frames and behaves as
if each frame were one. A node hears the frames of a run at its end; ISO-TP answers nothing before that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Final

from sim.can_bits import durations
from sim.can_controller import Accepts, Controller, Hear, Job
from sim.can_faults import QUIET, BusFaults
from sim.clock import Clock
from uptane.link.bus_time import BusSpeed
from uptane.link.can_frame import CanFrame

RUN_NS_MAX: Final = 100_000_000  # a tenth of ISO-TP's timers: waiting for the end of a run, nobody thinks a peer silent

Say = Callable[[str, str], None]
Filter = Callable[[str, CanFrame], CanFrame | None]
Monitor = Callable[[int, int, str, CanFrame], None]


class Run:
    """Frames of one job, one after the other on the wire."""

    __slots__ = ("controller", "ends_ns", "job", "life", "starts_ns")

    def __init__(self, controller: Controller, job: Job, starts_ns: list[int], ends_ns: list[int]) -> None:
        self.controller = controller
        self.life = controller.lives
        self.job = job
        self.starts_ns = starts_ns
        self.ends_ns = ends_ns

    def cut(self, frames: int) -> None:
        """Keep so many frames."""
        del self.starts_ns[frames:], self.ends_ns[frames:]


class CanBus:
    """The bus called `name`; nodes attach to it."""

    def __init__(
        self, name: str, clock: Clock, speed: BusSpeed, *, dice: Random, say: Say, faults: BusFaults = QUIET
    ) -> None:
        self.name = name
        self.speed = speed
        self.filter: Filter | None = None
        """Someone in the middle of the wire: told who sent which frame, it says what the others hear."""
        self.monitor: Monitor | None = None
        """Told of every frame that passed: start, end, sender, frame."""
        self.faults = faults
        self.controllers: list[Controller] = []
        self._clock = clock
        self._dice = dice
        self._say = say
        self._lasts_ns = durations(speed)
        self._run: Run | None = None
        self._plan = 0  # events of earlier plans are void
        self._telling = False  # callbacks are being made: what they submit is arbitrated after the last of them

    def attach(self, node: str, accepts: Accepts, hear: Hear) -> Controller:
        """Put a node on the bus that is given the frames whose identifiers it `accepts`."""
        controller = Controller(node, self, accepts, hear)
        self.controllers.append(controller)
        return controller

    # ------------------------------------------------------------------------------------ what controllers call

    def now_ns(self) -> int:
        """The time."""
        return self._clock.now_ns

    def timed(self, frames: Sequence[CanFrame]) -> list[int]:
        """How long each of the frames lasts."""
        return list(map(self._lasts_ns, frames))

    def submitted(self, controller: Controller, job: Job) -> None:
        """Arbitrate anew where `job` can change what has been planned."""
        run = self._run
        if run is None:
            self._arbitrate()
        elif (
            run.job.separation_ns
            or job.can_id < run.job.can_id
            or (job.can_id == run.job.can_id and controller is not run.controller)
        ):
            self._shorten(run)

    def changing(self) -> None:
        """Let only the frame on the wire be finished, if there is one."""
        if self._run is not None:
            self._shorten(self._run)

    # ---------------------------------------------------------------------------------------------- time passes

    def _shorten(self, run: Run) -> None:
        """End the run with the frame that is on the wire now."""
        now = self._clock.now_ns
        begun = bisect_left(run.starts_ns, now)
        if begun == len(run.ends_ns):
            return
        run.cut(begun)
        self._expect(max(now, run.ends_ns[-1] if begun else now))

    def _expect(self, when_ns: int) -> None:
        self._plan += 1
        self._clock.at(when_ns, partial(self._due, self._plan))

    def _due(self, plan: int) -> None:
        if plan != self._plan:
            return
        run, self._run = self._run, None
        if run is not None and run.ends_ns:
            self._finish(run)
        self._arbitrate()

    def _arbitrate(self) -> None:
        """The bus is free: start what goes first."""
        if self._telling:
            return
        now = self._clock.now_ns
        winner, best = None, None
        for controller in self.controllers:
            offer = controller.offer(now) if controller.jobs else None
            if offer is not None and (best is None or offer.can_id < best.can_id):
                winner, best = controller, offer
        if winner is not None and best is not None:
            self._run = self._planned(winner, best, now)
            self._expect(self._run.ends_ns[-1])
            return
        waiting = [job.ready_ns for controller in self.controllers for job in controller.jobs]
        if waiting:
            self._expect(min(waiting))

    def _planned(self, controller: Controller, job: Job, now: int) -> Run:
        """As many frames of `job` as nobody can come between, as far as is known now."""
        starts: list[int] = []
        ends: list[int] = []
        rivals = [rival for other in self.controllers for rival in other.jobs if rival is not job]
        until = now + RUN_NS_MAX
        if rivals and job.separation_ns:
            until = now
        else:
            for rival in rivals:
                if rival.can_id <= job.can_id and rival.ready_ns > now:
                    until = min(until, rival.ready_ns)
        at, lasts_ns, frames, can_id = now, job.lasts_ns, job.frames, job.can_id
        for number in range(job.at, len(frames)):
            if starts and (at >= until or frames[number].can_id != can_id):
                break
            starts.append(at)
            at += lasts_ns[number]
            ends.append(at)
            at += job.separation_ns
        return Run(controller, job, starts, ends)

    def _finish(self, run: Run) -> None:
        """The frames of `run` have passed: tell who hears them, then who sent them."""
        controller, job, count = run.controller, run.job, len(run.ends_ns)
        passed = job.frames[job.at : job.at + count]
        if controller.lives == run.life:
            job.at += count
            job.ready_ns = run.ends_ns[-1] + job.separation_ns
            if job.at == len(job.frames):
                controller.jobs.remove(job)
            else:
                job.can_id = job.frames[job.at].can_id
        traffic = controller.traffic
        traffic.frames += count
        traffic.busy_ns += sum(run.ends_ns) - sum(run.starts_ns)
        self._telling = True
        try:
            self._tell(run, passed)
        finally:
            self._telling = False

    def _tell(self, run: Run, passed: Sequence[CanFrame]) -> None:
        controller, job, start = run.controller, run.job, run.starts_ns[0]
        for other in self.controllers:
            if other is controller or not other.listening or other.since_ns > start:
                continue
            if other.accepts(passed[0].can_id):
                other.hear(passed)
        if job.at == len(job.frames) and controller.lives == run.life and job.sent is not None:
            job.sent()
