"""Time and peak memory of one action in a process of its own; read from /proc, so on Linux only."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.figures import BUILD, best_s

FOLDER = BUILD / "bench"
TIMEOUT_S = 600
ROUNDS = 3  # of both sides in turn: a shared machine has slow seconds, and each side meets fast ones so
MEASURED_S = 2.0  # of each round: both sides have as long to show their best


class Measured(NamedTuple):
    """What an action needed: processor seconds of its fastest run, and octets above the state before its first."""

    seconds: float
    peak_octets: int


def measured(file: Path, action: Callable[[bytes], object]) -> Measured:
    """Peak memory of a first run above the state before it, the file's octets included; the time of the best run."""
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew from here
    octets = file.read_bytes()
    action(octets)
    peak = _resident("VmHWM") - before
    return Measured(best_s(lambda: action(octets), at_least_s=MEASURED_S), peak)


def _resident(field: str) -> int:
    """Octets of memory of this process, now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    line = next(line for line in lines if line.startswith(field + ":"))
    return int(line.split()[1]) * 1024


def in_turn(*commands: Sequence[str]) -> list[Measured]:
    """The best of each of some commands (a module and its arguments), each round in a process of its own."""
    rounds = [[_apart(command) for command in commands] for _ in range(ROUNDS)]
    return [Measured(*map(min, zip(*figures, strict=True))) for figures in zip(*rounds, strict=True)]


def _apart(command: Sequence[str]) -> Measured:
    """What `python -m command` measured and told by `tell`."""
    command = [sys.executable, "-m", *command]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=BUILD.parent, timeout=TIMEOUT_S)
    return Measured(*json.loads(done.stdout))


def tell(figures: Measured) -> None:
    """Print figures for `in_turn` to read."""
    print(json.dumps(figures))
