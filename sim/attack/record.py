"""What is on record of each run: one line, so that any change of what came of it is a changed line, and found at once.

    in/forge malware [dTG] | AS possible body brake | INSTALL_STATE TARGETS_SIGNATURES | INSTALL_STATE | recovered

The case; what was reached, how far, on which ECUs; what refused; what of it the Director heard while it lasted; whether
honest people got the vehicle back to what they wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from sim.attack.goals import RESULTS, Goal
from sim.attack.judge import Finding
from sim.attack.matrix import Played, finding

_BETWEEN: Final = " | "


def line_of(played: Played) -> str:
    """The line of one run."""
    findings = [finding(each) for each in played.findings]
    after = "recovered" if played.recovered else "not recovered"
    parts = (
        played.name,
        "; ".join(_reached(findings)) or "nothing",
        " ".join(played.refused) or "-",
        " ".join(played.told) or "-",
        after,
    )
    return _BETWEEN.join(parts)


def _reached(findings: Sequence[Finding]) -> Iterator[str]:
    for goal in Goal:
        places: dict[str, list[str]] = {}
        for each in findings:
            if each.goal is goal:
                until = f" until {each.until}" if each.until else ""
                places.setdefault(f"{RESULTS[each.result]}{until}", []).append(each.ecu.rpartition("-")[0])
        for result, ecus in places.items():
            yield f"{goal.value} {result} {' '.join(dict.fromkeys(ecus))}"


def case_of(line: str) -> str:
    """Which case a line is about."""
    return line.split(_BETWEEN, 1)[0]


def recorded(text: str) -> Mapping[str, str]:
    """The lines on record, by case."""
    return {case_of(line): line for line in text.splitlines() if line.strip()}


def changed(played: Iterable[Played], record: Mapping[str, str]) -> Iterator[str]:
    """What came out otherwise than it is on record, in words."""
    for each in played:
        line, before = line_of(each), record.get(each.name)
        if before is None:
            yield f"{each.name}: not on record: {line}"
        elif line != before:
            yield f"{each.name}: {_difference(before, line)}"


def _difference(before: str, after: str) -> str:
    names = ("reached", "refused by", "told to the Director", "afterwards")
    pairs = zip(names, before.split(_BETWEEN)[1:], after.split(_BETWEEN)[1:], strict=True)
    return "; ".join(f"{name} {old!r}, now {new!r}" for name, old, new in pairs if old != new)
