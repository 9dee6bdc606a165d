"""What must always hold, whatever fails: every rule in one sentence, and what it protects.

Rules speak of what is durable, of what left a node and of what booted. Never of what a machine believes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Self


class Rule(Enum):
    """One rule, by its number; `text` says what holds, `protects` what is lost when it does not."""

    text: str
    protects: str

    def __new__(cls, number: str, text: str, protects: str) -> Self:
        """A rule is known by its number."""
        rule = object.__new__(cls)
        rule._value_ = number
        rule.text, rule.protects = text, protects
        return rule

    AUTHORISED = (
        "R1",
        (
            "an image is prepared and boots only if, when it was verified into its slot, the newest Director Targets "
            "that the ECU knew (and, on a full ECU, the Image repository) named it for this vehicle, ECU and hardware "
            "and had not expired by the time the ECU could prove"
        ),
        "against arbitrary, foreign and outdated software",
    )
    COUNTER = (
        "R2",
        "the released counter of an ECU never falls and rises only by a release, and no image below it is prepared",
        "against rollback",
    )
    BOOTABLE = (
        "R3",
        "the slot that runs and the slot that boots next hold a whole image, and what boots is what the record says",
        "against bricks",
    )
    ONE_BUNDLE = (
        "R4",
        (
            "once one participant has committed a bundle, every other one runs it too, but for those that fell back "
            "by themselves, lost their records or were given up"
        ),
        "against vehicles whose ECUs do not fit together",
    )
    REMEMBERED = (
        "R5",
        "a manifest that was once admitted, and every report in it, is never forgotten by the Director",
        "against replayed reports, and against updates that are ordered twice",
    )
    NOT_AHEAD = (
        "R6",
        (
            "every report on record was signed by its ECU and says what was durable there, the Director calls proven "
            "only what the ECU had committed or released, and an ECU without power is declared silent"
        ),
        "against operators who believe in updates that never were",
    )
    SAID_ONCE = (
        "R7",
        "no counter of a report, a manifest or a nonce is ever used for two different contents",
        "against a Director or a time service that could be told two truths",
    )
    FORWARD = (
        "R8",
        (
            "trusted versions and the time only go forward, unless a rotation has taken away the keys they stood "
            "under; and no version is ever issued with two contents"
        ),
        "against replayed metadata and frozen clocks",
    )
    ONE_DECISION = (
        "R9",
        (
            "a bundle under one Targets version is committed or rolled back and never both; participants start one "
            "after the other, are committed when all have voted and released when all have committed; only whom newer "
            "Targets leave out is not waited for"
        ),
        "against transactions that end in two ways",
    )
    WEAR = (
        "R10",
        (
            "a slot is erased at most four times under one Targets version, and the slot that runs or that the ECU "
            "falls back to is never touched"
        ),
        "the flash, and the way back",
    )
    CONVERGED = (
        "R11",
        (
            "once nothing fails any more, every healthy vehicle comes to run what was ordered, released, with nothing "
            "left open, and the Director knows exactly that"
        ),
        "against updates that never end",
    )
    GENUINE = (
        "R12",
        "an ECU keeps as trusted only what the repositories really issued, to this vehicle",
        "against forged metadata, and metadata of other vehicles",
    )
    FRESH = (
        "R13",
        "no new image is started without a time attested since the ECU booted, under metadata that have not expired",
        "against freezing",
    )
    STATES = (
        "R14",
        "the record of an installation moves only as docs/wire.md says, and on the word it says",
        "what all other rules of the transaction rest on",
    )
    NOT_RETRIED = (
        "R15",
        "what an ECU has rolled back under one Targets version, it does not take again under the same",
        "against vehicles that try for ever",
    )
    DURABLE_FIRST = (
        "R16",
        (
            "nothing is told or done that is not durable yet: no manifest before its record, no order before "
            "its journal, no erase before the record says that the slot holds nothing"
        ),
        "against nodes that contradict themselves after a power cut",
    )
    RAISED = (
        "R17",
        "no machine ends in an exception, and none stops for good",
        "against crashes, whoever causes them",
    )
    PARKED = (
        "R18",
        "while a vehicle moves nothing is erased, no ECU restarts because it was asked to, and no transaction begins",
        "people in the vehicle",
    )
    SENDABLE = (
        "R19",
        (
            "servers issue nothing that honest vehicles have to refuse: no image without its octets, below a counter "
            "that was given, for other hardware, or newly for an ECU that is silent"
        ),
        "against fleets that are stuck by their own servers",
    )


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken: at which node, and what was found where what should have been."""

    rule: Rule
    node: str
    text: str

    def __str__(self) -> str:
        """As it stands in a trace."""
        return f"{self.rule.name} {self.node} {self.text}"


class Violated(Exception):
    """A rule was broken, and the run ends there."""

    def __init__(self, *violations: Violation) -> None:
        self.violations = violations
        super().__init__("; ".join(map(str, violations)))
