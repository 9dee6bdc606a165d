"""What people see of a Primary: lines, bars on a terminal, and the same as JSON lines in a file for whoever draws."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from primary.needs import Note, Step
from primary.primary import CycleEnded
from uptane.errors import StorageFailure

EVERY_S: Final = 0.1  # at most, for one ECU's octets: ten a second are smooth


class Display(Protocol):
    """Somewhere to show things."""

    def show(self, effect: Note | CycleEnded) -> None:
        """Show it."""
        ...

    def close(self) -> None:
        """Show nothing more."""
        ...


class Lines:
    """One line for each thing that happened, and none for octets on their way."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def show(self, effect: Note | CycleEnded) -> None:
        """Write a line, if it is worth one."""
        if isinstance(effect, CycleEnded):
            finished = effect.finished
            pause = "" if effect.pause_ms is None else f"; again in {effect.pause_ms / 1_000:.0f} s"
            text = f"cycle: {finished.result.value}{': ' if finished.text else ''}{finished.text}{pause}"
        elif effect.total and effect.done < effect.total:
            return
        else:
            who = f"{effect.ecu}: " if effect.ecu else ""
            octets = f" ({effect.total} octets)" if effect.total else ""
            text = f"{effect.step.value}: {who}{effect.text}{octets}"
        self._write(text)

    def close(self) -> None:
        """Nothing is open."""


class JsonLines:
    """A file of one JSON object a line: step, ecu, text, done, total; at the end of a cycle result, text, pause_s.

    A line that a full disk does not take is left out: nothing depends on it, least of all the update.
    """

    def __init__(self, file: Path) -> None:
        try:
            self._stream = file.open("ab", buffering=0)
        except OSError as error:
            raise StorageFailure(f"{file}: {error.strerror}") from error
        self._shown: dict[tuple[Step, str | None], float] = {}

    def show(self, effect: Note | CycleEnded) -> None:
        """Append a line; octets on their way are thinned out, their first and last are not."""
        if isinstance(effect, Note) and effect.total and not self._due(effect):
            return
        line = json.dumps(_fields(effect)).encode() + b"\n"
        with contextlib.suppress(OSError):
            written = self._stream.write(line)
            if written != len(line):
                self._stream.truncate(self._stream.tell() - written)  # lines are whole, or not there

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _due(self, note: Note) -> bool:
        key, now = (note.step, note.ecu), time.monotonic()
        if note.done < note.total and now - self._shown.get(key, 0.0) < EVERY_S:
            return False
        self._shown[key] = now
        return True


class Bars:
    """A bar per ECU on a terminal, and lines above them."""

    def __init__(self) -> None:
        # rich is loaded by the people who look, not by every board.
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        columns = (TextColumn("{task.description:<20}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns)
        self._tasks: dict[str, Any] = {}
        console = self._progress.console
        self._lines = Lines(lambda line: console.print(line, highlight=False, markup=False))
        self._progress.start()

    def show(self, effect: Note | CycleEnded) -> None:
        """Move a bar, or write a line."""
        if isinstance(effect, CycleEnded) or not effect.total:
            self._lines.show(effect)
            return
        name = f"{effect.step.value} {effect.ecu or effect.text}"
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=effect.total)
        self._progress.update(self._tasks[name], completed=effect.done, total=effect.total)

    def close(self) -> None:
        """Leave the terminal as it is."""
        self._progress.stop()


def say(line: str) -> None:
    """One line on standard output, at once; left out when that is a file on a full disk, or nobody reads any more."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def displays_of(progress: Path | None, *, quiet: bool = False) -> list[Display]:
    """Where to show things: bars on a terminal, else lines; and a file if one is named."""
    shown: list[Display] = []
    if not quiet:
        shown.append(Bars() if sys.stdout.isatty() else Lines(say))
    if progress is not None:
        shown.append(JsonLines(progress))
    return shown


def _fields(effect: Note | CycleEnded) -> dict[str, Any]:
    if isinstance(effect, CycleEnded):
        pause_s = None if effect.pause_ms is None else effect.pause_ms / 1_000
        return {"result": effect.finished.result.name, "text": effect.finished.text, "pause_s": pause_s, "step": "done"}
    return {
        "step": effect.step.value,
        "ecu": effect.ecu,
        "text": effect.text,
        "done": effect.done,
        "total": effect.total,
    }
