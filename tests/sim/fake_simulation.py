"""A simulation that costs nothing: plausible traces from a seed, and seeds that fail in each way there is.

Seeds that end in 3 break a rule as long as faults 2 and 5 happen; those in 4 do too, and with 2 alone break another;
those in 7 raise; 666 never ends; 667 kills its process; 668 does something else each time. `until` is passed by two.
"""

import itertools
import os
from dataclasses import dataclass

from sim.asked import Asked
from sim.dice import stream
from sim.rules import Rule, Violation
from sim.trace import Trace
from uptane.model.reports import EcuState

NS = 10**9
ECUS = ("v1.primary", "v1.brake", "v1.camera")
_times = itertools.count()


@dataclass(frozen=True)
class FakeFault:
    number: int
    text: str

    def __str__(self) -> str:
        return f"#{self.number} {self.text}"


@dataclass(frozen=True)
class FakePlan:
    acts: tuple[FakeFault, ...] = (FakeFault(1, "1.000 s assign v1"),)
    faults: tuple[FakeFault, ...] = tuple(FakeFault(number, f"{number}.000 s cut v1.brake") for number in range(2, 10))


@dataclass(frozen=True)
class FakeOutcome:
    events: int
    cuts: int
    distinct_cuts: frozenset[str]
    updates: int
    violations: tuple[Violation, ...]


class FakeSimulation:
    manners = ("everything", "cuts")

    def plan(self, seed: int, manner: str) -> FakePlan:
        assert manner in self.manners
        return FakePlan()

    def run(self, asked: Asked, *, until: int | None, trace: Trace) -> FakeOutcome:
        seed = asked.seed
        if seed == 666:
            while True:
                pass
        if seed == 667:
            os._exit(9)
        faults = [fault for fault in FakePlan().faults if fault.number not in asked.without]
        told = _Told(trace, until)
        violations = _story(told, seed, faults, asked)
        if seed % 10 == 7:
            raise AssertionError(f"seed {seed} is a bug")
        cuts = frozenset(f"Store idle {fault.number}" for fault in faults)
        return FakeOutcome(told.lines * 3, len(faults), cuts, 2, violations)


class _Told:
    def __init__(self, trace: Trace, until: int | None) -> None:
        self.trace, self.until, self.lines = trace, until, 0

    def __call__(self, at_s: float, node: str, verb: str, detail: str = "") -> None:
        if self.until is None or self.trace.events < self.until + 2:
            self.trace.say(int(at_s * NS), node, verb, detail)
            self.lines += 1


def _story(told: _Told, seed: int, faults: list[FakeFault], asked: Asked) -> tuple[Violation, ...]:
    dice = stream(seed, "fake")
    told(0, "image", "published", "1.root 1.targets app-1 app-2")
    for ecu in ECUS:
        told(0, ecu, "power-up")
    for ecu in ECUS[1:]:
        told(0.1, ecu, "running", "slot 0 app-1")
        told(0.1, ecu, "state", "idle")
    told(1, "operator", "operate", "#1 1.000 s assign v1")
    told(1.1, "director", "assigned", "vehicle-1 brake=app-2")
    told(2, "v1.primary", "poll", "director manifest 512 octets")
    told(2.05, "director", "issued", "vehicle-1 timestamp 2.targets")
    told(2.1, "v1.primary", "note", "verify: TIMESTAMP_EXPIRED (0x0303, check_timestamp/4): has expired; stops freeze")
    if seed == 668:
        told(2.2, "v1.primary", "note", f"time {next(_times)}")
    at = 3.0
    for fault in faults:
        told(at, "faults", "fault", f"{fault}")
        told(at + 0.1, "v1.bus.classic", "frames", f"{dice.randint(10, 900)} from v1.primary")
        told(at + 0.2, "v1.brake", "store", "installation 312 octets")
        told(at + 0.3, "v1.brake", "cut", "in Store")
        told(at + 0.5, "v1.brake", "power-up")
        told(at + 0.6, "v1.brake", "running", "slot 0 app-1")
        told(at + 0.7, "v1.brake", "refused", "INSTALL_COUNTER 1 and 2 is released")
        at += 1
    for state in EcuState:
        told(at, "v1.brake", "state", state.value)
        at += 0.8
    told(at, "faults", "calm")
    told(at + 400 * 86_400, "v1.primary", "done", "cycle converged")
    happened = {fault.number for fault in faults}
    rule = None
    if seed % 10 in {3, 4} and {2, 5} <= happened:
        rule = Rule.BOOTABLE
    elif seed % 10 == 4 and 2 in happened:
        rule = Rule.COUNTER
    if rule is None:
        return ()
    broken = Violation(rule, "v1.brake", "slot 1 holds half an image")
    told(at + 400 * 86_400, "checkers", "violation", str(broken))
    return (broken,)
