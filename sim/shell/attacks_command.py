"""The command `attacks`: play the attack matrix, print it beside what was expected, find every cell that changed."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sim.asked import BadInput
from sim.shell.files import replace
from sim.shell.options import BROKEN, judging
from sim.shell.shipping import LIBRARY

if TYPE_CHECKING:
    from sim.attack.matrix import Case, Played

app = typer.Typer()

JOBS_MAX: Final = 256  # as for a soak
RECORD: Final = Path(__file__).parent / "attacks.txt"
"""What came of each run when it was last looked at by a person; travels with the package."""
PAGE: Final = Path("docs") / "threats.md"
JSON: Final = Path("build") / "attacks.json"
LOG_EVERY: Final = 50  # runs between two lines that say how far it is


@app.command()
def attacks(
    *,
    jobs: Annotated[int | None, typer.Option(help="Processes; else one for each core.", min=1, max=JOBS_MAX)] = None,
    only: Annotated[list[str] | None, typer.Option(help="Runs whose name contains this; may be repeated.")] = None,
    out: Annotated[Path, typer.Option(help="Where the cells go as JSON, if all runs are made.")] = JSON,
    write: Annotated[bool, typer.Option("--write", help="Take what is measured now as right: record, page.")] = False,
    names: Annotated[bool, typer.Option("--list", help="Name the runs, and make none.")] = False,
    firmware: Annotated[
        bool, typer.Option("--firmware", help="Partial ECUs run the C core: every run has to come out the same.")
    ] = False,
) -> None:
    """Play attackers with every set of stolen keys. Exit codes: 1 a run came out otherwise than it is on record."""
    from sim.attack.control import Variant  # noqa: PLC0415  (see below)
    from sim.attack.matrix import cases  # noqa: PLC0415  (the cores are loaded when they are needed: help comes at once)
    from sim.attack.strategies.registry import STRATEGIES  # noqa: PLC0415  (see above)

    with judging():
        # The control group takes features out of the Python core; the C core is what it is.
        every = [case for case in cases(STRATEGIES) if not firmware or case.variant is Variant.SHIPPED]
        wanted = [case for case in every if not only or any(word in case.name for word in only)]
        if not wanted:
            raise BadInput(f"--only {' '.join(only or [])}: no run has such a name; --list names them")
        if names:
            sys.stdout.write("".join(f"{case.name}\n" for case in wanted))
            return
        if write and (firmware or len(wanted) < len(every)):
            raise BadInput("--write takes all runs of the Python core: leave out --only and --firmware")
        whole = len(wanted) == len(every)
        played = _play(wanted, jobs or len(os.sched_getaffinity(0)), firmware=firmware)
        if firmware and whole:
            good = _compare(played)
        else:
            good = _finish(wanted, played, out, write=write) if whole else _show(played)
    if not good:
        raise typer.Exit(BROKEN)


def _play(wanted: list[Case], jobs: int, *, firmware: bool) -> list[Played]:
    from sim.shell.attack_runs import run  # noqa: PLC0415  (see above)
    from sim.shell.firmware import maker_of  # noqa: PLC0415  (see above)

    maker = maker_of(LIBRARY) if firmware else None

    began = time.monotonic()
    done = 0

    def told(_played: Played) -> None:
        nonlocal done
        done += 1
        if done % LOG_EVERY == 0:
            sys.stderr.write(f"{done} of {len(wanted)} attacks played, {time.monotonic() - began:.0f} s\n")

    played = run(wanted, jobs, told, maker)
    sys.stderr.write(f"{len(played)} attacks played in {time.monotonic() - began:.0f} s by {jobs} processes\n")
    return played


def _compare(played: list[Played]) -> bool:
    """Say what changed; whether nothing did."""
    from sim.attack.record import changed, recorded  # noqa: PLC0415  (see above)

    known = recorded(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    news = list(changed(played, known))
    for line in news:
        sys.stdout.write(f"changed: {line}\n")
    return not news


def _show(played: list[Played]) -> bool:
    """Say what came of some runs, and what changed; whether nothing did."""
    from sim.attack.record import line_of  # noqa: PLC0415  (see above)

    sys.stdout.write("".join(f"{line_of(each)}\n" for each in played))
    return _compare(played)


def _finish(wanted: list[Case], played: list[Played], out: Path, *, write: bool) -> bool:
    """Tables, JSON, and what changed; with `write` all that is measured is taken for right, if it is explained."""
    from sim.attack.cells import ran  # noqa: PLC0415  (see above)
    from sim.attack.record import line_of  # noqa: PLC0415  (see above)
    from sim.attack.report import document, matrix_of, page, unexplained  # noqa: PLC0415  (see above)

    matrix = matrix_of(ran(wanted, played))
    out.parent.mkdir(parents=True, exist_ok=True)
    replace(out, json.dumps(document(matrix), indent=1) + "\n")
    text = page(matrix)
    sys.stdout.write(text)
    if write:
        replace(RECORD, "".join(f"{line_of(each)}\n" for each in played))
        replace(PAGE, text)
    sentences = [f"nobody has explained {each}" for each in unexplained(matrix)]
    for sentence in sentences:
        sys.stdout.write(f"{sentence}\n")
    stale = not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text
    same = _compare(played)
    if PAGE.parent.exists() and stale:
        sys.stdout.write(f"changed: {PAGE} is not what was measured: look at it, then write it by --write\n")
    return same and not sentences and not (PAGE.parent.exists() and stale)
