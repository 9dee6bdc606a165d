"""One run of one seed, and what is kept of it: the least that soaking, shrinking and replaying need to know.

`Simulation` is whatever can draw a plan from a seed and run it. A run that ends in an exception has found a bug, like
one that broke a rule, and is kept as such: a soak of a million seeds does not end at the first.
"""

from __future__ import annotations

import traceback
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Protocol

from sim.asked import RUNNER, Asked
from sim.clock import NS_PER_S
from sim.trace import Trace
from sim.verbs import Verb
from uptane.errors import MarqueError

BUG: Final = "BUG"
"""The rule that a run which ends in an exception has broken."""

BUGS: Final = (
    *(AssertionError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError),
    MarqueError,  # one that nobody handled
)
_TEXT_MAX: Final = 500  # characters of an exception: a line of a trace, not a page


class Numbered(Protocol):
    """A fault of a plan, or something people do. Its text says what, to whom and when."""

    @property
    def number(self) -> int:
        """By which a run can leave it out."""
        ...


class Plan(Protocol):
    """What a seed means."""

    @property
    def acts(self) -> Sequence[Numbered]:
        """All that people do, in the order of their numbers."""
        ...

    @property
    def faults(self) -> Sequence[Numbered]:
        """All faults that were drawn, in the order of their numbers."""
        ...


class Violation(Protocol):
    """A rule that was broken."""

    @property
    def rule(self) -> Enum:
        """Which."""
        ...

    @property
    def node(self) -> str:
        """Where."""
        ...

    @property
    def text(self) -> str:
        """What was found, and what should have been."""
        ...


class Outcome(Protocol):
    """What a run comes to."""

    @property
    def events(self) -> int:
        """What happened, one after the other; not all of it is told in the trace."""
        ...

    @property
    def cuts(self) -> int:
        """Power cuts."""
        ...

    @property
    def distinct_cuts(self) -> Collection[str]:
        """The (effect, state) pairs at which power was cut."""
        ...

    @property
    def updates(self) -> int:
        """Update cycles of vehicles that came to their end."""
        ...

    @property
    def violations(self) -> Sequence[Violation]:
        """What was broken; nothing, if all is well."""
        ...


class Simulation(Protocol):
    """Draws plans and runs them."""

    @property
    def manners(self) -> Sequence[str]:
        """The names of the ways in which plans are drawn, STANDARD first."""
        ...

    def plan(self, seed: int, manner: str) -> Plan:
        """What `seed` means."""
        ...

    def run(self, asked: Asked, *, until: int | None, trace: Trace) -> Outcome:
        """Run it, up to the event `until` if that is given."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule that was broken, by name, and where."""

    rule: str
    node: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule} {self.node} {self.text}"


@dataclass(frozen=True, slots=True)
class Result:
    """What is kept of a run. `digest` is that of its trace; the same seed has the same, always."""

    seed: int
    events: int = 0
    updates: int = 0
    cuts: int = 0
    distinct_cuts: frozenset[str] = frozenset()
    virtual_ns: int = 0
    failures: tuple[Failure, ...] = ()
    digest: str = ""


def attempt(simulation: Simulation, asked: Asked, trace: Trace, *, until: int | None = None) -> Result:
    """Run it to its end, whatever that is, and write the last line of its trace."""
    if asked.detail:
        trace.say(0, RUNNER, Verb.ASKED, asked.detail)
    outcome: Outcome | None = None
    failures: tuple[Failure, ...] = ()
    try:
        outcome = simulation.run(asked, until=until, trace=trace)
        failures = tuple(Failure(broken.rule.name, broken.node, broken.text) for broken in outcome.violations)
    except BUGS as error:
        failures = (_bug(error),)
        trace.say(_latest_ns(trace), "checkers", Verb.VIOLATION, str(failures[0]))
    trace.end()
    result = Result(asked.seed, virtual_ns=_latest_ns(trace), failures=failures, digest=trace.digest)
    if outcome is None:
        return result
    return replace(
        result,
        events=outcome.events,
        updates=outcome.updates,
        cuts=outcome.cuts,
        distinct_cuts=frozenset(outcome.distinct_cuts),
    )


def _bug(error: BaseException) -> Failure:
    """The place in the code stands first: that is what a smaller run of the same bug has in common."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "?"
    text = " ".join(f"{type(error).__name__} {error}".split())
    return Failure(f"{BUG}_{type(error).__name__}_{place}", place, text[:_TEXT_MAX])


def _latest_ns(trace: Trace) -> int:
    if not trace.latest:
        return 0
    seconds, _, rest = trace.latest.split(" ", 2)[1].partition(".")
    return int(seconds) * NS_PER_S + int(rest)
