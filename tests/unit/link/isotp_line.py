"""Two ISO-TP machines on a line without time of its own: what one sends the other hears, unless the line loses it."""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import assert_never

from uptane.link.can_frame import CanFrame
from uptane.link.isotp import IsoTp
from uptane.link.isotp_values import (
    Effect,
    Fault,
    FramesHeard,
    FramesSent,
    LinkError,
    MessageReceived,
    MessageSent,
    Send,
    SendFrames,
    Tick,
)
from uptane.moments import Instant, earliest

STEPS_MAX = 100_000  # a transfer that does not end is a failure, not a hang

Passes = Callable[[int, CanFrame], int]
"""How often the line delivers the frame with this number (0: lost)."""


class End:
    """One end of the line and what it has seen."""

    def __init__(self, machine: IsoTp) -> None:
        self.machine = machine
        self.received: list[bytes] = []
        self.faults: list[Fault] = []
        self.sent = 0


class Line:
    """`chunks` says how many frames are handed over at a time, over and over; `passes` is the line's fault."""

    def __init__(
        self,
        one: IsoTp,
        other: IsoTp,
        *,
        passes: Passes = lambda _number, _frame: 1,
        chunks: Iterator[int] | None = None,
    ) -> None:
        self.one, self.other = End(one), End(other)
        self.now = Instant(0)
        self.frames: list[CanFrame] = []
        self._passes = passes
        self._chunks = repeat(64) if chunks is None else chunks
        self._queue: deque[tuple[End, FramesHeard | FramesSent]] = deque()

    def send(self, end: End, peer: int, octets: bytes) -> None:
        self._carry_out(end, list(end.machine.handle(Send(peer, octets), self.now)))

    def run(self) -> None:
        """Until nothing more can happen: time passes only when both ends wait for it."""
        for _ in range(STEPS_MAX):
            if self._queue:
                end, event = self._queue.popleft()
                self._carry_out(end, list(end.machine.handle(event, self.now)))
                continue
            deadline = earliest(self.one.machine.deadline(), self.other.machine.deadline())
            if deadline is None:
                return
            self.now = Instant(max(self.now, deadline))
            for end in (self.one, self.other):
                self._carry_out(end, list(end.machine.handle(Tick(), self.now)))
        raise AssertionError("the line never becomes quiet")

    def _carry_out(self, end: End, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendFrames(frames=frames, ticket=ticket):
                    self._deliver(self.other if end is self.one else self.one, list(frames))
                    if ticket:
                        self._queue.append((end, FramesSent(ticket)))
                case MessageReceived(octets=octets):
                    end.received.append(octets)
                case MessageSent():
                    end.sent += 1
                case LinkError(fault=fault):
                    end.faults.append(fault)
                case _:
                    assert_never(effect)

    def _deliver(self, end: End, frames: list[CanFrame]) -> None:
        arriving: list[CanFrame] = []
        for frame in frames:
            arriving += [frame] * self._passes(len(self.frames), frame)
            self.frames.append(frame)
        while arriving:
            count = next(self._chunks)
            self._queue.append((end, FramesHeard(arriving[:count])))
            del arriving[:count]
