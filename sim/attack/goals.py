"""What an attacker may want (Uptane 2.1.0, section 4.3; uptane.md 2.1), how success is known, and how much it was.

Whether a goal is reached is never asked of a machine that was attacked: judge.py looks at durable octets, at what
booted, and at what the honest servers really issued.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Self


class Goal(Enum):
    """An attack of the Standard, or one its authors name elsewhere; `text` says when it counts as reached."""

    title: str
    text: str

    def __new__(cls, code: str, title: str, text: str) -> Self:
        """A goal is known by its code of two letters."""
        goal = object.__new__(cls)
        goal._value_ = code
        goal.title, goal.text = title, text
        return goal

    EAVESDROP = "EV", "eavesdrop", "the attacker holds the octets of an image that was meant for this ECU"
    DROP = "DQ", "drop-request", "an update was assigned, nothing of it arrived, and the ECU runs what it ran"
    FREEZE = "FZ", "freeze", "the ECU took old metadata for the newest, after newer ones were issued"
    PARTIAL_BUNDLE = "PB", "partial bundle", "some ECUs run the new bundle and this one does not, or the other way"
    MIXED_BUNDLES = "XB", "mixed bundles", "ECUs run images of different bundles, each of which was once assigned"
    MIX_AND_MATCH = "MM", "mix-and-match", "the ECU boots a genuine image that nobody assigned to it"
    ENDLESS_DATA = "ED", "endless data", "the ECU has lost what it booted, or stores more than was signed"
    ROLLBACK = "RB", "rollback", "the ECU boots an image older than the one it had released"
    ARBITRARY = "AS", "arbitrary software", "the ECU boots octets that nobody honest ever published"
    SLOW = "SR", "slow retrieval", "an update crawls, and neither ends nor fails"
    FAST_FORWARD = "FF", "fast-forward", "genuine metadata are refused still, after the stolen keys were replaced"
    FOREIGN = "VR", "replay to another vehicle", "the ECU keeps metadata that were issued to another vehicle"
    FALSE_REPORT = "FR", "false report", "the Director holds for proven what the ECU does not run"
    WRONG_HARDWARE = "WH", "wrong hardware", "the ECU boots a genuine image for other hardware"
    FALSE_TIME = "TT", "false time", "the ECU holds a time for attested that is not, by more than five minutes"


def goal_of(code: str) -> Goal:
    """The goal with this code."""
    return next(goal for goal in Goal if goal.value == code)


PAPERS = tuple(map(goal_of, ("EV", "DQ", "FZ", "PB", "XB", "MM", "ED", "RB", "AS")))
"""The columns of the tables of 2016, in their order."""


class Result(IntEnum):
    """How far an attack goes, the worst last."""

    PREVENTED = 0
    BOUNDED = 1
    DETECTED = 2
    POSSIBLE = 3


RESULTS = {
    Result.PREVENTED: "prevented",
    Result.BOUNDED: "bounded",
    Result.DETECTED: "detected",
    Result.POSSIBLE: "possible",
}

MEANING = {
    Result.PREVENTED: "no strategy reached the goal; those that were tried are listed",
    Result.BOUNDED: "reached, and it ends by itself: until when is said",
    Result.DETECTED: "reached, and a signed report told the Director of it while it lasted",
    Result.POSSIBLE: "reached, by the strategy that is named",
}
