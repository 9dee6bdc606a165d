"""Runs many plans or attacks in one process, and prints those that found something: the command, seconds, what.

    python -m tests.sim.mutant_hunter CATCHES everything|cuts FIRST LAST
    python -m tests.sim.mutant_hunter CATCHES scenarios|attacks|attacks-with-keys

Started by mutant_runner.py in a copy of the packages with a defect in it: `sim` is that copy's. Ends after so many.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator

from sim.asked import STANDARD, Asked
from sim.attack.control import Variant
from sim.attack.matrix import Case, Played, cases
from sim.attack.record import changed, recorded
from sim.attack.strategies.registry import STRATEGIES
from sim.attempt import Simulation, attempt
from sim.shell.attack_runs import Failed, run
from sim.shell.attacks_command import RECORD
from sim.shell.shipping import Shipping
from sim.trace import Trace
from tests.sim.scenarios import SCENARIOS, Written

RUN_S_MAX = 15  # a defect may make a run go round in circles


class Circling(BaseException):
    """The run takes too long: nothing was found."""


def circling(_number: int, _frame: object) -> None:
    raise Circling


def grounds(where: str, *span: str) -> Iterator[tuple[str, Simulation, Asked]]:
    if where == "scenarios":
        for name, scenario in SCENARIOS.items():
            plan = scenario.plan
            yield f"scenario {name}", Written(plan), Asked(plan.seed)
        return
    option = "" if where == STANDARD else f" --manner {where}"
    for seed in range(int(span[0]), int(span[1]) + 1):
        yield f"run --seed {seed}{option}", Shipping(), Asked(seed, where)


def told(command: str, began: float, text: str) -> None:
    print(f"caught: {command} | {time.monotonic() - began:.1f} | {' '.join(text.split())[:200]}", flush=True)


def hunt(catches: int, *where: str) -> None:
    signal.signal(signal.SIGALRM, circling)
    for command, simulation, asked in grounds(*where):
        began = time.monotonic()
        signal.alarm(RUN_S_MAX)
        try:
            failures = attempt(simulation, asked, Trace(asked.seed)).failures
        except Circling:
            print(f"circling: {command}", flush=True)
            continue
        finally:
            signal.alarm(0)
        if failures:
            told(command, began, str(failures[0]))
            catches -= 1
            if not catches:
                return


class Enough(Exception):
    """So many were to be caught."""


def attack(catches: int, wanted: list[Case]) -> None:
    record = recorded(RECORD.read_text(encoding="utf-8"))
    left, began = catches, time.monotonic()

    def ended(played: Played) -> None:
        nonlocal left, began
        for news in changed([played], record):
            told(f"attacks --jobs 1 --only '{played.name}'", began, news)
            left -= 1
            if not left:
                raise Enough
        began = time.monotonic()

    try:
        run(wanted, 1, ended)
    except Failed as failed:
        name, _, text = str(failed).partition(": ")
        told(f"attacks --jobs 1 --only '{name}'", began, text[-200:])
    except Enough:
        pass


def main(catches: str, *where: str) -> None:
    if where[0].startswith("attacks"):
        with_keys = where[0] == "attacks-with-keys"
        shipped = [case for case in cases(STRATEGIES) if case.variant is Variant.SHIPPED]
        attack(int(catches), [case for case in shipped if bool(case.keys) is with_keys and "'" not in case.name])
    else:
        hunt(int(catches), *where)
    print("hunted")


if __name__ == "__main__":
    main(*sys.argv[1:])
