"""Files of the simulator: traces read line by line, pages, and checkpoints that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TextIO

from sim.page import page
from sim.trace_reader import LINE_OCTETS_MAX, BadTrace, Recorded, read
from sim.view import View, view


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, none of them longer than a reader accepts and one more."""
    with path.open("rb") as file:
        while line := file.readline(LINE_OCTETS_MAX + 1):
            yield line


def recorded(path: Path) -> Recorded:
    """The trace in a file.

    Raises:
        BadTrace: it is none, with the name of the file.
    """
    try:
        return read(lines(path))
    except BadTrace as bad:
        raise BadTrace(f"{path}: {bad}") from bad


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """A text file to be written, the same on every machine."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        yield file


def write_page(path: Path, trace: Recorded, seen: View | None = None) -> None:
    """Write the page of a run."""
    ours = files("sim.shell")
    style, script = ((ours / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    with writing(path) as file:
        file.write(page(seen or view(trace), trace, style=style, script=script))


def replace(path: Path, text: str) -> None:
    """Have `text` stand in the file, or what stood there before, whatever happens."""
    new = path.with_name(path.name + ".new")
    with writing(new) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
