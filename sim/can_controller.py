"""The CAN controller of one node: what waits to be sent, and who is to hear what comes.

Several sends wait side by side as in the ports of the shipping shells: of those that may start, the frame with the
lowest identifier goes first, then the one asked for first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from uptane.errors import LinkFailure
from uptane.link.can_frame import CanFrame

JOBS_MAX: Final = 1_024  # as uptane/shell/can_port.py: each of 256 peers has one, and a flow control or two

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

    __slots__ = ("at", "can_id", "frames", "lasts_ns", "place", "ready_ns", "sent", "separation_ns")

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
        self.place = 0  # counts the sends of a controller


class Medium(Protocol):
    """What a controller is attached to."""

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


class Controller:
    """One node on one bus."""

    def __init__(self, node: str, medium: Medium, accepts: Accepts, hear: Hear) -> None:
        self.node = node
        self.accepts = accepts
        self.hear = hear
        self.traffic = Traffic()
        self.jobs: list[Job] = []
        self.lives = 0
        """How often it was reset: what was asked for before concerns nobody."""
        self.since_ns = 0
        """Since when it has been listening: of a frame begun before, it makes nothing."""
        self._medium = medium
        self._listening = True
        self._places = 0

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
        self.since_ns = self._medium.now_ns()

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
        job.place = self._places
        self._places += 1
        self.jobs.append(job)
        self._medium.submitted(self, job)

    def reset(self) -> None:
        """Power lost or machine restarted: what waits is dropped, and nothing asked for before is answered."""
        self._medium.changing()
        self.lives += 1
        self.jobs.clear()

    def offer(self, now_ns: int) -> Job | None:
        """What it would send now."""
        best: Job | None = None
        for job in self.jobs:
            if job.ready_ns <= now_ns and (best is None or job.can_id < best.can_id):
                best = job  # the list is in the order of places
        return best
