"""The time service: says what time it is, signed together with the nonce of whoever asks (docs/wire.md, section 6).

Whoever holds its key can freeze or block a fleet, so it lives apart from the Director, with a key of its own. It would
rather say nothing than a wrong time: nothing below its floor, nothing earlier than what it said before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from uptane.model.metadata import LEVEL
from uptane.model.reports import NONCE_LENGTH, TimeAttestation
from uptane.moments import Instant, UtcTime
from uptane.ports import Codec, Signer
from uptane.verify.signing import sign

BUILD_TIME = UtcTime(1_767_225_600)  # 2026-01-01: this software is younger, so a clock before it is wrong
NONCES_MAX = 128  # one per ECU of the largest vehicle
MARK_STEP_S = 60  # the latest time said is made durable once a minute: a disk that lives long


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody wants the time for these nonces; `utc` is what the system clock says."""

    nonces: tuple[bytes, ...]
    utc: UtcTime


@dataclass(frozen=True, slots=True)
class Mark:
    """Keep `utc` durably: it is about to be said, and nothing earlier may be said after a restart."""

    utc: UtcTime


@dataclass(frozen=True, slots=True)
class Attested:
    """The answer: one envelope per nonce, in the same order."""

    envelopes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """The request itself is wrong."""

    text: str


@dataclass(frozen=True, slots=True)
class ClockWrong:
    """The system clock is not to be trusted."""

    text: str


Effect: TypeAlias = Mark | Attested | Unanswerable | ClockWrong


class TimeService:
    """A Machine that attests the time; asking it changes nothing but what it will not say any more.

    `floor` is a time that has certainly passed (when the key was made), `mark` the latest time kept.
    """

    def __init__(self, codec: Codec, signer: Signer, *, floor: UtcTime, mark: UtcTime) -> None:
        self._codec = codec
        self._signer = signer
        self._latest = UtcTime(max(floor, mark, BUILD_TIME))
        self._mark = mark

    def handle(self, event: Asked, now: Instant) -> Sequence[Effect]:
        """Answer one request."""
        del now  # no duration is measured here
        if not 1 <= len(event.nonces) <= NONCES_MAX:
            return [Unanswerable(f"{len(event.nonces)} nonces; 1 to {NONCES_MAX} are answered")]
        if any(len(nonce) != NONCE_LENGTH for nonce in event.nonces):
            return [Unanswerable(f"a nonce has {NONCE_LENGTH} octets")]
        wrong = self.wrong(event.utc)
        if wrong is not None:
            return [wrong]
        self._latest = event.utc
        effects: list[Effect] = []
        if event.utc >= self._mark + MARK_STEP_S:
            self._mark = event.utc
            effects.append(Mark(event.utc))
        said = (TimeAttestation(LEVEL, event.utc, nonce) for nonce in event.nonces)
        effects.append(Attested(tuple(sign(self._codec, value, [self._signer]) for value in said)))
        return effects

    def deadline(self) -> Instant | None:
        """It waits to be asked."""
        return None

    def wrong(self, utc: UtcTime) -> ClockWrong | None:
        """Why the system clock cannot be believed when it says `utc`; None if it can."""
        if utc >= self._latest:
            return None
        return ClockWrong(f"the clock says {utc}, and {self._latest} has certainly passed: set it")
