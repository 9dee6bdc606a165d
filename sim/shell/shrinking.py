"""The command `shrink`: which of a failing seed's faults it takes."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

from sim.asked import STANDARD, Asked, BadInput
from sim.attempt import Failure, Numbered, Simulation, attempt
from sim.shell.options import (
    BROKEN,
    Json,
    Manner,
    Seed,
    TraceFile,
    Without,
    asked_for,
    judging,
    planned,
    print_json,
    simulation_of,
)
from sim.shell.running import traced
from sim.shell.terminal import console
from sim.shrink import TRIES_MAX, Enough, Shrunk, shrink
from sim.trace import Trace

app = typer.Typer()

MINUTES_MAX: Final = 24 * 60


@app.command(name="shrink")
def shrink_seed(
    context: typer.Context,
    seed: Seed,
    *,
    manner: Manner = STANDARD,
    without: Without = "",
    tries: Annotated[int, typer.Option(help="Run it so often at most.", min=1, max=TRIES_MAX)] = TRIES_MAX,
    minutes: Annotated[float | None, typer.Option(help="Stop after that.", min=0.01, max=MINUTES_MAX)] = None,
    trace: TraceFile = None,
    as_json: Json = False,
) -> None:
    """Find few faults of a failing seed that break the same rule. Exit codes: 1 found, 2 the seed does not fail."""
    with judging(as_json=as_json):
        simulation = simulation_of(context)
        asked = asked_for(simulation, seed, manner, without)
        broken = attempt(simulation, asked, Trace(seed)).failures
        if not broken:
            raise BadInput(f"seed {seed}{asked.options} breaks no rule: there is nothing to shrink")
        search = _Search(simulation, asked, broken[0], None if minutes is None else time.monotonic() + minutes * 60)
        found = search.run(tries)
        less = search.asked_with(found.kept)
        if trace is not None:
            traced(simulation, less, trace)
    kept = [each for each in planned(simulation.plan(seed, manner)) if each.number in found.kept]
    if as_json:
        print_json(_facts(found, broken[0], less, kept))
    else:
        _show(found, broken[0], less, kept)
    raise typer.Exit(BROKEN)


class _Search:
    """Runs with fewer and fewer faults, then with fewer acts too, and tells on standard error how far it is."""

    def __init__(self, simulation: Simulation, asked: Asked, broken: Failure, end_s: float | None) -> None:
        plan = simulation.plan(asked.seed, asked.manner)
        self._simulation, self._asked, self._broken, self._end_s = simulation, asked, broken, end_s
        self._faults = {each.number for each in plan.faults} - set(asked.without)
        self._acts = {each.number for each in plan.acts} - set(asked.without)

    def run(self, tries: int) -> Shrunk:
        """Search, in at most so many runs."""
        with console(to_stderr=True).status("") as self._status:
            few = shrink(sorted(self._faults), lambda kept: self._breaks((*self._acts, *kept)), tries)
            everything = sorted({*self._acts, *few.kept})
            if tries <= few.tries:
                return Shrunk(tuple(everything), few.tries, minimal=False)
            both = shrink(everything, self._breaks, tries - few.tries)
        return Shrunk(both.kept, few.tries + both.tries, both.minimal)

    def asked_with(self, kept: tuple[int, ...]) -> Asked:
        """The run with nothing but these."""
        left_out = (self._faults | self._acts) - set(kept)
        return Asked(self._asked.seed, self._asked.manner, tuple(sorted({*self._asked.without, *left_out})))

    def _breaks(self, kept: tuple[int, ...]) -> bool:
        if self._end_s is not None and time.monotonic() > self._end_s:
            raise Enough
        self._status.update(f"with {len(kept)} of {len(self._faults) + len(self._acts)} faults and acts")
        asked = self.asked_with(kept)
        return any(_same(each, self._broken) for each in attempt(self._simulation, asked, Trace(asked.seed)).failures)


def _same(one: Failure, other: Failure) -> bool:
    """Whether it is the same rule; of exceptions, whether it is the same one from the same place."""
    if one.rule != other.rule:
        return False
    return one.rule != "RAISED" or one.text.partition(":")[0] == other.text.partition(":")[0]


def _facts(found: Shrunk, broken: Failure, less: Asked, kept: list[Numbered]) -> dict[str, Any]:
    return {
        "ok": False,
        "seed": less.seed,
        "rule": broken.rule,
        "kept": [{"number": each.number, "text": str(each)} for each in kept],
        "without": list(less.without),
        "runs": found.tries,
        "minimal": found.minimal,
        "replay": less.replay,
    }


def _show(found: Shrunk, broken: Failure, less: Asked, kept: list[Numbered]) -> None:
    out = console()
    sure = "none of them can be left out" if found.minimal else "there may be fewer: no more tries"
    out.print(f"[bold red]{escape(str(broken))}[/]", soft_wrap=True)
    out.print(f"takes {len(kept)} of the plan's faults and acts ({found.tries} runs; {sure}):")
    for each in kept:
        out.print(f"  {each}", markup=False, soft_wrap=True)
    out.print(f"see how it ends:  {less.replay}", soft_wrap=True)
