"""One run on a terminal: lanes of coloured characters over time, and tables of what was refused, failed and broken."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sim.axis import clock, spoken
from sim.lanes import DEAD, RUNS, Bus, Ecu, Place
from sim.verbs import BOOTING, OFF, Verb
from sim.view import Happened, Refusal, View

WIDTH: Final = 130  # columns, where there is no terminal to ask
NAME_MAX: Final = 22
ROWS_MAX: Final = 40  # of a table; a page shows all of them

_LOOKS: Final = {
    OFF: (" ", "dim"),
    DEAD: ("?", "bold red"),
    BOOTING: ("░", "yellow"),
    RUNS: ("─", "green"),
    "idle": ("─", "green"),
    "prepared": ("▂", "cyan"),
    "trial": ("▄", "blue"),
    "voted": ("▅", "blue"),
    "committed": ("▇", "magenta"),
    "released": ("━", "green"),
}
_MARKS: Final = (
    (Verb.VIOLATION, "‼", "bold white on red"),
    (Verb.REFUSED, "▲", "bold yellow"),
    (Verb.CUT, "✕", "bold red"),
    (Verb.CRASH, "✕", "bold red"),
    (Verb.FAULT, "!", "red"),
    (Verb.TROUBLE, "~", "yellow"),
    (Verb.FULL, "■", "yellow"),
    (Verb.PUBLISHED, "P", "cyan"),
    (Verb.ASSIGNED, "A", "cyan"),
    (Verb.ADMITTED, "M", "green"),
    (Verb.ISSUED, "I", "blue"),
    (Verb.OPERATE, "o", "cyan"),
)
_BARS: Final = "▁▂▃▄▅▆▇█"


def console(*, to_stderr: bool = False) -> Console:
    """Where to print: as wide as the terminal, or WIDTH columns into a pipe."""
    stream = sys.stderr if to_stderr else sys.stdout
    return Console(stderr=to_stderr, highlight=False, width=None if stream.isatty() else WIDTH)


def shown(view: View, width: int) -> RenderableType:
    """All of a run, `width` columns wide."""
    return Group(
        heading(view),
        "",
        _lanes(view, max(20, width - NAME_MAX - 3)),
        "",
        _legend(),
        *_part(ecu_table(view.ecus)),
        *_part(bus_table(view.buses)),
        *_part(happened_table("What people did", view.acts)),
        *_part(happened_table("Faults", view.faults)),
        *_part(refused_table(view.refusals)),
        *_part(happened_table("Rules that were broken", view.violations)),
    )


def heading(view: View) -> Text:
    """What this run is, and whether all was well."""
    well = Text("every rule held", "bold green")
    if view.violations:
        well = Text(f"{len(view.violations)} rule(s) broken", "bold red")
    said = f"seed {view.asked.seed}{view.asked.options}   {view.events:,} events   {spoken(view.axis.end_ns)}   "
    return Text.assemble((said, "bold"), well, f"   digest {view.digest[:16]}\nagain: {view.asked.run}")


def _part(table: Table) -> tuple[RenderableType, ...]:
    return ("", table) if table.row_count else ()


# --------------------------------------------------------------------------------------------------------- lanes


def _lanes(view: View, width: int) -> RenderableType:
    rows = [_ruler(view, width)]
    rows += [_row(lane.node, _marked(view, lane, [(" ", "")] * width)) for lane in view.places]
    rows += [_row(lane.node, _marked(view, lane, _stretched(view, lane, width))) for lane in view.ecus]
    rows += [_row(lane.node, _marked(view, lane, _traffic(view, lane, width))) for lane in view.buses]
    if view.untold:
        rows.append(Text(f"and {view.untold} more nodes", "dim"))
    return Group(*rows)


def _row(name: str, cells: Sequence[tuple[str, str]]) -> Text:
    short = name if len(name) <= NAME_MAX else name[: NAME_MAX - 1] + "…"
    return Text.assemble((f"{short:>{NAME_MAX}} ", "bold"), *cells)


def _column(view: View, at_ns: int, width: int) -> int:
    return min(width - 1, int(view.axis.at(at_ns) * width))


def _ruler(view: View, width: int) -> Text:
    """Times over the lanes; `≈` where time is squeezed, `C` where faults stop."""
    cells = [(" ", "dim")] * width
    free = 0
    for at_ns in view.axis.ticks(max(2, width // 12)):
        label, at = f"╷{clock(at_ns)}", _column(view, at_ns, width)
        if at >= free and at + len(label) <= width:
            cells[at : at + len(label)] = [(each, "dim") for each in label]
            free = at + len(label) + 1
    for gap in view.axis.gaps:
        label = f"≈{gap.text}≈"
        at = (_column(view, gap.start_ns, width) + _column(view, gap.end_ns, width) - len(label)) // 2
        if all(cell[0] == " " for cell in cells[max(0, at) : at + len(label)]) and 0 <= at <= width - len(label):
            cells[at : at + len(label)] = [(each, "dim italic") for each in label]
    if view.calm_ns is not None:
        cells[_column(view, view.calm_ns, width)] = ("C", "bold green")
    return _row("", cells)


def _stretched(view: View, lane: Ecu, width: int) -> list[tuple[str, str]]:
    """A character per column: of the states that a column covers, the one that lasted longest."""
    longest: list[tuple[float, str]] = [(0.0, OFF)] * width
    for stretch in lane.stretches:
        start, end = view.axis.at(stretch.start_ns) * width, view.axis.at(stretch.end_ns) * width
        for column in range(int(start), min(width, int(end) + 1)):
            share = min(end, column + 1) - max(start, column)
            if share > longest[column][0]:
                longest[column] = (share, stretch.state)
    return [_LOOKS[state] for _, state in longest]


def _traffic(view: View, lane: Bus, width: int) -> list[tuple[str, str]]:
    counts = [0] * width
    for at_ns, frames in lane.bursts:
        counts[_column(view, at_ns, width)] += frames
    most = max(counts, default=0)
    return [(" " if not count else _BARS[(count * len(_BARS) - 1) // most], "cyan") for count in counts]


def _marked(view: View, lane: Place, cells: list[tuple[str, str]]) -> list[tuple[str, str]]:
    for verb, sign, style in reversed(_MARKS):  # the most important last, on top
        for mark in lane.marks:
            if mark.verb == verb:
                cells[_column(view, mark.at_ns, len(cells))] = (sign, style)
    return cells


def _legend() -> Text:
    states = ((look, style, state) for state, (look, style) in _LOOKS.items() if state not in {OFF, "idle"})
    marks = ((sign, style, verb.value) for verb, sign, style in _MARKS)
    parts: list[tuple[str, str]] = []
    for sign, style, name in (*states, *marks):
        parts += [(sign, style), (f" {name}  ", "dim")]
    return Text.assemble(*parts, ("≈ squeezed  ", "dim"), ("C", "bold green"), (" faults stop", "dim"))


# -------------------------------------------------------------------------------------------------------- tables


def ecu_table(ecus: Sequence[Ecu]) -> Table:
    """What each ECU came to."""
    columns = ("ECU", "at the end", "image", "boots", "cuts", "records", "erases", "octets written")
    table = _table("ECUs", columns, right=5)
    for each in ecus:
        figures = (f"{each.boots:,}", f"{each.cuts:,}", f"{each.stores:,}", f"{each.erases:,}", f"{each.written:,}")
        table.add_row(escape(each.node), each.state, escape(each.image), *figures)
    return table


def bus_table(buses: Sequence[Bus]) -> Table:
    """What crossed each bus."""
    table = _table("Buses", ("bus", "by whom", "frames", "error frames"), right=2)
    for bus in buses:
        by = ", ".join(f"{node.partition('.')[2] or node} {count:,}" for node, count in sorted(bus.frames.items()))
        table.add_row(escape(bus.node), escape(by), f"{sum(bus.frames.values()):,}", f"{bus.errors:,}")
    return table


def refused_table(refusals: Sequence[Refusal]) -> Table:
    """What was refused, by whom, and why."""
    table = _table("Refused", ("by", "check", "stops", "times", "events", "the latest"), right=0)
    for each in refusals[:ROWS_MAX]:
        events = f"{each.first}" if each.first == each.last else f"{each.first}..{each.last}"
        cells = (each.node, each.check, each.stops, f"{each.count:,}", events, each.text)
        table.add_row(*map(escape, cells))
    return _cut_short(table, len(refusals))


def happened_table(title: str, happened: Sequence[Happened]) -> Table:
    """Faults, acts of people, or broken rules."""
    table = _table(title, ("event", "when", "by", "what"), right=0)
    for each in happened[:ROWS_MAX]:
        text = f"{each.text}\n{each.means}" if each.means else each.text
        table.add_row(str(each.event), clock(each.at_ns), escape(each.node), escape(text))
    return _cut_short(table, len(happened))


def _cut_short(table: Table, rows: int) -> Table:
    if rows > ROWS_MAX:
        table.caption = f"and {rows - ROWS_MAX:,} more; --page shows all"
    return table


def _table(title: str, columns: Iterable[str], *, right: int) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    names = list(columns)
    for place, name in enumerate(names):
        numeric = place >= len(names) - right
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    return table
