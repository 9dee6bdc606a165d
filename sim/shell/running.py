"""The commands that run one seed: `run` and `replay`."""

from __future__ import annotations

import io
import time
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final, TextIO

import typer
from rich.markup import escape
from rich.text import Text

from sim.asked import STANDARD, Asked
from sim.attempt import Result, Simulation, attempt
from sim.axis import spoken
from sim.shell.files import recorded, write_page, writing
from sim.shell.options import (
    BROKEN,
    Json,
    Manner,
    PageFile,
    Seed,
    SeedOption,
    TraceFile,
    Until,
    Without,
    asked_for,
    judging,
    print_json,
    simulation_of,
)
from sim.shell.terminal import console, ecu_table
from sim.trace import Trace
from sim.trace_reader import Recorded, read
from sim.verbs import Verb
from sim.view import view

app = typer.Typer()

LINES: Final = 40
LINES_MAX: Final = 100_000

_STYLES: Final = {
    Verb.VIOLATION: "bold red",
    Verb.REFUSED: "yellow",
    Verb.CUT: "red",
    Verb.CRASH: "red",
    Verb.FAULT: "red",
    Verb.CALM: "green",
    Verb.OPERATE: "cyan",
}


@app.command()
def run(
    context: typer.Context,
    *,
    seed: SeedOption,
    manner: Manner = STANDARD,
    without: Without = "",
    trace: TraceFile = None,
    page: PageFile = None,
    as_json: Json = False,
) -> None:
    """Run one seed. Exit codes: 0 every rule held, 1 one was broken, 2 the command line is wrong."""
    with judging(as_json=as_json):
        simulation = simulation_of(context)
        asked = asked_for(simulation, seed, manner, without)
        began = time.perf_counter()
        result, told = traced(simulation, asked, trace, keep=page is not None)
        took_s = time.perf_counter() - began
        if page is not None and told is not None:
            write_page(page, told)
    if as_json:
        written = {name: str(path) for name, path in (("trace", trace), ("page", page)) if path is not None}
        print_json(facts(asked, result) | {"seconds": round(took_s, 3)} | written)
    else:
        _show(asked, result, took_s)
        for path in (trace, page):
            if path is not None:
                console().print(f"written: {path}", markup=False)
    if result.failures:
        raise typer.Exit(BROKEN)


@app.command()
def replay(
    context: typer.Context,
    seed: Seed,
    *,
    until: Until = None,
    manner: Manner = STANDARD,
    without: Without = "",
    lines: Annotated[int, typer.Option(help="How many of the last events to show.", min=1, max=LINES_MAX)] = LINES,
    node: Annotated[str, typer.Option(help="Only events of this node, or of this vehicle.")] = "",
    trace: TraceFile = None,
    as_json: Json = False,
) -> None:
    """Run a seed again up to an event, and show what led to it and where every ECU stands. Exit codes: as run."""
    with judging(as_json=as_json):
        simulation = simulation_of(context)
        asked = asked_for(simulation, seed, manner, without)
        result, told = traced(simulation, asked, trace, until=until, keep=True)
    assert told is not None
    _show_end(told, until, lines, node, as_json=as_json, failures=facts(asked, result))
    if result.failures:
        raise typer.Exit(BROKEN)


def traced(
    simulation: Simulation, asked: Asked, path: Path | None, *, until: int | None = None, keep: bool = False
) -> tuple[Result, Recorded | None]:
    """Run it; its trace goes to a file if there is one, and is read back if it is to be kept."""
    with ExitStack() as stack:
        out: TextIO | None = io.StringIO() if keep else None
        if path is not None:
            out = stack.enter_context(writing(path))
        result = attempt(simulation, asked, Trace(asked.seed, out), until=until)
        text = out.getvalue() if isinstance(out, io.StringIO) else ""
    if not keep:
        return result, None
    if path is not None:
        return result, recorded(path)
    return result, read(line.encode() for line in text.splitlines(keepends=True))


def facts(asked: Asked, result: Result) -> dict[str, object]:
    """A run, for programs."""
    return {
        "ok": not result.failures,
        "seed": asked.seed,
        "manner": asked.manner,
        "without": list(asked.without),
        "events": result.events,
        "updates": result.updates,
        "cuts": result.cuts,
        "distinct_cuts": len(result.distinct_cuts),
        "virtual_ns": result.virtual_ns,
        "digest": result.digest,
        "violations": [{"rule": each.rule, "node": each.node, "text": each.text} for each in result.failures],
        "replay": asked.replay,
    }


def _show(asked: Asked, result: Result, took_s: float) -> None:
    out = console()
    out.print(
        f"seed {asked.seed}: {result.updates:,} updates, {result.cuts:,} power cuts "
        f"({len(result.distinct_cuts):,} distinct), {result.events:,} events in {spoken(result.virtual_ns)} of virtual "
        f"time and {took_s:.2f} s of ours",
        soft_wrap=True,
    )
    out.print(f"digest {result.digest}")
    if not result.failures:
        out.print("[green]every rule held[/]")
        return
    for failure in result.failures:
        out.print(f"[bold red]broken[/] {escape(str(failure))}", soft_wrap=True)
    out.print(f"  see how it ends:  {asked.replay}\n  fewer faults:     {asked.shrink}", soft_wrap=True)


def _show_end(
    told: Recorded, until: int | None, count: int, node: str, *, as_json: bool, failures: dict[str, object]
) -> None:
    """The last events, and what every ECU is by then."""
    kept = told.lines if until is None else told.lines[:until]
    shown = Recorded(told.asked, kept, told.digest)
    latest = deque((each for each in kept if not node or each.node == node or each.node.startswith(f"{node}.")), count)
    ecus = view(shown).ecus
    if as_json:
        states = {ecu.node: {"state": ecu.state, "image": ecu.image, "boots": ecu.boots} for ecu in ecus}
        print_json(failures | {"lines": [str(line) for line in latest], "ecus": states})
        return
    out = console()
    if until is not None and len(told.lines) < until:
        out.print(f"[yellow]the run has ended before event {until}: it has {len(told.lines)}[/]")
    for line in latest:
        out.print(Text(str(line), _STYLES.get(line.verb, "")), soft_wrap=True)  # type: ignore[call-overload]
    out.print("", ecu_table(ecus))
