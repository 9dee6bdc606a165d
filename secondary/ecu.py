"""A Secondary as one machine: frames in; it verifies for itself, installs, and signs what it has to say.

It composes ISO-TP, the UDS server and the workflows of this package. One workflow runs at a time, one need of it is
open at a time; requests that come meanwhile are told "pending" or "busy" by the server. A restart is a new machine: it
begins with what is durable and knows nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

from secondary import install
from secondary.attempt import attempt, heeded, settle
from secondary.needs import (
    Answered,
    Effect,
    Event,
    Found,
    Need,
    Note,
    PowerCycle,
    PowerUp,
    Running,
    SelfTest,
    SelfTested,
    Tick,
    Verdict,
)
from secondary.readings import reading
from secondary.state import Facts, count, load
from secondary.watch import Watch
from uptane.errors import Check, StorageFailure
from uptane.link import isotp_values as isotp
from uptane.link import uds_tasks as uds
from uptane.link.isotp import IsoTp
from uptane.link.uds_server import UdsServer
from uptane.link.uds_values import PRIMARY_ADDRESS, Session
from uptane.machine import Workflow
from uptane.moments import SECOND_MS, Instant, after, earliest

REVERT_MS: Final = 2 * SECOND_MS  # after its session, a given-up image is left for the old one if nobody restarts us
EARLY_MAX: Final = 16  # frames heard while booting that are looked at afterwards: whoever waits for us asks

_FD_DATA_LENGTH: Final = 64


@dataclass(frozen=True, slots=True)
class _Job:
    """A workflow, and what is to be done with its result."""

    workflow: Workflow[Need, Any]
    done: Callable[[Any], None]


class Secondary:
    """One boot of a Secondary, a Machine[Event, Effect]; its first event is PowerUp.

    `interlock` says, when asked, whether reprogramming is safe.

    Raises:
        Rejected, Malformed, StorageFailure: what was found is no state to start from (state.load).
    """

    def __init__(self, facts: Facts, found: Found, interlock: Callable[[], uds.Interlock], now: Instant) -> None:
        self._state = load(facts, found, now)
        self._interlock = interlock
        settings = isotp.IsoTpSettings(_FD_DATA_LENGTH, fd=True, brs=True) if facts.fd else isotp.IsoTpSettings()
        self._isotp = IsoTp(facts.address, settings)
        self._server = UdsServer(interlock, lambda did: reading(self._state, did))
        self._up = False
        self._early: list[isotp.FramesHeard | isotp.FramesSent] = []
        self._down = False
        self._watch: Watch | None = None
        self._revert_at: Instant | None = None
        self._job: _Job | None = None
        self._waiting: deque[_Job] = deque()  # a task of the server, a vote, and what is to be written down: a few
        self._working = False
        self._uncounted: dict[Check, int] = {}
        self._cycle_began = False
        self._noted = False
        self._effects: list[Effect] = []

    def handle(self, event: Event, now: Instant) -> Sequence[Effect]:
        """Take one event; the effects are to be carried out in order."""
        self._effects = []
        self._state.now = now
        if self._down:
            return ()
        match event:
            case isotp.FramesHeard() | isotp.FramesSent():
                if self._up:
                    self._carry(self._isotp.handle(event, now))
                elif len(self._early) < EARLY_MAX:
                    self._early.append(event)
            case Answered(answer=answer):
                self._advance(answer)
                self._next()
            case Tick():
                self._tick(now)
            case PowerUp():
                self._start(self._boot(), self._booted)
            case SelfTested(verdict=verdict):
                self._tested(verdict)
            case _:
                assert_never(event)
        return self._effects

    def deadline(self) -> Instant | None:
        """When the link or the server wants to be woken."""
        if self._down:
            return None
        revert_at = self._revert_at if install.is_reverting(self._state) else None
        return earliest(self._isotp.deadline(), self._server.deadline(), revert_at)

    # ------------------------------------------------------------------------------------------------------ link

    def _tick(self, now: Instant) -> None:
        self._carry(self._isotp.handle(isotp.Tick(), now))
        deadline = self._server.deadline()
        if deadline is not None and now >= deadline:
            self._serve(uds.Tick())
        if self._revert_at is not None and now >= self._revert_at:
            self._revert()

    def _revert(self) -> None:
        """Restart into the released image, if the new one was given up; never while the vehicle is not safe."""
        self._revert_at = after(self._state.now, REVERT_MS)
        if install.is_reverting(self._state) and self._interlock() is uds.Interlock.SAFE:
            self._power_cycle("going back to the released image")

    def _carry(self, effects: Sequence[isotp.Effect]) -> None:
        for effect in effects:
            match effect:
                case isotp.SendFrames():
                    self._effects.append(effect)
                case isotp.MessageReceived(peer=peer, octets=octets, functional=functional):
                    self._serve(uds.Asked(peer, octets, functional))
                case isotp.MessageSent() | isotp.LinkError():
                    pass  # whoever asked will ask again
                case _:
                    assert_never(effect)

    def _serve(self, event: uds.Event) -> None:
        for effect in self._server.handle(event, self._state.now):
            match effect:
                case uds.Reply(peer=peer, octets=octets):
                    self._carry(self._isotp.handle(isotp.Send(peer, octets), self._state.now))
                case uds.Do(task=task):
                    self._do(task)
                case uds.Misused(check=check):
                    self._note(check)
                case uds.Opened(session=session, peer=peer):
                    self._opened(session, peer)
                case uds.Traffic():
                    self._effects.append(effect)
                case uds.Restart():
                    self._power_cycle("restart asked for")
                case _:
                    assert_never(effect)

    def _do(self, task: uds.Task) -> None:
        state = self._state
        if isinstance(task, uds.BeginImage | uds.BeginObject):
            self._watch = Watch(state.facts.slow_floor, state.now)
        elif isinstance(task, uds.WriteBlock) and self._watch is not None:
            self._watch.octets += len(task.octets)
            self._count_if_slow()
        elif isinstance(task, uds.EndTransfer):
            self._watch = None
        self._start(attempt(state, task), lambda nrc: self._serve(uds.Answer(nrc)))

    def _count_if_slow(self) -> None:
        state = self._state
        if self._watch is not None and self._watch.is_slow(state.now):
            state.notes.append("a delivery crawls: slow retrieval")
            self._note(Check.SLOW_RETRIEVAL)

    def _note(self, check: Check | None) -> None:
        """Have a refusal of no workflow counted, or with None a cycle reported: one job, however many wait."""
        if check is None:
            self._cycle_began = True
        else:
            self._uncounted[check] = self._uncounted.get(check, 0) + 1
        if not self._noted:
            self._noted = True
            self._start(self._write_down())

    def _write_down(self) -> Workflow[Need, None]:
        state = self._state
        self._noted = False
        while self._uncounted:
            check, times = self._uncounted.popitem()
            yield from heeded(state, count(state, check, times))
        cycle, self._cycle_began = self._cycle_began, False
        yield from settle(state, cycle=cycle)

    def _opened(self, session: Session, peer: int) -> None:
        state = self._state
        self._count_if_slow()
        self._watch = None
        if session is Session.EXTENDED and peer == PRIMARY_ADDRESS:
            self._note(None)
        if session is Session.DEFAULT:
            state.objects.clear()
        self._revert_at = after(state.now, REVERT_MS) if session is Session.DEFAULT else None

    # ------------------------------------------------------------------------------------------------ boot and vote

    def _boot(self) -> Workflow[Need, bool]:
        """Boot; False when the decision could not be made durable: then nothing runs."""
        state = self._state
        try:
            blamed = yield from install.boot(state)
        except StorageFailure as failure:
            state.notes.append(f"cannot boot: {failure}")
            return False
        if blamed is not None:
            yield from heeded(state, count(state, blamed))
        yield from settle(state)
        return True

    def _booted(self, up: bool) -> None:  # noqa: FBT001 (a workflow's result)
        state = self._state
        if not up:
            self._power_cycle("the boot decision could not be stored")
            return
        self._up = True
        self._effects.append(Running(state.installation.running, state.installation.image.filename))
        if install.is_unproven(state):
            image = state.installation.image
            state.testing = True
            self._effects.append(SelfTest(state.installation.running, image.length, image.sha256))
        early, self._early = self._early, []
        for event in early:
            self._carry(self._isotp.handle(event, state.now))

    def _tested(self, verdict: Verdict) -> None:
        self._state.testing = False
        if verdict is Verdict.DEAD:
            self._power_cycle("the image does not come up")  # as a watchdog would; boots are counted
        else:
            self._start(self._vote(verdict), lambda _result: self._revert())

    def _vote(self, verdict: Verdict) -> Workflow[Need, None]:
        state = self._state
        blamed = yield from heeded(state, install.vote(state, verdict))
        if blamed is not None:
            yield from heeded(state, count(state, blamed))
        yield from settle(state)

    # ------------------------------------------------------------------------------------------------------ jobs

    def _start(self, workflow: Workflow[Need, Any], done: Callable[[Any], None] = lambda _result: None) -> None:
        """Run a workflow as soon as those before it have ended."""
        self._waiting.append(_Job(workflow, done))
        self._next()

    def _next(self) -> None:
        """Run jobs until one waits. What a job starts when it ends is run here too, not from within."""
        if self._working:
            return
        self._working = True
        while self._job is None and self._waiting and not self._down:
            self._job = self._waiting.popleft()
            self._advance(None)
        self._working = False

    def _advance(self, answer: object) -> None:
        job = self._job
        assert job is not None, "an answer to a need that nobody has"
        try:
            flow = job.workflow
            need = flow.throw(answer) if isinstance(answer, StorageFailure) else flow.send(answer)
        except StopIteration as ended:
            self._job = None
            self._flush_notes()
            job.done(ended.value)
        else:
            self._effects.append(need)

    def _flush_notes(self) -> None:
        self._effects += map(Note, self._state.notes)
        self._state.notes.clear()

    def _power_cycle(self, why: str) -> None:
        self._flush_notes()
        self._effects += [Note(why), PowerCycle()]
        self._down = True
