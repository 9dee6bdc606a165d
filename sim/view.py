"""One run as people look at it: lanes over time, what was refused and why, which faults there were.

Made from a trace and nothing else; a page and a terminal show the same.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

from sim.asked import RUNNER, Asked
from sim.axis import Axis
from sim.lanes import Bus, Ecu, Place, refusal
from sim.rules import Rule
from sim.trace_reader import Line, Recorded
from sim.verbs import Verb
from uptane.errors import Check

LANES_MAX: Final = 400  # four vehicles of 100 ECUs; nobody scrolls further
_ORDER: Final = ("operator", "director", "image", "time", "faults")
_NUMBERED: Final = re.compile(r"#?(\d{1,7})\b", re.ASCII)
_CHECKS: Final = {check.name: check for check in Check}
_RULES: Final = {rule.name: rule for rule in Rule}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What one node refused by one check: how often, from which event to which, and the latest in its own words."""

    node: str
    check: str
    stops: str
    why: str
    count: int
    first: int
    last: int
    text: str


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault that began, something people did, or a rule that was broken; `number` is that of the plan, if any."""

    event: int
    at_ns: int
    node: str
    number: int | None
    text: str
    means: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """See the module. `calm_ns` is when faults stopped; `untold` are nodes for which there was no lane left."""

    asked: Asked
    digest: str
    events: int
    axis: Axis
    calm_ns: int | None
    ecus: tuple[Ecu, ...]
    buses: tuple[Bus, ...]
    places: tuple[Place, ...]
    untold: int
    refusals: tuple[Refusal, ...]
    faults: tuple[Happened, ...]
    acts: tuple[Happened, ...]
    violations: tuple[Happened, ...]


def view(recorded: Recorded) -> View:
    """What there is to see in a trace."""
    lines = recorded.lines
    lanes = _lanes(lines)
    for line in lines:
        if line.node in lanes:
            lanes[line.node].hear(line)
    for lane in lanes.values():
        lane.end(recorded.end_ns)
    found = lanes.values()
    calm = (line.at_ns for line in lines if line.verb == Verb.CALM)
    return View(
        asked=recorded.asked,
        digest=recorded.digest,
        events=len(lines),
        axis=Axis(line.at_ns for line in lines),
        calm_ns=next(calm, None),
        ecus=tuple(lane for lane in found if isinstance(lane, Ecu)),
        buses=tuple(lane for lane in found if isinstance(lane, Bus)),
        places=tuple(lane for lane in found if not isinstance(lane, Ecu | Bus)),
        untold=len({line.node for line in lines} - {RUNNER}) - len(lanes),
        refusals=_refusals(lines),
        faults=tuple(_numbered(line) for line in lines if line.verb == Verb.FAULT),
        acts=tuple(_numbered(line) for line in lines if line.verb in {Verb.OPERATE, Verb.ATTACK}),
        violations=tuple(_violation(line) for line in lines if line.verb == Verb.VIOLATION),
    )


def _lanes(lines: tuple[Line, ...]) -> dict[str, Place]:
    """A lane for each node, vehicles by name and their Primary first."""
    nodes = sorted({line.node for line in lines} - {RUNNER}, key=_rank)
    return {node: _lane(node) for node in nodes[:LANES_MAX]}


def _rank(node: str) -> tuple[object, ...]:
    vehicle, dot, ecu = node.partition(".")
    if not dot:
        return (0, _ORDER.index(node) if node in _ORDER else len(_ORDER), 0, node)
    number = re.sub(r"\D", "", vehicle)[:9]
    return (1, int(number or 0), ecu.startswith("bus."), ecu != "primary", node)


def _lane(node: str) -> Place:
    if ".bus." in node:
        return Bus(node)
    return Ecu(node) if "." in node else Place(node)


def _refusals(lines: tuple[Line, ...]) -> tuple[Refusal, ...]:
    """By node and check, in the order in which they came up."""
    counts: Counter[tuple[str, str]] = Counter()
    ends: dict[tuple[str, str], tuple[Line, Line]] = {}
    for line in lines:
        name = refusal(line)
        if name is None:
            continue
        by = (line.node, name)
        counts[by] += 1
        ends[by] = (ends[by][0] if by in ends else line, line)
    return tuple(_refusal(node, name, counts[node, name], ends[node, name]) for node, name in ends)


def _refusal(node: str, name: str, count: int, ends: tuple[Line, Line]) -> Refusal:
    check = _CHECKS.get(name)
    return Refusal(
        node=node,
        check=name,
        stops="" if check is None else check.attack.value,
        why="" if check is None else check.value.text,
        count=count,
        first=ends[0].event,
        last=ends[1].event,
        text=ends[1].detail,
    )


def _numbered(line: Line) -> Happened:
    found = _NUMBERED.match(line.detail)
    return Happened(line.event, line.at_ns, line.node, int(found[1]) if found else None, line.detail)


def _violation(line: Line) -> Happened:
    rule = _RULES.get(line.detail.partition(" ")[0])
    return Happened(line.event, line.at_ns, line.node, None, line.detail, "" if rule is None else rule.text)
