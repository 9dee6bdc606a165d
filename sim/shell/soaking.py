"""The command `soak`: a range of seeds over several processes."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from sim.asked import STANDARD, Asked, BadInput
from sim.attempt import Simulation
from sim.shell.files import replace
from sim.shell.options import BROKEN, Json, Manner, judge_manner, judging, print_json, simulation_of
from sim.shell.progress import Told
from sim.shell.running import traced
from sim.shell.terminal import console
from sim.shell.workers import DIED, HANGS, Bounds, soaking
from sim.soak import CHECKPOINT_OCTETS_MAX, FAILURES_MAX, Seeds, Soak, resumed, seeds

app = typer.Typer()

JOBS_MAX: Final = 256  # a process has some 300 MB, and more of them than cores help nobody
MINUTES_MAX: Final = 7 * 24 * 60
SEED_S_MAX: Final = 86_400
AGAIN_MAX: Final = 1_000_000
FRESH: Final = "fresh"
FRESH_MAX: Final = 10**12  # so that a person can type the seed that fails
CHECKPOINT_S: Final = 10.0

Jobs = Annotated[int | None, typer.Option(help="Processes; else one for each core.", min=1, max=JOBS_MAX)]


@app.command()
def soak(
    context: typer.Context,
    *,
    seed_range: Annotated[
        str, typer.Option("--seeds", metavar="A..B", help="Both included; A.. and `fresh` go on until time is up.")
    ],
    jobs: Jobs = None,
    minutes: Annotated[
        float | None, typer.Option(help="Begin no seed after that.", min=0.01, max=MINUTES_MAX, show_default=False)
    ] = None,
    manner: Manner = STANDARD,
    failures: Annotated[int, typer.Option(help="Stop when so many seeds failed.", min=1, max=FAILURES_MAX)] = 10,
    again: Annotated[int, typer.Option(help="Run each so manieth seed twice; 0: none.", min=0, max=AGAIN_MAX)] = 100,
    seed_seconds: Annotated[float, typer.Option(help="A seed that takes longer hangs.", min=1, max=SEED_S_MAX)] = 300,
    traces: Annotated[
        Path | None, typer.Option(help="Folder for the traces of failing seeds.", file_okay=False)
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File to go on from, and to keep up to date.", dir_okay=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Run many seeds. Exit codes: 0 every rule held in every one, 1 one failed, 2 the command line is wrong."""
    with judging(as_json=as_json):
        simulation = simulation_of(context)
        judge_manner(simulation, manner)
        wanted = _resumed(Soak(_seeds(seed_range, minutes), manner, again), checkpoint)
        bounds = Bounds(
            jobs=jobs or len(os.sched_getaffinity(0)),
            seed_s=seed_seconds,
            end_s=None if minutes is None else minutes * 60,
            failures=failures,
        )
        began = time.monotonic()
        ended = _soak(wanted, simulation, bounds, checkpoint)
        took_s = time.monotonic() - began
        written = _write_traces(wanted, simulation, traces)
    if as_json:
        print_json(_facts(wanted, bounds, took_s) | {"ended": ended, "traces": written})
    else:
        _show(wanted, bounds, took_s, ended)
    if wanted.failed:
        raise typer.Exit(BROKEN)
    if ended == "interrupted":
        raise typer.Abort


def _seeds(text: str, minutes: float | None) -> Seeds:
    found = Seeds(secrets.randbelow(FRESH_MAX), None) if text.strip() == FRESH else seeds(text)
    if found.last is None and minutes is None:
        raise BadInput(f"--seeds {text} has no end: say --minutes M as well, or A..B")
    return found


def _resumed(wanted: Soak, checkpoint: Path | None) -> Soak:
    if checkpoint is None or not checkpoint.exists():
        return wanted
    with checkpoint.open("rb") as file:
        octets = file.read(CHECKPOINT_OCTETS_MAX + 1)
    if len(octets) > CHECKPOINT_OCTETS_MAX:
        raise BadInput(f"{checkpoint}: longer than {CHECKPOINT_OCTETS_MAX:,} octets: no checkpoint of a soak")
    try:
        return resumed(octets.decode(), wanted)
    except UnicodeDecodeError:
        raise BadInput(f"{checkpoint}: broken checkpoint: not text; remove the file to begin anew") from None
    except BadInput as bad:
        raise BadInput(f"{checkpoint}: {bad}") from bad


def _soak(wanted: Soak, simulation: Simulation, bounds: Bounds, checkpoint: Path | None) -> str:
    """Run until the end, whatever it is; which that was."""
    saved = time.monotonic()
    try:
        with Told(wanted) as told:
            for _ in soaking(wanted, simulation, bounds):
                told.look()
                if checkpoint is not None and time.monotonic() - saved >= CHECKPOINT_S:
                    replace(checkpoint, wanted.checkpoint())
                    saved = time.monotonic()
            told.look()
    except KeyboardInterrupt:
        return "interrupted"
    finally:
        if checkpoint is not None:
            replace(checkpoint, wanted.checkpoint())
    if len(wanted.failed) >= bounds.failures:
        return "failures"
    return "seeds" if wanted.over else "time"


def _write_traces(wanted: Soak, simulation: Simulation, folder: Path | None) -> list[str]:
    """Run failing seeds again, those that come to an end, for their traces."""
    if folder is None or not wanted.failed:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for seed, failures in wanted.failed.items():
        if not {failure.rule for failure in failures} & {DIED, HANGS}:
            path = folder / f"{seed}.trace"
            traced(simulation, Asked(seed, wanted.manner), path)
            written.append(str(path))
    return written


# ------------------------------------------------------------------------------------------------------- showing


def _facts(wanted: Soak, bounds: Bounds, took_s: float) -> dict[str, Any]:
    totals = wanted.totals
    return {
        "ok": not wanted.failed,
        "seeds": str(wanted.seeds),
        "manner": wanted.manner,
        "jobs": bounds.jobs,
        "run": totals.seeds,
        "run_again": totals.again,
        "updates": totals.updates,
        "cuts": totals.cuts,
        "distinct_cuts": len(wanted.distinct_cuts),
        "events": totals.events,
        "virtual_days": round(totals.virtual_days, 3),
        "seconds": round(took_s, 3),
        "cpu_seconds": round(totals.cpu_s, 3),
        "events_per_core_second": round(totals.per_core_second(totals.events), 1),
        "updates_per_core_second": round(totals.per_core_second(totals.updates), 3),
        "cuts_per_core_second": round(totals.per_core_second(totals.cuts), 3),
        "failed": [
            {
                "seed": seed,
                "violations": [{"rule": each.rule, "node": each.node, "text": each.text} for each in failures],
                "replay": Asked(seed, wanted.manner).replay,
            }
            for seed, failures in wanted.failed.items()
        ],
    }


_ENDED: Final = {
    "interrupted": "interrupted",
    "failures": "stopped: enough seeds have failed",
    "time": "time is up",
    "seeds": "every seed was run",
}


def _show(wanted: Soak, bounds: Bounds, took_s: float, ended: str) -> None:
    out, totals = console(), wanted.totals
    table = Table(
        title=f"Seeds {wanted.seeds} ({wanted.manner}), {bounds.jobs} jobs, {took_s:,.0f} s: {_ENDED[ended]}",
        title_justify="left",
    )
    for name, right in (("what", False), ("number", True), ("a second and core", True)):
        table.add_column(name, justify="right" if right else "left")
    for name, count in (("updates", totals.updates), ("power cuts", totals.cuts), ("events", totals.events)):
        table.add_row(name, f"{count:,}", f"{totals.per_core_second(count):,.1f}")
    table.add_row("distinct (effect, state) of power cuts", f"{len(wanted.distinct_cuts):,}", "")
    table.add_row("seeds", f"{totals.seeds:,}", f"{totals.per_core_second(totals.seeds):,.2f}")
    table.add_row("seeds run twice, the same each time", f"{totals.again:,}", "")
    table.add_row("virtual days", f"{totals.virtual_days:,.1f}", "")
    table.add_row("failing seeds", f"{totals.failed:,}", "", style="bold red" if totals.failed else "green")
    out.print(table)
    for seed, failures in wanted.failed.items():
        asked = Asked(seed, wanted.manner)
        for failure in failures:
            out.print(f"[bold red]seed {seed}[/] {escape(str(failure))}", soft_wrap=True)
        out.print(f"  {asked.replay}\n  {asked.shrink}", soft_wrap=True)
