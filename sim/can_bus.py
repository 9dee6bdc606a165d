"""One CAN bus in virtual time, to the bit: who may send when, what is heard, what goes wrong.

Frames of one send that nobody else interrupts are one event, at the end of the last of them; what would interrupt
them shortens them to the frame on the wire at that time. So the bus costs an event per run of frames and behaves as
if each frame were one. A node hears the frames of a run at its end; ISO-TP answers nothing before that. A frame
that tells ISO-TP that another is missing ends its run.

Who submits a frame at the very time at which the bus becomes free takes part in its arbitration.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Final

from sim.can_account import Account, Monitor, Say
from sim.can_bits import QUIET_BITS, SUSPEND_BITS, durations
from sim.can_controller import Accepts, Controller, Hear, Job
from sim.can_faults import QUIET, BusFaults, Faults, Noise
from sim.can_run import Cause, Filter, Judge, Run, Sender, first_difference
from sim.clock import NS_PER_MS, Clock
from uptane.link.bus_time import BusSpeed
from uptane.link.can_frame import CanFrame

RUN_NS_MAX: Final = 100_000_000  # a tenth of ISO-TP's timers: waiting for the end of a run, nobody thinks a peer silent
BABBLE: Final = CanFrame(0, bytes(8))  # goes before all others


class CanBus:
    """The bus called `name`; `restart_ms` is how long a node waits after bus-off before it begins to recover."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        speed: BusSpeed,
        *,
        dice: Random,
        say: Say,
        faults: BusFaults = QUIET,
        restart_ms: int = 0,
        extended: bool = True,
    ) -> None:
        self.name = name
        self.speed = speed
        self.filter: Filter | None = None
        """Someone in the middle of the wire: told who sent which frame, it says what the others hear. Whoever is put
        there or taken away meets the runs that begin after it, at most RUN_NS_MAX later."""
        self.controllers: list[Controller] = []
        self._clock = clock
        self._dice = dice
        self._durations = durations(speed, extended=extended)
        self._noise = Noise(dice)
        self._judge = Judge(self.controllers, self._durations, Faults(dice, faults), self._noise)
        self._account = Account(self._judge, say, restart_ms * NS_PER_MS)
        self._run: Run | None = None
        self._plan = 0  # events of earlier plans are void
        self._gone: list[Controller] = []  # broken ones that are silent now
        self._telling = False  # callbacks are being made: what they submit is arbitrated after the last of them

    def attach(self, node: str, accepts: Accepts, hear: Hear) -> Controller:
        """Put a node on the bus that is given the frames whose identifiers it `accepts`."""
        controller = Controller(node, self, accepts, hear)
        self.controllers.append(controller)
        return controller

    # ------------------------------------------------------------------------------------------- what goes wrong

    @property
    def monitor(self) -> Monitor | None:
        """Told of every frame that passed: start, end, sender, frame."""
        return self._account.monitor

    @monitor.setter
    def monitor(self, someone: Monitor | None) -> None:
        self._account.monitor = someone

    @property
    def faults(self) -> BusFaults:
        """What goes wrong by chance; may be set at any time."""
        return self._judge.faults.rates

    @faults.setter
    def faults(self, rates: BusFaults) -> None:
        self.changing()
        self._judge.faults = Faults(self._dice, rates)

    def disturb(self, duration_ns: int, node: str = "") -> None:
        """Give every frame of `node` (of all, when empty) begun from now on a wrong bit that everybody sees."""
        self.changing()
        self._noise.begin(node, self._clock.now_ns + duration_ns)

    def babble(self, node: str, duration_ns: int) -> None:
        """Have a broken controller in `node` send frames of the highest priority, one after the other."""
        broken = Controller(node, self, lambda _: False, lambda _: None, deaf=True)
        self.controllers.append(broken)
        broken.send([BABBLE] * (duration_ns // self._durations.of_frame(BABBLE) + 1))
        self._clock.after(duration_ns, partial(self._silence, broken))

    def _silence(self, broken: Controller) -> None:
        broken.reset()
        self.controllers.remove(broken)
        self._gone.append(broken)

    @property
    def busy_ns(self) -> int:
        """How long there have been frames on it, all nodes' and with errors or without."""
        return sum(each.traffic.busy_ns for each in (*self.controllers, *self._gone))

    # ------------------------------------------------------------------------------------ what controllers call

    def now_ns(self) -> int:
        """The time."""
        return self._clock.now_ns

    @property
    def joining_ns(self) -> int:
        """How long a node listens before it takes part: 11 bits without a frame."""
        return self._durations.bits(QUIET_BITS)

    def timed(self, frames: Sequence[CanFrame]) -> list[int]:
        """How long each of the frames lasts."""
        return list(map(self._durations.of_frame, frames))

    def submitted(self, controller: Controller, job: Job) -> None:
        """Arbitrate anew where `job` can change what has been planned."""
        run = self._run
        if run is None:
            self._arbitrate()
            return
        planned = run.sender.job
        beats = job.can_id < planned.can_id or (
            job.can_id == planned.can_id and controller is not run.sender.controller
        )
        if beats or planned.separation_ns or run.endless:
            self.changing()

    def changing(self) -> None:
        """Let only the frame on the wire be finished, if there is one."""
        run, now = self._run, self._clock.now_ns
        if run is None:
            return
        if run.endless:
            self._pause(run, now)
        elif run.attempt is not None:
            if run.begun_ns == now and not run.ends_ns:
                self._run = None
                self._expect(now)
        else:
            begun = bisect_left(run.starts_ns, now)
            if begun < len(run.ends_ns):
                del run.starts_ns[begun:], run.ends_ns[begun:]
                if not begun:
                    self._run = None
                self._expect(max(now, run.ends_ns[-1]) if begun else now)

    def dropped(self, controller: Controller) -> None:
        """The frame that it was sending breaks off."""
        run, now = self._run, self._clock.now_ns
        if run is None or run.sender.controller is not controller or run.also or not run.passes:
            return
        start_ns = run.latest_ns
        if not start_ns < now < run.until_ns:
            return
        attempt = self._judge.broken_off(controller, run.frame, start_ns, now)
        if not attempt.verdict.heard:
            run.fails(attempt)
            self._expect(run.until_ns)

    # ---------------------------------------------------------------------------------------------- time passes

    def _expect(self, when_ns: int) -> None:
        self._plan += 1
        self._clock.at(when_ns, partial(self._due, self._plan))

    def _due(self, plan: int) -> None:
        if plan != self._plan:
            return
        run, self._run = self._run, None
        if run is not None:
            if run.passes and not self._account.answered(run):
                run.fails(self._judge.alone(run.sender.controller, run.frame))
                self._run = run
                self._expect(run.until_ns)
                return
            self._telling = True
            try:
                self._account.finish(run)
            finally:
                self._telling = False
        self._arbitrate()

    def _arbitrate(self) -> None:
        """The bus is free: start what goes first."""
        if self._telling:
            return
        now = self._clock.now_ns
        self._account.recover(now)
        first: list[Sender] = []
        for controller in self.controllers:
            job = controller.offer(now) if controller.jobs else None
            if job is None or (first and job.can_id > first[0].job.can_id):
                continue
            if first and job.can_id < first[0].job.can_id:
                first.clear()
            first.append(Sender(controller, job, controller.lives))
        if first:
            self._run = run = self._begun(first, now)
            run.filter = self.filter
            if not run.endless:
                self._expect(run.until_ns)
            return
        waiting = [
            controller.may_send_ns(job)
            for controller in self.controllers
            for job in controller.jobs
            if not controller.off
        ]
        waiting += [each.done_ns for each in self._account.recoveries]
        if waiting:
            self._expect(min(waiting))

    def _begun(self, first: list[Sender], now: int) -> Run:
        """What is on the wire when these begin frames with the same identifier, nearly always one alone."""
        losers: list[Sender] = []
        while len(first) > 1:
            differ = first_difference([each.frame for each in first], self._durations)
            if differ is None:
                break
            bit, recessive = differ
            weaker = [each for each, loses in zip(first, recessive, strict=True) if loses]
            first = [each for each, loses in zip(first, recessive, strict=True) if not loses]
            losers += weaker
            attempt = self._judge.collision(first, weaker, bit, now)
            if attempt is not None:
                return Run(first[0], [], [], attempt, now, also=first[1:], losers=losers)
        sender = first[0]
        parties = [each.controller for each in (*first, *losers)]
        attempt = self._judge.attempt(parties, sender.frame, now)
        if attempt is not None:
            run = Run(sender, [], [], attempt, now, also=first[1:], losers=losers)
            run.endless = attempt.cause is Cause.ALONE and self._nothing_else(sender)
            return run
        alone = len(parties) > 1 or self.filter is not None or self._account.recoveries or sender.controller.passive
        run = self._planned(sender, now, 1 if alone or sender.job.alone else len(sender.job.frames))
        run.also, run.losers = first[1:], losers
        return run

    def _planned(self, sender: Sender, now: int, frames_max: int) -> Run:
        """As many frames as nobody can come between, as far as is known now."""
        job = sender.job
        rivals = [
            (rival.can_id, other.may_send_ns(rival))
            for other in self.controllers
            for rival in other.jobs
            if rival is not job
        ]
        until = now if rivals and job.separation_ns else now + RUN_NS_MAX
        for can_id, ready_ns in rivals:
            if can_id <= job.can_id and now < ready_ns < until:
                until = ready_ns
        for other in self.controllers:
            if now < other.since_ns < until:  # from then on it hears
                until = other.since_ns
        good = self._judge.faults.good
        last = min(len(job.frames), job.at + (frames_max if good is None else min(frames_max, good)))
        starts: list[int] = []
        ends: list[int] = []
        at, lasts_ns, frames, can_id = now, job.lasts_ns, job.frames, job.can_id
        for number in range(job.at, last):
            if starts and (at >= until or frames[number].can_id != can_id):
                break
            starts.append(at)
            at += lasts_ns[number]
            ends.append(at)
            at += job.separation_ns
        return Run(sender, starts, ends)

    # --------------------------------------------------------------------------------- alone on the bus, for long

    def _nothing_else(self, sender: Sender) -> bool:
        """Whether only what comes from outside can end this: an error passive node alone, which counts no further."""
        return (
            sender.controller.passive
            and not self._account.recoveries
            and all(other.since_ns <= self._clock.now_ns for other in self.controllers)
            and all(
                other is sender.controller and job.ready_ns <= self._clock.now_ns
                for other in self.controllers
                for job in other.jobs
            )
        )

    def _pause(self, run: Run, now: int) -> None:
        """It has been tried again and again: only the attempt on the wire now is left."""
        assert run.attempt is not None
        lasts_ns = run.attempt.verdict.lasts_ns
        period_ns = lasts_ns + self._durations.bits(SUSPEND_BITS)
        tried, rest_ns = divmod(now - run.begun_ns, period_ns)
        run.begun_ns += tried * period_ns
        run.endless = False
        between = rest_ns >= lasts_ns
        traffic = run.sender.controller.traffic
        traffic.errors += tried + between
        traffic.busy_ns += (tried + between) * lasts_ns
        if between:
            run.sender.controller.suspended_ns = run.begun_ns + period_ns
        if between or not rest_ns:
            self._run = None
            self._expect(now)
        else:
            self._expect(run.until_ns)
