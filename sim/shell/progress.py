"""How far a soak is: a line that is always there on a terminal, and one a minute in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sim.asked import Asked
from sim.attempt import Failure
from sim.shell.terminal import console
from sim.soak import Soak

LOG_S: Final = 60.0


class Told:
    """Tells on standard error how far `soak` is, and of each failing seed at once, with what to do."""

    def __init__(self, soak: Soak) -> None:
        self._soak = soak
        self._out = console(to_stderr=True)
        self._live = self._out.is_terminal
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TimeElapsedColumn())
        self._progress = Progress(*columns, console=self._out, disable=not self._live)
        last = soak.seeds.last
        total = None if last is None else last - soak.seeds.first + 1
        self._task = self._progress.add_task(self._text(), total=total, completed=soak.totals.seeds)
        self._said = set(soak.failed)
        self._logged = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._progress.stop()

    def look(self) -> None:
        """Tell what is new."""
        for seed, failures in self._soak.failed.items():
            if seed not in self._said:
                self._said.add(seed)
                self._fail(Asked(seed, self._soak.manner), failures)
        self._progress.update(self._task, description=self._text(), completed=self._soak.totals.seeds)
        if not self._live and time.monotonic() - self._logged >= LOG_S:
            self._logged = time.monotonic()
            self._out.print(self._text())

    def _fail(self, asked: Asked, failures: tuple[Failure, ...]) -> None:
        for failure in failures:
            self._out.print(f"[bold red]seed {asked.seed}[/] {escape(str(failure))}", soft_wrap=True)
        self._out.print(f"  {asked.replay}", soft_wrap=True)

    def _text(self) -> str:
        totals = self._soak.totals
        failed = f"[bold red]{totals.failed} failing[/]" if totals.failed else "none failing"
        return (
            f"{totals.seeds:,} seeds, {failed}, {totals.updates:,} updates, {totals.cuts:,} power cuts "
            f"({len(self._soak.distinct_cuts):,} distinct)"
        )
