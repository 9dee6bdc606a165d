"""Runs of the attack matrix over several processes: each is a fork of one prepared scene, plays one case, and ends.

So every case begins from the very same octets, at the cost of a fork; and nothing one attacker does is there for the
next.
"""

from __future__ import annotations

import json
import os
import select
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from sim.attack.matrix import Case, Played, as_data, play
from sim.attack.outsider import NotHis
from sim.attack.scene import Scene
from sim.attempt import BUGS
from sim.firmware_node import Maker

_CHUNK: Final = 1 << 16


@dataclass(slots=True)
class _Child:
    """A process that plays a case, and what it has said so far."""

    case: Case
    pid: int
    octets: bytearray = field(default_factory=bytearray)


class Failed(Exception):
    """A run ended in an exception: a bug of the attack, or one that it has found."""


def run(cases: Sequence[Case], jobs: int, told: Callable[[Played], None], maker: Maker | None = None) -> list[Played]:
    """Play all cases, `jobs` at a time; `told` hears of each when it has ended. In the order of `cases`.

    `maker`: ECUs that verify partially run the C core.

    Raises:
        Failed: a run ended in an exception; its text is the traceback.
    """
    scene = Scene(maker)
    waiting = iter(cases)
    children: dict[int, _Child] = {}
    played: dict[str, Played] = {}
    try:
        while True:
            for case in _some(waiting, jobs - len(children)):
                descriptor, child = _begin(scene, case)
                children[descriptor] = child
            if not children:
                break
            for descriptor in select.select(list(children), [], [])[0]:
                octets = os.read(descriptor, _CHUNK)
                children[descriptor].octets += octets
                if not octets:
                    found = _end(descriptor, children.pop(descriptor))
                    played[found.name] = found
                    told(found)
    finally:
        for descriptor, child in children.items():
            os.close(descriptor)
            os.kill(child.pid, 9)
            os.waitpid(child.pid, 0)
    return [played[case.name] for case in cases]


def _some(waiting: Iterator[Case], count: int) -> Iterator[Case]:
    for _ in range(count):
        case = next(waiting, None)
        if case is None:
            return
        yield case


def _begin(scene: Scene, case: Case) -> tuple[int, _Child]:
    ours, theirs = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        _play(scene, case, theirs)
    os.close(theirs)
    return ours, _Child(case, pid)


def _play(scene: Scene, case: Case, to: int) -> NoReturn:
    """What the other process does; it never returns into what the first one was doing."""
    code, said = 1, ""
    try:
        said = json.dumps(as_data(play(scene, case)))
        code = 0
    except (*BUGS, NotHis):
        said = traceback.format_exc()
    finally:
        with os.fdopen(to, "w") as out:
            out.write(said)
        os._exit(code)


def _end(descriptor: int, child: _Child) -> Played:
    os.close(descriptor)
    _, status = os.waitpid(child.pid, 0)
    text = child.octets.decode()
    if status:
        raise Failed(f"{child.case.name}: {text or f'ended with {status}'}")
    data = json.loads(text)
    data["findings"] = [tuple(each) for each in data["findings"]]
    return Played(**data)
