"""One run: a plan is played with its faults, then the faults stop and every vehicle has to converge.

Safety is checked after every effect, from the first to the last. Liveness is demanded only once nothing fails any
more: then people mend what people mend (a workshop plugs in what was unplugged, an operator orders again what was
rolled back), and the vehicles get a bounded time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sim.clock import NS_PER_S
from sim.firmware_node import Maker
from sim.plan import Plan
from sim.rules import Violated, Violation
from sim.trace import Trace
from sim.verbs import Verb
from sim.world import World

LIVENESS_S_MAX: Final = 6 * 3_600  # the longest pauses are 900 s between retries and 300 s between polls, a few each
LOOK_S: Final = 20  # how often it is asked whether the fleet has converged


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run was: its figures, and the rules it broke.

    `distinct_cuts` are the power cuts by effect and durable state; `converged_s` is how long after the last fault every
    vehicle was where it should be.
    """

    seed: int
    events: int
    cuts: int
    distinct_cuts: frozenset[str]
    updates: int
    virtual_s: int
    converged_s: int
    violations: tuple[Violation, ...]
    digest: str


def run(
    plan: Plan,
    *,
    without: frozenset[int] = frozenset(),
    until: int | None = None,
    trace: Trace | None = None,
    maker: Maker | None = None,
    falls_back: float | None = None,
) -> Outcome:
    """Play `plan`, but for the faults and acts numbered in `without`, as far as line `until` of the trace.

    `maker` makes the ECUs whose core is the C core; without one, they are like the others. `falls_back` as in Garage.
    """
    trace = trace or Trace(plan.seed)
    world = World(plan, trace, without=without, maker=maker, falls_back=falls_back)
    violations: tuple[Violation, ...] = ()
    converged_s = 0
    try:
        going = True
        while going and world.clock.now_ns < world.calm_ns:
            going = world.play(world.calm_ns, lines_max=until)
        if going:
            converged_s = _converge(world, until)
    except Violated as violated:
        violations = violated.violations
        for each in violations:
            world.say("checkers", Verb.VIOLATION, str(each))
    return Outcome(
        seed=plan.seed,
        events=world.events,
        cuts=world.fuses.cuts,
        distinct_cuts=frozenset(world.fuses.distinct),
        updates=world.updates(),
        virtual_s=world.clock.now_ns // NS_PER_S,
        converged_s=converged_s,
        violations=violations,
        digest=trace.digest,
    )


def _converge(world: World, lines_max: int | None) -> int:
    """Let the storm be over; seconds until every vehicle is where it should be.

    Raises:
        Violated: one never is.
    """
    world.calm()
    calm_ns = world.clock.now_ns
    going = world.play(calm_ns + LOOK_S * NS_PER_S, lines_max=lines_max)
    while going and world.unsettled():
        if world.clock.now_ns - calm_ns > LIVENESS_S_MAX * NS_PER_S:
            world.checkers.settled(world.operators.wanted)
            break
        going = world.play(world.clock.now_ns + LOOK_S * NS_PER_S, lines_max=lines_max)
    return (world.clock.now_ns - calm_ns) // NS_PER_S
