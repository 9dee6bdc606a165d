"""The CAN controller of one node: what waits to be sent, who is to hear what comes, and how many errors it has seen.

Several sends wait side by side as in the ports of the shipping shells: of those that may start, the frame with the
lowest identifier goes first, then the one asked for first. Errors are counted by the rules of ISO 11898-1:2015, 12.1.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from uptane.errors import LinkFailure
from uptane.link.can_frame import CanFrame

JOBS_MAX: Final = 1_024  # as uptane/shell/can_port.py: each of 256 peers has one, and a flow control or two

PASSIVE_ABOVE: Final = 127
OFF_ABOVE: Final = 255
SENDING_ERROR: Final = 8
RECEIVING_ERROR: Final = 1
FLAGGING_ERROR: Final = 8  # more for a receiver whose flag came before those of others
RECEIVING_MAX: Final = 255  # an octet
PASSIVE_RECOVERS_TO: Final = 119  # of a receiver that hears a good frame; the standard allows up to 127

Accepts: TypeAlias = Callable[[int], bool]
Hear: TypeAlias = Callable[[Sequence[CanFrame]], None]
Sent: TypeAlias = Callable[[], None]


@dataclass(slots=True)
class Traffic:
    """What one node put on the bus."""

    frames: int = 0  # that were acknowledged
    errors: int = 0  # that ended in an error frame
    busy_ns: int = 0  # both, with the three bits after each


class Job:
    """The frames of one send on their way."""

    __slots__ = ("alone", "at", "can_id", "frames", "lasts_ns", "ready_ns", "sent", "separation_ns")

    def __init__(
        self, frames: Sequence[CanFrame], lasts_ns: Sequence[int], separation_ns: int, sent: Sent | None
    ) -> None:
        self.frames = frames
        self.lasts_ns = lasts_ns
        self.separation_ns = separation_ns
        self.sent = sent
        self.at = 0  # frames that have left
        self.can_id = frames[0].can_id  # of the next frame
        self.ready_ns = 0  # when the next frame may start, as far as this job is concerned
        self.alone = False  # the next frame shows its receiver that one is missing: it is heard at once

    def passed(self, frames: int, ready_ns: int) -> bool:
        """So many have left, the next may start at `ready_ns`; whether these were the last."""
        self.at += frames
        self.ready_ns = ready_ns
        if self.at == len(self.frames):
            return True
        self.can_id = self.frames[self.at].can_id
        return False


class Medium(Protocol):
    """What a controller is attached to."""

    @property
    def joining_ns(self) -> int:
        """How long a node listens before it takes part: 11 bits without a frame."""
        ...

    def timed(self, frames: Sequence[CanFrame]) -> list[int]:
        """How long each of the frames lasts."""
        ...

    def now_ns(self) -> int:
        """The time."""
        ...

    def submitted(self, controller: Controller, job: Job) -> None:
        """`job` waits to be sent, from now on."""
        ...

    def changing(self) -> None:
        """A controller will no longer be, or drive, what it did: what is past must be settled first."""
        ...

    def dropped(self, controller: Controller) -> None:
        """It drives the wire no longer."""
        ...


class Controller:
    """One node on one bus; a `deaf` one only sends."""

    def __init__(self, node: str, medium: Medium, accepts: Accepts, hear: Hear, *, deaf: bool = False) -> None:
        self.node = node
        self.accepts = accepts
        self.hear = hear
        self.traffic = Traffic()
        self.jobs: list[Job] = []
        self.lives = 0
        """How often it was reset: what was asked for before concerns nobody."""
        self.since_ns = 0
        """From when on it takes part: of a frame begun before, it makes nothing."""
        self.until_ns = 0
        """When it last ceased to take part."""
        self.sending_errors = 0
        self.receiving_errors = 0
        self.off = False
        """Too many errors: it takes no part until it has recovered."""
        self.suspended_ns = 0
        """An error passive node that has sent lets others go first until then."""
        self.late = False
        """Its recessive error flag found no six equal bits before the end of another's frame."""
        self.unheard = False
        """Nobody has acknowledged its latest frame."""
        self._deaf = deaf
        self._medium = medium
        self._listening = True

    @property
    def listening(self) -> bool:
        """Whether it has power: only then does it hear, and acknowledge."""
        return self._listening

    @listening.setter
    def listening(self, on: bool) -> None:
        if on == self._listening:
            return
        self._medium.changing()
        self._listening = on
        if on:
            self.since_ns = self._medium.now_ns() + self._medium.joining_ns
        else:
            self.until_ns = self._medium.now_ns()

    @property
    def present(self) -> bool:
        """Whether it takes part in what is on the wire."""
        return self._listening and not self.off and not self._deaf

    @property
    def passive(self) -> bool:
        """Whether its error flags are recessive."""
        return self.sending_errors > PASSIVE_ABOVE or self.receiving_errors > PASSIVE_ABOVE

    def send(self, frames: Sequence[CanFrame], separation_us: int = 0, sent: Sent | None = None) -> None:
        """Send these frames, each starting at least `separation_us` after the one before; then call `sent`.

        Raises:
            LinkFailure: more sends are waiting than any user of a port can have.
        """
        assert frames
        assert self._listening, f"{self.node} has no power and sends"
        if len(self.jobs) >= JOBS_MAX:
            raise LinkFailure(f"CAN {self.node}: {JOBS_MAX} runs of frames are waiting to be sent")
        job = Job(frames, self._medium.timed(frames), separation_us * 1_000, sent)
        job.ready_ns = self._medium.now_ns()
        self.jobs.append(job)
        self._medium.submitted(self, job)

    def reset(self) -> None:
        """Power lost or machine restarted: what waits is dropped, and nothing asked for before is answered."""
        self._medium.changing()
        self.lives += 1
        self.jobs.clear()
        self.since_ns = self._medium.now_ns() + self._medium.joining_ns
        self.off = self.unheard = self.late = False
        self.sending_errors = self.receiving_errors = self.suspended_ns = 0
        self._medium.dropped(self)

    def may_send_ns(self, job: Job) -> int:
        """When `job` may send its next frame, if the bus is free."""
        return max(job.ready_ns, self.suspended_ns, self.since_ns)

    def offer(self, now_ns: int) -> Job | None:
        """What it would send now."""
        if self.off or self.suspended_ns > now_ns or self.since_ns > now_ns:
            return None
        best: Job | None = None
        for job in self.jobs:
            if job.ready_ns <= now_ns and (best is None or job.can_id < best.can_id):
                best = job  # of two with the same, the one that was asked for first
        return best

    # ------------------------------------------------------------------------------- what the bus tells its nodes

    def hears(self, start_ns: int) -> bool:
        """Whether it receives a frame begun then."""
        return self.present and self.since_ns <= start_ns

    def took_part(self, start_ns: int, until_ns: int) -> bool:
        """Whether it received from `start_ns` to `until_ns`, both past."""
        return self.since_ns <= start_ns and (self.present or self.until_ns >= until_ns) and not self._deaf

    @property
    def counts(self) -> bool:
        """Whether it has errors to forget."""
        return bool(self.sending_errors or self.receiving_errors)

    def heard_good(self, frames: int) -> None:
        """It received so many frames without an error."""
        if self.receiving_errors > PASSIVE_ABOVE:
            self.receiving_errors = PASSIVE_RECOVERS_TO
            frames -= 1
        self.receiving_errors = max(0, self.receiving_errors - frames)

    def sent_good(self, frames: int) -> None:
        """It sent so many frames without an error."""
        self.sending_errors = max(0, self.sending_errors - frames)
        self.unheard = False

    def sees_error(self, *, first: bool) -> None:
        """In a frame of another; `first`: its error flag ended before those of others did."""
        more = RECEIVING_ERROR + (FLAGGING_ERROR if first else 0)
        self.receiving_errors = min(RECEIVING_MAX, self.receiving_errors + more)

    def fails_to_send(self) -> bool:
        """In a frame of its own; True when it must leave the bus."""
        self.sending_errors += SENDING_ERROR
        return self.sending_errors > OFF_ABOVE

    def is_late(self, since_ns: int) -> None:
        """It takes part again from then on, unless another frame begins before."""
        self.late = True
        self.since_ns = since_ns

    def leaves(self, now_ns: int) -> None:
        """It is bus-off."""
        self.off = True
        self.until_ns = now_ns

    def returns(self, now_ns: int) -> None:
        """It has recovered, and begins anew."""
        self.off = self.late = False
        self.since_ns = now_ns
        self.sending_errors = self.receiving_errors = self.suspended_ns = 0
