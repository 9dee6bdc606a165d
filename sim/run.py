"""One run: a plan is played with its faults, then the faults stop and every vehicle has to converge.

Safety is checked after every effect, from the first to the last. Liveness is demanded only once nothing fails any
more: then people mend what people mend (a workshop plugs in what was unplugged, an operator orders again what was
rolled back), and the vehicles get a bounded time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sim.clock import NS_PER_MS, NS_PER_S
from sim.plan import Plan
from sim.trace import Trace
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
    digest: str


def run(
    plan: Plan, *, without: frozenset[int] = frozenset(), until: int | None = None, trace: Trace | None = None
) -> Outcome:
    """Play `plan`, but for the faults and acts numbered in `without`, as far as line `until` of the trace."""
    trace = trace or Trace(plan.seed)
    world = World(plan, trace, without=without)
    calm_ns = plan.calm_ms * NS_PER_MS
    converged_s = 0
    if world.play(calm_ns, lines_max=until):
        world.calm()
        while not world.converged():
            if world.clock.now_ns - calm_ns > LIVENESS_S_MAX * NS_PER_S:
                raise AssertionError("does not converge")
            if not world.play(world.clock.now_ns + LOOK_S * NS_PER_S, lines_max=until):
                break
        converged_s = (world.clock.now_ns - calm_ns) // NS_PER_S
    return Outcome(
        seed=plan.seed,
        events=world.events,
        cuts=world.fuses.cuts,
        distinct_cuts=frozenset(world.fuses.distinct),
        updates=world.updates(),
        virtual_s=world.virtual_s,
        converged_s=converged_s,
        digest=trace.digest,
    )
