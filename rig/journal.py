"""What one case leaves behind: frames, octets moved, events, console text; in the order it happened, and bounded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from uptane.link.can_frame import CanFrame

FRAMES_MAX = 400_000  # one case; 100 s of a full classic bus, 60 MB of memory
EVENTS_MAX = 10_000


class Recorded(NamedTuple):
    """A frame on the bus: when (monotonic ns), whether we sent it, whether its identifier has 29 bits."""

    at_ns: int
    frame: CanFrame
    sent: bool
    extended: bool


class Moved(NamedTuple):
    """Octets of a transfer that the ECU acknowledged."""

    at_ns: int
    octets: int


class Happened(NamedTuple):
    """Something worth a mark in a picture and a line in a report."""

    at_ns: int
    kind: str
    text: str


@dataclass
class Journal:
    """One case's record. `dropped` counts frames lost on purpose, `unrecorded` those beyond FRAMES_MAX."""

    clock_ns: Callable[[], int] = time.monotonic_ns
    began_ns: int = 0
    frames: list[Recorded] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    events: list[Happened] = field(default_factory=list)
    dropped: int = 0
    unrecorded: int = 0

    def __post_init__(self) -> None:
        """Begin now."""
        self.began_ns = self.clock_ns()

    def frame(self, frame: CanFrame, *, sent: bool, extended: bool = True) -> None:
        """A frame passed."""
        if len(self.frames) < FRAMES_MAX:
            self.frames.append(Recorded(self.clock_ns(), frame, sent, extended))
        else:
            self.unrecorded += 1

    def octets(self, count: int) -> None:
        """The ECU acknowledged a block."""
        self.moved.append(Moved(self.clock_ns(), count))

    def note(self, kind: str, text: str) -> None:
        """Something happened: `stage`, `power`, `loss`, `channel`, `note`."""
        if len(self.events) < EVENTS_MAX:
            self.events.append(Happened(self.clock_ns(), kind, text))
