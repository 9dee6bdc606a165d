"""The Primary as one machine: events in, effects out. It starts, then runs cycle after cycle, with pauses in between.

`Core` is what decides, and asks for exchanges with ECUs as needs. `Primary` is the core and its buses together: CAN
frames in, CAN frames out. A restart is a new machine, which begins with what is durable and knows nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, assert_never

from primary.buses import Buses, Exchange, OnBus, SendOn
from primary.cycle import Finished, Result, cycle
from primary.means import Means
from primary.needs import Announce, AnyNeed, LookAtVehicle, Note, Now, Perform
from primary.start import boot, load
from primary.tasks import Tasks
from uptane.errors import MarqueError
from uptane.link.isotp_values import IsoTpSettings, Tick
from uptane.link.uds_client import Ask, Listen, Pause
from uptane.link.uds_line import Answered
from uptane.machine import Workflow
from uptane.moments import SECOND_MS, Instant, after, earliest

AGAIN_MAX: Final = 4  # cycles at once in a row, when each brought something new
RETRY_MS: Final = 2 * SECOND_MS  # after a first failure; doubled after each further one
POLL_S_MAX: Final = 86_400  # a Director, or whoever speaks for it, cannot put a vehicle to sleep for longer than a day
RETRY_MS_MAX: Final = 900 * SECOND_MS  # a car park with its server down is asked for four times an hour
GATE_MS: Final = 5 * SECOND_MS  # between two looks at a shut gate: the driver has just parked, and waits


@dataclass(frozen=True, slots=True)
class Pace:
    """How a resident Primary polls: every `poll_s` seconds unless the Director says otherwise. `once`: one update."""

    poll_s: int
    once: bool = False


# --------------------------------------------------------------------------------------------------------- events


class Start(NamedTuple):
    """The first event: power is up."""


class Done(NamedTuple):
    """The need with this ticket was met; or could not be, and `answer` is a MarqueError."""

    ticket: int
    answer: object


@dataclass(frozen=True, slots=True)
class CycleEnded:
    """A cycle has ended; the next begins in `pause_ms`, or never (None)."""

    finished: Finished
    pause_ms: int | None


@dataclass(frozen=True, slots=True)
class Stopped:
    """The machine has ended: with the last cycle's result, or with what kept it from starting."""

    outcome: Finished | MarqueError


CoreEvent: TypeAlias = Start | Done | Tick
CoreEffect: TypeAlias = Perform | Note | CycleEnded | Stopped


class Core:
    """One boot of the Primary without its buses, a Machine[CoreEvent, CoreEffect]; its first event is Start."""

    def __init__(self, means: Means, pace: Pace) -> None:
        self._tasks: Tasks[Finished] = Tasks(reside(means, pace))
        self._stopped = False

    def handle(self, event: CoreEvent, now: Instant) -> Sequence[CoreEffect]:
        """Take one event; the effects are to be carried out in order."""
        match event:
            case Start():
                effects = self._tasks.start(now)
            case Done(ticket=ticket, answer=answer):
                effects = self._tasks.done(ticket, answer, now)
            case Tick():
                effects = self._tasks.tick(now)
            case _:
                assert_never(event)
        if self._tasks.outcome is None or self._stopped:
            return effects
        self._stopped = True
        return [*effects, Stopped(self._tasks.outcome[0])]

    def deadline(self) -> Instant | None:
        """When a pause ends."""
        return self._tasks.deadline()


def reside(means: Means, pace: Pace) -> Workflow[AnyNeed, Finished]:
    """Start, then one cycle after the other; with `once` until there is nothing more to do at once.

    Returns the result of the latest cycle that did something.

    Raises:
        StorageFailure, Rejected, Malformed: what is durable is no state to start from.
    """
    memory = yield from load(means)
    yield from boot(means, memory)
    failures = again = 0
    last: Finished | None = None
    while True:
        finished = yield from cycle(means, memory)
        if finished.result is not Result.IDLE or last is None:
            last = finished
        again = again + 1 if finished.at_once and again < AGAIN_MAX else 0
        failures = failures + 1 if finished.result in _GROWING else 0
        if pace.once and not again:
            yield Announce(CycleEnded(finished, None))
            return last
        pause_ms = 0 if again else _pause_ms(means, pace, finished, failures)
        yield Announce(CycleEnded(finished, pause_ms))
        if finished.result is Result.WAITING:
            yield from _watch_vehicle(pause_ms)
        else:
            yield Pause(pause_ms)


_GROWING: Final = frozenset({Result.UNREACHABLE, Result.REFUSED, Result.STORAGE, Result.TRYING})


def _pause_ms(means: Means, pace: Pace, finished: Finished, failures: int) -> int:
    """Until the next cycle. Pauses after failures are drawn, so that a fleet does not come back as one."""
    if failures:
        longest = min(RETRY_MS << min(failures - 1, 20), RETRY_MS_MAX)
        return longest // 2 + means.jitter(longest // 2)
    return min(finished.poll_again_s or pace.poll_s, POLL_S_MAX) * SECOND_MS


def _watch_vehicle(pause_ms: int) -> Workflow[AnyNeed, None]:
    """Wait for the next poll, or until the vehicle says something else of itself: somebody may have parked it."""
    before = yield LookAtVehicle()
    end = after((yield Now()), pause_ms)
    while (now := (yield Now())) < end:
        yield Pause(min(GATE_MS, end - now))
        if (yield LookAtVehicle()) != before:
            return


# ----------------------------------------------------------------------------------------------------- with buses

Event: TypeAlias = CoreEvent | OnBus
Effect: TypeAlias = CoreEffect | SendOn


class Primary:
    """One boot of the Primary with its buses, a Machine[Event, Effect]; its first event is Start."""

    def __init__(self, means: Means, pace: Pace, buses: Mapping[str, IsoTpSettings]) -> None:
        self._core = Core(means, pace)
        self._buses = Buses(means.layout, buses)

    def handle(self, event: Event, now: Instant) -> Sequence[Effect]:
        """Take one event; the effects are to be carried out in order."""
        effects: list[Effect] = []
        answers: deque[Answered] = deque()
        if isinstance(event, OnBus | Tick):
            self._sort(self._buses.handle(event, now), effects, answers)
        if not isinstance(event, OnBus):
            self._ask(self._core.handle(event, now), now, effects, answers)
        while answers:
            answer = answers.popleft()
            self._ask(self._core.handle(Done(answer.ticket, answer.octets), now), now, effects, answers)
        return effects

    def deadline(self) -> Instant | None:
        """When a pause ends, or a bus wants to be woken."""
        return earliest(self._core.deadline(), self._buses.deadline())

    def _ask(self, asked: Sequence[CoreEffect], now: Instant, effects: list[Effect], answers: deque[Answered]) -> None:
        """Pass effects on, but those that the buses carry out."""
        for effect in asked:
            if isinstance(effect, Perform) and isinstance(effect.need, Ask | Listen):
                self._sort(self._buses.handle(Exchange(effect.ticket, effect.need), now), effects, answers)
            else:
                effects.append(effect)

    def _sort(self, found: Sequence[SendOn | Answered], effects: list[Effect], answers: deque[Answered]) -> None:
        for each in found:
            if isinstance(each, Answered):
                answers.append(each)
            else:
                effects.append(each)
