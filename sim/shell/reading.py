"""The commands that read traces: `show` and `diff`."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from sim.asked import EVENT_MAX, BadInput
from sim.axis import clock
from sim.difference import CONTEXT, CONTEXT_MAX, Difference, difference
from sim.shell.files import lines, recorded, write_page
from sim.shell.options import BROKEN, Given, Json, PageFile, asked_for, judging, print_json, simulation_of
from sim.shell.running import traced
from sim.shell.terminal import console, shown
from sim.trace_reader import BadTrace, Line, Recorded, lines_of
from sim.view import View, view

app = typer.Typer()

_EVENTS: Final = re.compile(r"(\d{1,10})\.\.(\d{1,10})", re.ASCII)


@app.command()
def show(
    trace: Given,
    *,
    page: PageFile = None,
    node: Annotated[str, typer.Option(help="Only the lines of this node, or of this vehicle.")] = "",
    events: Annotated[str, typer.Option(metavar="A..B", help="Only the lines of these events.")] = "",
    words: Annotated[str, typer.Option(help="Only the lines that have all these words.")] = "",
    as_json: Json = False,
) -> None:
    """Show one run: lanes over time, and what was refused and why. Exit codes: 0, or 2 if that is no whole trace."""
    with judging(as_json=as_json):
        first, last = _range(events)
        found = recorded(trace)
        seen = view(found)
        if page is not None:
            write_page(page, found, seen)
    out = console()
    if node or events or words:
        for line in _sifted(found, node, words.lower().split()):
            if first <= line.event <= last:
                out.print(str(line), markup=False, soft_wrap=True)
    elif as_json:
        print_json(_facts(seen))
    elif page is not None:
        out.print(f"written: {page}", markup=False)
    else:
        out.print(shown(seen, out.width))


@app.command()
def diff(
    context: typer.Context,
    first: Given,
    second: Annotated[
        Path | None,
        typer.Argument(metavar="[OTHER]", exists=True, dir_okay=False, help="Else: what the same seed does now."),
    ] = None,
    *,
    around: Annotated[int, typer.Option(help="Lines to show before and after.", min=0, max=CONTEXT_MAX)] = CONTEXT,
    as_json: Json = False,
) -> None:
    """Find the first line in which two traces differ. Exit codes: 0 none does, 1 one does, 2 something is no trace."""
    with judging(as_json=as_json):
        if second is None:
            found, other = _against_now(context, first, around), "what the seed does now"
        else:
            found, other = difference(_lines(first), _lines(second), around), str(second)
    if as_json:
        print_json(_facts_of(found))
    elif found is None:
        console().print(f"no difference: {first} and {other}", markup=False, soft_wrap=True)
    else:
        _show_difference(found, str(first), other)
    if found is not None:
        raise typer.Exit(BROKEN)


def _against_now(context: typer.Context, path: Path, around: int) -> Difference | None:
    told, simulation = recorded(path).asked, simulation_of(context)
    asked = asked_for(simulation, told.seed, told.manner, ",".join(map(str, told.without)))
    with tempfile.TemporaryDirectory(prefix="marque-sim-") as folder:
        now = Path(folder) / "now.trace"
        traced(simulation, asked, now)
        return difference(lines(path), lines(now), around)


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a trace that may be cut off: that, too, is a difference."""
    try:
        yield from lines_of(lines(path))
    except BadTrace as bad:
        raise BadTrace(f"{path}: {bad}") from bad


def _range(text: str) -> tuple[int, int]:
    if not text:
        return 0, EVENT_MAX
    found = _EVENTS.fullmatch(text)
    if found is None or int(found[2]) > EVENT_MAX:
        raise BadInput(f"--events {text!r} is no range of events, such as 100..200; they are 1 to {EVENT_MAX:,}")
    first, last = int(found[1]), int(found[2])
    if last < first:
        raise BadInput(f"--events {text} runs backwards; write {last}..{first}")
    return first, last


def _sifted(found: Recorded, node: str, words: list[str]) -> Iterator[Line]:
    for line in found.lines:
        if node and line.node != node and not line.node.startswith(f"{node}."):
            continue
        text = str(line).lower()
        if all(word in text for word in words):
            yield line


def _show_difference(found: Difference, first: str, second: str) -> None:
    out = console()
    out.print(f"- {first}\n+ {second}\nfirst difference: line {found.number}", markup=False, soft_wrap=True)
    styles = {" ": "", "-": "red", "+": "green"}
    for sign, line in found.lines:
        out.print(Text(f"{sign} {line}", styles[sign]), soft_wrap=True)


def _facts_of(found: Difference | None) -> dict[str, Any]:
    if found is None:
        return {"same": True}
    told = {"before": found.before, "first": found.after_a, "second": found.after_b}
    return {"same": False, "line": found.number} | {name: list(lines) for name, lines in told.items()}


def _facts(seen: View) -> dict[str, Any]:
    """What there is to see, for programs."""
    return {
        "ok": not seen.violations,
        "seed": seen.asked.seed,
        "manner": seen.asked.manner,
        "without": list(seen.asked.without),
        "digest": seen.digest,
        "events": seen.events,
        "virtual_ns": seen.axis.end_ns,
        "calm_ns": seen.calm_ns,
        "ecus": [
            {"node": ecu.node, "state": ecu.state, "image": ecu.image, "boots": ecu.boots, "cuts": ecu.cuts}
            for ecu in seen.ecus
        ],
        "buses": [{"node": bus.node, "frames": bus.frames, "errors": bus.errors} for bus in seen.buses],
        "refused": [
            {"node": each.node, "check": each.check, "stops": each.stops, "count": each.count, "first": each.first}
            for each in seen.refusals
        ],
        "faults": [{"event": each.event, "at": clock(each.at_ns), "text": each.text} for each in seen.faults],
        "violations": [{"event": each.event, "text": each.text, "rule": each.means} for each in seen.violations],
    }
