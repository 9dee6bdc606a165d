"""Options that several commands share, and how a command line that asks for what cannot be is answered."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from sim.asked import EVENT_MAX, SEED_MAX, STANDARD, Asked, BadInput, numbers
from sim.attempt import Numbered, Plan, Simulation
from sim.trace_reader import BadTrace

BROKEN = 1
"""Exit code when a rule was broken, or two traces differ."""

MISUSED = 2
"""Exit code when the command line, or a file it names, is none that can be used."""

Seed = Annotated[int, typer.Argument(metavar="SEED", help="0 to 2**63 - 1.", min=0, max=SEED_MAX)]
SeedOption = Annotated[int, typer.Option("--seed", help="0 to 2**63 - 1.", min=0, max=SEED_MAX)]
Manner = Annotated[
    str,
    typer.Option(
        help="How plans are drawn: everything; cuts: nothing but power cuts; storm: cuts upon cuts; firmware, "
        "firmware-cuts, firmware-storm: the same with the C core in some ECUs; bootloader, bootloader-cuts: as "
        "everything and cuts, where a bootloader keeps the Primary's slots and does not always boot what is new."
    ),
]
Without = Annotated[str, typer.Option(help="Numbers of faults and acts to leave out, such as 3,7,12.")]
Until = Annotated[int | None, typer.Option(help="Stop at this event of the trace.", min=1, max=EVENT_MAX)]
TraceFile = Annotated[Path | None, typer.Option("--trace", help="Write the trace there.", dir_okay=False)]
PageFile = Annotated[Path | None, typer.Option("--page", help="Write a page to look at, HTML.", dir_okay=False)]
Given = Annotated[Path, typer.Argument(metavar="TRACE", exists=True, dir_okay=False, help="A file with a trace.")]
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


@contextmanager
def judging(*, as_json: bool = False) -> Iterator[None]:
    """What cannot be used is said in one line, and ends the command with code 2."""
    try:
        yield
    except (BadInput, BadTrace) as refusal:
        _refuse(str(refusal), as_json=as_json)
        raise typer.Exit(MISUSED) from refusal
    except BrokenPipeError:
        raise  # whoever read our output has gone: nothing to say, and nobody to say it to
    except OSError as failure:
        name = f"{failure.filename}: " if failure.filename else ""
        _refuse(f"{name}{failure.strerror or failure}", as_json=as_json)
        raise typer.Exit(MISUSED) from failure


def _refuse(text: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": False, "error": text})
    else:
        sys.stderr.write(f"marque-sim: {text}\n")


def print_json(value: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def simulation_of(context: typer.Context) -> Simulation:
    """What the entry point has wired."""
    found: Simulation = context.obj
    return found


def asked_for(simulation: Simulation, seed: int, manner: str = STANDARD, without: str = "") -> Asked:
    """What the options of a command ask for.

    Raises:
        BadInput: there is no such manner, or the plan has no such fault.
    """
    judge_manner(simulation, manner)
    asked = Asked(seed, manner, numbers(without))
    known = {each.number for each in planned(simulation.plan(seed, manner))}
    strange = [number for number in asked.without if number not in known]
    if strange:
        has = f"{min(known)} to {max(known)}" if known else "none"
        raise BadInput(f"--without {strange[0]}: the faults and acts of seed {seed} ({manner}) are {has}")
    return asked


def judge_manner(simulation: Simulation, manner: str) -> None:
    """See that there is such a manner.

    Raises:
        BadInput: there is none.
    """
    if manner not in simulation.manners:
        raise BadInput(f"--manner {manner!r}: there are {', '.join(simulation.manners)}")


def planned(plan: Plan) -> tuple[Numbered, ...]:
    """All that is numbered in a plan: what people do, and faults."""
    return (*plan.acts, *plan.faults)
