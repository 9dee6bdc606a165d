"""Runs written by hand, each for a kind of defect that a drawn seed meets too seldom.

    python -m tests.sim.scenarios NAME

A run is a plan: each line is a time in milliseconds, what happens, where, for how long, and what plan.py says of the
two numbers after that. mutant_runner.py starts this file in a copy of the packages with a defect in it. Exit codes are
those of `marque-sim run`: 0 every rule held, 1 one was broken.
"""

from __future__ import annotations

import sys
from typing import Final

from sim.asked import Asked
from sim.attempt import attempt
from sim.clock import NS_PER_S
from sim.plan import Plan
from sim.plan_text import load
from sim.rules import Violated, Violation
from sim.run import LOOK_S, Outcome
from sim.trace import Trace
from sim.world import World

PATIENCE_S: Final = 600  # after faults have stopped; all of them are where they should be within three minutes

ONE: Final = "vehicle 1 head brake:partial:classic camera:full:fast"
TWO: Final = f"{ONE}\nvehicle 2 head brake:partial:classic camera:full:fast"
UPDATE: Final = "2000 assign v1 0 0 0"


class Scenario:
    """A plan by its lines; faults stop after `calm_s` seconds."""

    def __init__(self, *lines: str, calm_s: int = 40, vehicles: str = ONE, image: int = 512, seed: int = 1) -> None:
        self._head = f"plan 1 seed {seed} image {image} calm {calm_s * 1_000}\n{vehicles}"
        self._lines = lines

    @property
    def plan(self) -> Plan:
        """What it means."""
        numbered = "\n".join(f"{number} {line}" for number, line in enumerate(self._lines, 1))
        return load(f"{self._head}\n{numbered}\n")


def _cuts(node: str, *counts: int, at_ms: int = 2_001, off_ms: int = 300, torn: int = 0) -> list[str]:
    """The power of a node fails at each so manieth of its durable effects."""
    return [f"{at_ms} cut {node} {off_ms} {count} {torn}" for count in counts]


# An update of ONE takes from 5.3 s (the Primary polls) to 10.2 s: prepared at 5.9 s, brake on trial at 6.0 s and voted
# at 6.3 s, camera a second later, the Primary restarts at 7.9 s; commit at 8.9 s, release at 9.4 s.
SCENARIOS: Final = {
    "plain": Scenario(UPDATE),
    "two": Scenario(
        UPDATE, "2500 assign v2 0 0 0", "25000 assign v1 0 0 2", "26000 revert v2 0 0 0", vehicles=TWO, calm_s=60
    ),
    "subsets": Scenario(UPDATE, "22000 assign v1 0 0 2", "42000 assign v1 0 0 5", "62000 revert v1 0 0 0", calm_s=90),
    # ---------------------------------------------------------------------------------------------------- power
    "cuts of brake": Scenario(UPDATE, *_cuts("v1.brake", *range(0, 60, 2))),
    "cuts of camera": Scenario(UPDATE, *_cuts("v1.camera", *range(1, 60, 2))),
    "cuts of primary": Scenario(UPDATE, *_cuts("v1.primary", *range(0, 90, 3))),
    "torn brake": Scenario(UPDATE, *_cuts("v1.brake", *range(1, 60, 3), torn=1)),
    "torn camera": Scenario(UPDATE, *_cuts("v1.camera", *range(0, 60, 3), torn=1)),
    "torn primary": Scenario(UPDATE, *_cuts("v1.primary", *range(2, 90, 4), torn=1)),
    "cut on trial": Scenario(UPDATE, *_cuts("v1.brake", 1, 3, at_ms=5_999)),
    "cut when voted": Scenario(UPDATE, *_cuts("v1.brake", 0, at_ms=6_400), *_cuts("v1.camera", 0, at_ms=7_400)),
    "cut when ordered": Scenario(UPDATE, *_cuts("v1.brake", 2, at_ms=5_870), calm_s=60),
    "cut when committed": Scenario(UPDATE, *_cuts("v1.primary", 1, at_ms=8_915), *_cuts("v1.brake", 1, at_ms=8_920)),
    "cut between commits": Scenario(UPDATE, *_cuts("v1.primary", 1, at_ms=8_910, off_ms=20_000)),
    "blackouts": Scenario(UPDATE, *(f"2001 blackout v1.primary 20 {count} 0" for count in range(5, 90, 7))),
    "vanishes when committed": Scenario(UPDATE, "8920 unplug v1.brake 60000 0 0", calm_s=90),
    "vanishes when prepared": Scenario(UPDATE, "5870 unplug v1.camera 300000 0 0", calm_s=320),
    "vanishes for long": Scenario("1000 unplug v1.brake 30000 0 0", UPDATE, "20000 assign v1 0 0 0", calm_s=60),
    # ------------------------------------------------------------------------------------------------ self-tests
    "brake fails": Scenario(UPDATE, "3000 unwell v1.brake 20000 0 0"),
    "camera dead": Scenario(UPDATE, "3000 unwell v1.camera 20000 0 1"),
    "primary fails": Scenario(UPDATE, "3000 unwell v1.primary 20000 0 0"),
    "camera fails, brake is cut": Scenario(
        UPDATE, "3000 unwell v1.camera 20000 0 0", *_cuts("v1.brake", 0, at_ms=6_400)
    ),
    "brake dies when voted": Scenario(UPDATE, "6400 unwell v1.brake 30000 0 1", *_cuts("v1.brake", 0, at_ms=6_400)),
    "brake dies when committed": Scenario(UPDATE, "8936 unwell v1.brake 30000 0 1", *_cuts("v1.brake", 0, at_ms=8_936)),
    "newer while rolling back": Scenario(UPDATE, "3000 unwell v1.camera 9000 0 0", "7500 assign v1 0 0 0", calm_s=60),
    # -------------------------------------------------------------------------------------------------- storage
    "rot of brake": Scenario(UPDATE, "2001 rot v1.brake 0 0 0", *_cuts("v1.brake", 4, 9, 20, 26)),
    "rot of primary": Scenario(UPDATE, "2001 rot v1.primary 0 0 0", *_cuts("v1.primary", 9, 20, 40)),
    "journal lost": Scenario(UPDATE, "8918 rot v1.primary 0 0 1", *_cuts("v1.primary", 0, at_ms=8_935), calm_s=60),
    "full disk": Scenario(UPDATE, "5500 full v1.brake 9000 0 0", "5500 full v1.primary 3000 0 0"),
    "worn slot": Scenario(UPDATE, "2001 worn v1.brake 0 0 0", "2001 worn v1.camera 0 2 0", calm_s=60),
    # ------------------------------------------------------------------------------------------------ the vehicle
    "moves": Scenario("1000 moving v1 30000 0 0", UPDATE, calm_s=50),
    "moves off": Scenario(UPDATE, "5875 moving v1 20000 0 0", calm_s=50),
    "moves off on trial": Scenario(UPDATE, "6000 moving v1 20000 0 0", "3000 unwell v1.brake 20000 0 0", calm_s=50),
    "exchanged": Scenario(UPDATE, "20000 exchange v1.brake 0 0 0", "40000 assign v1 0 0 0", calm_s=80),
    "exchanged when prepared": Scenario(UPDATE, "5860 exchange v1.camera 0 0 0", calm_s=80),
    # ---------------------------------------------------------------------------------------------------- buses
    "deaf": Scenario(UPDATE, "5000 deaf v1.bus.classic 15000 0 100", "5000 deaf v1.bus.fast 15000 0 300", image=3_000),
    "deafer": Scenario(UPDATE, "5000 deaf v1.bus.classic 15000 0 2000", image=3_000, calm_s=60),
    "echo": Scenario(UPDATE, "5000 echo v1.bus.classic 15000 0 500", "5000 echo v1.bus.fast 15000 0 500", image=3_000),
    "noise": Scenario(UPDATE, "5000 noise v1.bus.classic 9000 0 2000", "5000 bus-off v1.camera 5000 0 0", image=1_500),
    "babble": Scenario(UPDATE, "5700 babble v1.bus.classic 4000 0 0", image=1_500),
    "intruder": Scenario(
        *("1000 intruder v1.bus.classic 60000 0 0", "1000 intruder v1.bus.fast 60000 0 0", UPDATE),
        *("25000 assign v1 0 0 0", "45000 assign v1 0 0 0"),
        calm_s=70,
    ),
    "intruder before": Scenario(
        "100 intruder v1.bus.classic 20000 0 0", "100 intruder v1.bus.fast 20000 0 0", calm_s=30
    ),
    # -------------------------------------------------------------------------------------------------- network
    "lossy": Scenario(UPDATE, "1000 lossy v1 25000 0 30", "1000 twice v1 25000 0 100"),
    "garbled": Scenario(UPDATE, "1000 garbled v1 25000 0 80", image=3_000),
    "slow": Scenario(UPDATE, "1000 slow v1 25000 0 3000"),
    "cut off": Scenario(UPDATE, "5300 partition v1/image 20000 0 0", "8000 partition v1/director 9000 0 0", calm_s=60),
    "no time": Scenario("1 partition v1/time 30000 0 0", UPDATE, calm_s=60),
    "no time when prepared": Scenario(
        UPDATE, "5870 partition v1/time 20000 0 0", *_cuts("v1.brake", 0, at_ms=5_870), calm_s=60
    ),
    "proxy": Scenario(
        UPDATE, "1000 proxy v1 60000 0 0", "20000 assign v1 0 0 0", "21000 assign v2 0 0 0", vehicles=TWO, calm_s=70
    ),
    # -------------------------------------------------------------------------------------------------- servers
    "director crashes": Scenario(
        UPDATE, *(f"{at} crash director 500 0 0" for at in range(1_500, 30_000, 2_500)), calm_s=60
    ),
    "image crashes": Scenario(
        UPDATE, *(f"{at} crash image 500 0 0" for at in range(500, 9_000, 1_000)), "12000 assign v1 0 0 0"
    ),
    "time crashes": Scenario(
        UPDATE, *(f"{at} crash time 500 0 0" for at in range(500, 9_000, 1_000)), "12000 assign v1 0 0 0"
    ),
    "time behind": Scenario(UPDATE, "12000 skew time 20000 0 -4000", "13000 assign v1 0 0 0", calm_s=60),
    "time behind, restarted": Scenario(
        UPDATE, "12000 crash time 100 0 0", "12001 skew time 20000 0 -4000", "19000 assign v1 0 0 0", calm_s=60
    ),
    "time ahead": Scenario(
        UPDATE, "12000 skew time 20000 0 90000", "13000 assign v1 0 0 0", "40000 rotate-time director 0 0 0", calm_s=90
    ),
    "director ahead": Scenario("1000 skew director 20000 0 90000", UPDATE, "30000 assign v1 0 0 0", calm_s=60),
    "image ahead": Scenario("1000 skew image 20000 0 90000", UPDATE, "30000 assign v1 0 0 0", calm_s=60),
    "rotations": Scenario(
        *("1000 rotate-director director 0 0 0", UPDATE, "15000 rotate-image director 0 0 0"),
        *("17000 rotate-supplier director 0 0 0", "18000 assign v1 0 0 0", "30000 rotate-time director 0 0 0"),
        *("31000 renew director 0 0 0", "32000 assign v1 0 0 0", "45000 rotate-director director 0 0 0"),
        calm_s=60,
    ),
    "rotated when prepared": Scenario(
        UPDATE, "5500 rotate-director director 0 0 0", "5520 rotate-image director 0 0 0"
    ),
    "a day": Scenario(UPDATE, "20000 sleep v1 0 0 2", "25000 assign v1 0 0 0", calm_s=40),
    "a year": Scenario(UPDATE, "20000 sleep v1 0 0 400", "25000 assign v1 0 0 0", calm_s=40),
    "a month, prepared": Scenario(UPDATE, "5870 sleep v1 0 0 30", calm_s=40),
    "withdrawn": Scenario(UPDATE, "5000 withdraw v1 0 0 0", "20000 assign v1 0 0 0", calm_s=60),
    "revoked": Scenario(UPDATE, "5600 revoke v1 0 0 0", calm_s=40),
    "resized": Scenario(UPDATE, "4000 resize v1 0 0 2900", "5700 resize v1 0 0 100", calm_s=40),
    "changes of mind": Scenario(
        UPDATE, *(f"{at} assign v1 0 0 {mask}" for at, mask in ((5_560, 2), (5_760, 6), (5_860, 3), (6_500, 0)))
    ),
}


class Written:
    """A simulation of one plan, as sim.attempt wants it."""

    manners = ("written",)

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def plan(self, _seed: int, _manner: str) -> Plan:
        """The one plan there is."""
        return self._plan

    def run(self, _asked: Asked, *, until: int | None, trace: Trace) -> Outcome:
        """Play it as sim.run does, but for the patience at the end."""
        world = World(self._plan, trace)
        violations: tuple[Violation, ...] = ()
        try:
            while world.clock.now_ns < world.calm_ns:
                world.play(world.calm_ns, lines_max=until)
            _converge(world)
        except Violated as violated:
            violations = violated.violations
        return Outcome(
            seed=self._plan.seed,
            events=world.events,
            cuts=world.fuses.cuts,
            distinct_cuts=frozenset(world.fuses.distinct),
            updates=world.updates(),
            virtual_s=world.clock.now_ns // NS_PER_S,
            converged_s=0,
            violations=violations,
            digest=trace.digest,
        )


def _converge(world: World) -> None:
    world.calm()
    end_ns = world.clock.now_ns + PATIENCE_S * NS_PER_S
    world.play(world.clock.now_ns + LOOK_S * NS_PER_S)
    while world.unsettled() and world.clock.now_ns < end_ns:
        world.play(world.clock.now_ns + LOOK_S * NS_PER_S)
    world.checkers.settled(world.operators.wanted)


def broken(name: str) -> list[str]:
    """What a scenario finds."""
    plan = SCENARIOS[name].plan
    return [str(each) for each in attempt(Written(plan), Asked(plan.seed), Trace(plan.seed)).failures]


def main(names: list[str]) -> int:
    found = [f"broken {' '.join(text.split())} ({name})" for name in names for text in broken(name)]
    print("\n".join(found) or "every rule held")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
