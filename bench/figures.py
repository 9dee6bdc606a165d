"""A figure beside its peer, and how time is taken: processor time, the best of some runs, garbage collection off.

Processor time and the best, because whatever else a machine does can only slow a run down; what is measured here keeps
one processor busy and waits for nothing. A row is what build/bench.json holds: name,
unit, ours, peer, peer_name, ratio (how many times better than the peer), aim, and whether it is met; None where there
is no peer or no aim.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

Row: TypeAlias = dict[str, object]

BUILD = Path(__file__).resolve().parent.parent / "build"
SECOND_MS = 1e3
MEGABYTE = 1e6


class Peer(NamedTuple):
    """Somebody else's figure, in the same unit, measured in the same run."""

    name: str
    figure: float


def best_s(action: Callable[[], object], *, runs: int = 5, at_least_s: float = 0.0) -> float:
    """Processor seconds of the fastest of `runs` calls, or of all in `at_least_s`; garbage collection is off."""
    fastest = float("inf")
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    began, done = time.perf_counter(), 0
    try:
        while done < runs or time.perf_counter() < began + at_least_s:
            start = time.process_time()
            action()
            fastest = min(fastest, time.process_time() - start)
            done += 1
    finally:
        if was_enabled:
            gc.enable()
    return fastest


def best_in_turn_s(*actions: Callable[[], object], rounds: int = 5) -> list[float]:
    """Processor seconds of each action's fastest call; they take turns, so that a slow second hits all."""
    figures = [[best_s(action, runs=1) for action in actions] for _ in range(rounds)]
    return [min(column) for column in zip(*figures, strict=True)]


def smaller(name: str, unit: str, ours: float, peer: Peer, *, times: float | None = None) -> Row:
    """A figure where less is better; the aim is to be `times` as good as the peer."""
    ratio = peer.figure / ours
    aim = None if times is None else "no worse" if times == 1 else f"at least {times:g} x better"
    met = None if times is None else ratio >= times
    return _row(name, unit, ours, peer, ratio=ratio, aim=aim, met=met)


def at_most(name: str, unit: str, ours: float, *, limit: float, peer: Peer | None = None) -> Row:
    """A figure with a limit of its own."""
    ratio = None if peer is None else peer.figure / ours
    return _row(name, unit, ours, peer, ratio=ratio, aim=f"at most {limit:g} {unit}", met=ours <= limit)


def plain(name: str, unit: str, ours: float, peer: Peer | None = None) -> Row:
    """A figure without an aim."""
    ratio = None if peer is None else peer.figure / ours
    return _row(name, unit, ours, peer, ratio=ratio, aim=None, met=None)


def unmet(rows: Sequence[Row]) -> list[str]:
    """The names of the rows whose aim is not met."""
    return [str(row["name"]) for row in rows if row["met"] is False]


def _row(
    name: str, unit: str, ours: float, peer: Peer | None, *, ratio: float | None, aim: str | None, met: bool | None
) -> Row:
    return {
        "name": name,
        "unit": unit,
        "ours": _rounded(ours),
        "peer": None if peer is None else _rounded(peer.figure),
        "peer_name": None if peer is None else peer.name,
        "ratio": None if ratio is None else _rounded(ratio),
        "aim": aim,
        "met": met,
    }


def _rounded(figure: float) -> float:
    """Four digits that mean something; whole numbers stay whole."""
    return figure if isinstance(figure, int) else float(f"{figure:.4g}")
