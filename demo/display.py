"""What a person sees: a bar per ECU while the update travels, and a table of what is proven at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

WIDTH_MIN = 120  # columns of the closing table; a narrower terminal wraps, a pipe has no width of its own
console = Console(highlight=False)
if not console.is_terminal:
    console = Console(highlight=False, width=WIDTH_MIN)


def say(text: str) -> None:
    """One line of the story."""
    console.print(f"[bold cyan]·[/] {text}")


class Follow:
    """New lines of a file that a process appends JSON to."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._at = 0

    def lines(self) -> Iterator[dict[str, Any]]:
        """What was written since the last call, whole lines only."""
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._at)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._at += len(line)
                yield json.loads(line)


@dataclass
class Bars:
    """A bar per ECU: octets of its image that arrived, and the step it is at."""

    progress: Progress
    tasks: dict[str, TaskID] = field(default_factory=dict)

    def show(self, note: dict[str, Any]) -> None:
        """Move the bar of the ECU a note of the Primary is about."""
        task = self.tasks.get(note.get("ecu") or "")
        if task is None:
            return
        total, done = int(note.get("total") or 0), int(note.get("done") or 0)
        if total:
            self.progress.update(task, step=note["step"], completed=done, total=total)
        else:
            self.progress.update(task, step=note["step"])

    def step(self, ecu: str, text: str) -> None:
        """Name the step an ECU is at."""
        if ecu in self.tasks:
            self.progress.update(self.tasks[ecu], step=text)


@contextmanager
def bars(ecus: Sequence[tuple[str, int]]) -> Iterator[Bars]:
    """Bars for these ECUs and the length of their images in octets, shown until the block ends."""
    columns = (
        TextColumn("  {task.description:<11}"),
        BarColumn(32),
        DownloadColumn(binary_units=True),
        TextColumn("{task.fields[step]:<12}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        shown = Bars(progress)
        for ecu, length in ecus:
            shown.tasks[ecu] = progress.add_task(ecu, total=length, step="waiting")
        yield shown


def closing_table(report: dict[str, Any]) -> Table:
    """What the Director believes, and why: one row per ECU."""
    table = Table(title=f"Vehicle {report['vehicle']}: what signed, confirmed reports prove", title_justify="left")
    for name in ("ECU", "hardware", "verifies", "before", "after", "frames seen", "octets", "proven"):
        table.add_column(name, overflow="fold", justify="right" if name in {"frames seen", "octets"} else "left")
    for ecu in report["ecus"]:
        proven = "[green]yes[/]" if ecu["proven"] else "[red]no[/]"
        cells = (ecu["ecu"], ecu["hardware"], ecu["verification"], ecu["before"] or "-", ecu["after"] or "-")
        traffic = (f"{ecu['frames']:,}", f"{ecu['octets']:,}") if ecu["frames"] else ("-", "-")
        table.add_row(*cells, *traffic, proven)
    return table


def bus_table(report: dict[str, Any]) -> Table:
    """What crossed each bus, and how long its frames took there."""
    table = Table(title="On the buses", title_justify="left")
    for name in ("bus", "bit rate", "frames seen", "octets of data", "bus time"):
        table.add_column(name, justify="left" if name == "bus" else "right")
    for bus in report["bus"]:
        table.add_row(
            bus["name"], bus["bit_rate"], f"{bus['frames']:,}", f"{bus['octets']:,}", f"{bus['bus_seconds']:.2f} s"
        )
    return table


def time_table(report: dict[str, Any]) -> Table:
    """Where the time went."""
    table = Table(title="Time per phase", title_justify="left")
    table.add_column("phase")
    table.add_column("seconds", justify="right")
    for phase, seconds in report["seconds"].items():
        table.add_row(phase, f"{seconds:.1f}")
    return table


def refused_table(refused: Sequence[dict[str, Any]]) -> Table:
    """What was refused, by which check, and who says so."""
    table = Table(title="Refused, as the Director learned it", title_justify="left")
    for name in ("by", "check", "stops", "how often or why"):
        table.add_column(name)
    for row in refused:
        table.add_row(row["by"], f"{row['check']} (0x{row['code']:04X})", row["attack"], row["detail"])
    return table
