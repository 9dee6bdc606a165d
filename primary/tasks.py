"""Runs workflows side by side, each until it needs something: a Machine without anything of its own to decide.

Workflows yield needs. `Now`, `Pause` and `Together` are answered here; a `Note` and what is announced pass through;
everything else becomes a `Perform` with a ticket, to be answered. An answer that is a MarqueError is raised.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

from primary.needs import Announce, Note, Now, Perform, Together
from uptane.errors import MarqueError
from uptane.link.uds_client import Pause
from uptane.machine import Workflow
from uptane.moments import Instant, after

Effect: TypeAlias = Any  # Perform, Note, or what was announced
ResultT = TypeVar("ResultT")


class _Timer(NamedTuple):
    """A pause: when it ends, and whose it is; `number` keeps equal moments in order."""

    at: Instant
    number: int
    task: _Task


@dataclass(slots=True, eq=False)
class _Task:
    """One workflow under way; `results` collects those of its children while it waits for them."""

    workflow: Workflow[Any, Any]
    parent: _Task | None = None
    place: int = 0
    results: list[object] | None = None
    open: int = 0


class Tasks(Generic[ResultT]):
    """One main workflow and whatever it runs together. `outcome` is its result once it has ended."""

    def __init__(self, main: Workflow[Any, ResultT]) -> None:
        self.outcome: tuple[ResultT | MarqueError] | None = None
        self._main = main
        self._waiting: dict[int, _Task] = {}  # by ticket
        self._timers: list[_Timer] = []
        self._ready: deque[tuple[_Task, object]] = deque()
        self._effects: list[Effect] = []
        self._number = 0

    def start(self, now: Instant) -> Sequence[Effect]:
        """Run the main workflow up to its first need."""
        self._ready.append((_Task(self._main), None))
        return self._run(now)

    def done(self, ticket: int, answer: object, now: Instant) -> Sequence[Effect]:
        """Answer the need with this ticket."""
        self._ready.append((self._waiting.pop(ticket), answer))
        return self._run(now)

    def tick(self, now: Instant) -> Sequence[Effect]:
        """Go on with the workflows whose pause is over."""
        while self._timers and self._timers[0].at <= now:
            self._ready.append((heapq.heappop(self._timers).task, None))
        return self._run(now)

    def deadline(self) -> Instant | None:
        """When the first pause ends."""
        return self._timers[0].at if self._timers else None

    def _run(self, now: Instant) -> Sequence[Effect]:
        """Run each task until it waits; tasks that become ready meanwhile follow."""
        self._effects = []
        while self._ready:
            task, answer = self._ready.popleft()
            try:
                need = self._advance(task, answer, now)
            except StopIteration as end:
                self._ended(task, end.value)
            except MarqueError as refusal:
                self._ended(task, refusal)
            else:
                self._wait(task, need, now)
        return self._effects

    def _advance(self, task: _Task, answer: object, now: Instant) -> object:
        """Give `task` its answer, and those that need no waiting; return the need it now waits for."""
        while True:
            need = task.workflow.throw(answer) if isinstance(answer, MarqueError) else task.workflow.send(answer)
            if isinstance(need, Now):
                answer = now
            elif isinstance(need, Note | Announce):
                self._effects.append(need.effect if isinstance(need, Announce) else need)
                answer = None
            else:
                return need

    def _wait(self, task: _Task, need: object, now: Instant) -> None:
        self._number += 1
        if isinstance(need, Pause):
            heapq.heappush(self._timers, _Timer(after(now, need.duration_ms), self._number, task))
        elif isinstance(need, Together):
            task.results = [None] * len(need.workflows)
            task.open = len(need.workflows)
            self._ready.extend((_Task(child, task, place), None) for place, child in enumerate(need.workflows))
            if not need.workflows:
                self._ready.append((task, ()))
        else:
            self._waiting[self._number] = task
            self._effects.append(Perform(self._number, need))

    def _ended(self, task: _Task, result: object) -> None:
        parent = task.parent
        if parent is None:
            assert not self._waiting
            assert not self._timers, "the main workflow ended before those it started"
            self.outcome = (cast("ResultT | MarqueError", result),)
            return
        assert parent.results is not None
        parent.results[task.place] = result
        parent.open -= 1
        if parent.open == 0:
            self._ready.append((parent, tuple(parent.results)))
