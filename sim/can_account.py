"""What a run leaves behind: counters of errors and of traffic, what is heard, who falls off the bus and comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sim.can_bits import LATE_BITS, QUIET_BITS, SUSPEND_BITS
from sim.can_controller import Controller
from sim.can_recovery import Recovery
from sim.can_run import Attempt, Cause, Filter, Judge, Run, Sender
from sim.verbs import Verb
from uptane.link.can_frame import CanFrame

Say: TypeAlias = Callable[[Verb, str], None]
Monitor: TypeAlias = Callable[[int, int, str, CanFrame], None]


class Account:
    """Of one bus."""

    def __init__(self, judge: Judge, say: Say, restart_ns: int) -> None:
        self.monitor: Monitor | None = None
        self.recoveries: list[Recovery] = []
        self._judge = judge
        self._say = say
        self._restart_ns = restart_ns
        self._errors = False  # somebody may have counted some, or be late because of one
        self._slot_ns = judge.durations.bits(QUIET_BITS)  # from the end of the acknowledge slot to the next frame
        self._late_ns = judge.durations.bits(LATE_BITS)

    def answered(self, run: Run) -> bool:
        """Whether somebody who was there at its acknowledge slot acknowledged the frame that ends now."""
        if not run.sender.lives:
            return True  # nobody waits for it
        start_ns, slot_ns = run.latest_ns, run.until_ns - self._slot_ns
        parties = run.parties
        return any(each.took_part(start_ns, slot_ns) and each not in parties for each in self._judge.controllers)

    def finish(self, run: Run) -> None:
        """What was on the wire is over."""
        attempt = run.attempt
        for recovery in self.recoveries:
            recovery.passed(run.latest_ns, run.until_ns)
        if self._errors:
            for each in self._judge.controllers:
                if each.late:
                    self._stays_late(each, run)
        if run.ends_ns:
            self._judge.faults.passed(len(run.ends_ns))
            self._good(run, run.ends_ns, sum(run.ends_ns) - sum(run.starts_ns), None)
        if attempt is None:
            return
        if attempt.cause is Cause.FAULT:
            self._judge.faults.draw()
        elif attempt.cause is Cause.NOISE:
            self._judge.noise.draw()
        if attempt.verdict.sent:
            run.starts_ns.append(run.begun_ns)
            self._good(run, [run.until_ns], attempt.verdict.lasts_ns, attempt)
        else:
            self._bad(run, attempt)

    def _stays_late(self, controller: Controller, run: Run) -> None:
        """It was still in the delimiter of its error frame when this frame began, if it did not make it in time."""
        controller.late = run.latest_ns < controller.since_ns
        if controller.late:
            controller.sees_error(first=False)
            controller.is_late(run.until_ns + (self._late_ns if run.passes else 0))  # flags of others end its own

    def recover(self, now: int) -> None:
        """Let those take part again whose time has come."""
        for recovery in list(self.recoveries):
            controller = recovery.controller
            if recovery.life != controller.lives:
                self.recoveries.remove(recovery)
            elif recovery.done_ns <= now:
                self.recoveries.remove(recovery)
                controller.returns(now)
                self._say(Verb.BUS_ON, controller.node)

    # -------------------------------------------------------------------------------------------------- it passed

    def _good(self, run: Run, ends_ns: Sequence[int], busy_ns: int, attempt: Attempt | None) -> None:
        job, count, end_ns = run.sender.job, len(ends_ns), ends_ns[-1]
        frames = job.frames[job.at : job.at + count]
        victim = None if attempt is None else attempt.victim
        done: list[Sender] = []
        for sender in (run.sender, *run.also):
            sender.controller.traffic.frames += count
            if sender.lives:
                sender.controller.sent_good(count)
                self._suspend(sender, end_ns)
                sender.job.alone = victim is not None
                if sender.job.passed(count, end_ns + sender.job.separation_ns):
                    sender.controller.jobs.remove(sender.job)
                    done.append(sender)
        run.sender.controller.traffic.busy_ns += busy_ns
        if self._errors or run.losers:
            self._count_good(run, count, attempt, end_ns)
        self._say(Verb.FRAMES, f"{count} from {run.sender.controller.node}")
        if victim is not None:
            self._say(Verb.LOST, f"1 at {victim.node}")
        if self.monitor is not None:
            for start_ns, end, frame in zip(run.starts_ns, ends_ns, frames, strict=True):
                for sender in (run.sender, *run.also):
                    self.monitor(start_ns, end, sender.controller.node, frame)
        self._tell(run, frames, victim)
        for sender in done:
            if sender.lives and sender.job.sent is not None:
                sender.job.sent()

    def _count_good(self, run: Run, count: int, attempt: Attempt | None, end_ns: int) -> None:
        missed = attempt is not None and attempt.verdict.missed
        for each in self._judge.receivers(run.parties, run.starts_ns[0]):
            if attempt is not None and missed and each is attempt.victim:
                each.sees_error(first=False)
                each.is_late(end_ns + self._late_ns)
            else:
                each.heard_good(count)
        self._errors = True
        for loser in run.losers:
            if loser.lives:
                loser.controller.is_late(end_ns + self._late_ns)
            self._blame(loser, end_ns + self._late_ns)
        self._errors = any(each.counts for each in self._judge.controllers)

    def _tell(self, run: Run, frames: Sequence[CanFrame], victim: Controller | None) -> None:
        """Everybody who was there all the time hears what it accepts."""
        start_ns, parties, can_id = run.starts_ns[0], run.parties, frames[0].can_id
        if run.filter is not None:
            frames = self._filtered(run.sender.controller.node, frames, run.filter)
        for other in list(self._judge.controllers):
            if other is victim or not other.hears(start_ns) or other in parties:
                continue
            if run.filter is not None:
                accepted = [frame for frame in frames if other.accepts(frame.can_id)]
                if accepted:
                    other.hear(accepted)
            elif other.accepts(can_id):
                other.hear(frames)

    def _filtered(self, node: str, frames: Sequence[CanFrame], someone: Filter) -> list[CanFrame]:
        passed: list[CanFrame] = []
        for frame in frames:
            other = someone(node, frame)
            if other is None:
                self._say(Verb.DROPPED, f"1 from {node}")
                continue
            if other != frame:
                self._say(Verb.ALTERED, f"1 from {node}")
            passed.append(other)
        return passed

    # -------------------------------------------------------------------------------------------------- it failed

    def _bad(self, run: Run, attempt: Attempt) -> None:
        verdict, end_ns = attempt.verdict, run.until_ns
        controller, job = run.sender.controller, run.sender.job
        receivers = self._judge.receivers(run.parties, run.begun_ns)
        controller.traffic.errors += 1
        controller.traffic.busy_ns += verdict.lasts_ns
        self._errors = True
        for each in receivers:
            if verdict.heard and each is not attempt.victim:
                each.heard_good(1)
            else:
                each.sees_error(first=verdict.first and each is attempt.victim)
        self._tell_error(run, attempt)
        for sender in (run.sender, *run.also, *run.losers):
            if attempt.cause is Cause.ALONE:
                self._unheard(sender, end_ns)
            else:
                self._blame(sender, end_ns)
        if verdict.heard:
            job.alone = True  # it will be heard again
            run.starts_ns.append(run.begun_ns)
            self._tell(run, [job.frames[job.at]], attempt.victim)

    def _tell_error(self, run: Run, attempt: Attempt) -> None:
        controller = run.sender.controller
        if attempt.cause is Cause.ALONE:
            if controller.unheard:
                return  # it goes on and on
            controller.unheard = True
        where = "" if attempt.wrong is None else f" {attempt.wrong}"
        self._say(Verb.ERROR, f"1 from {controller.node} why={attempt.cause.value}{where}")

    def _unheard(self, sender: Sender, end_ns: int) -> None:
        """A node alone on the bus becomes error passive and stays it: it does not fall off."""
        if sender.controller.passive:
            self._suspend(sender, end_ns)
        else:
            self._blame(sender, end_ns)

    def _blame(self, sender: Sender, end_ns: int) -> None:
        """It sent what failed."""
        if not sender.lives:
            return
        controller = sender.controller
        if controller.fails_to_send():
            controller.leaves(end_ns)
            recovery = Recovery(controller, end_ns + self._restart_ns, self._judge.durations)
            recovery.passed(end_ns, end_ns)  # this error frame's 11 bits count, too, if it need not wait
            self.recoveries.append(recovery)
            self._say(Verb.BUS_OFF, controller.node)
        else:
            self._suspend(sender, end_ns)

    def _suspend(self, sender: Sender, end_ns: int) -> None:
        if sender.controller.passive:
            sender.controller.suspended_ns = end_ns + self._judge.durations.bits(SUSPEND_BITS)
