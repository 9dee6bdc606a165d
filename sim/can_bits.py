"""How long frames and pieces of them last on one bus; what uptane.link.bus_time computes, remembered."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

from uptane.link.bus_time import BusSpeed, frame_ns
from uptane.link.can_frame import CanFrame

NS_PER_S: Final = 1_000_000_000
REMEMBERED_MAX: Final = 50_000  # some 10 MB: a vehicle sends the same metadata and image again after each power cut

Duration = Callable[[CanFrame], int]


def durations(speed: BusSpeed, *, extended: bool = True) -> Duration:
    """What says how many nanoseconds a frame lasts at `speed`, the three bits before the next one included."""
    return lru_cache(maxsize=REMEMBERED_MAX)(partial(frame_ns, speed=speed, extended=extended))


def bits_ns(bits: int, speed: BusSpeed) -> int:
    """How long so many bits last at the nominal rate, which is the one of all that is not the data of a frame."""
    return bits * NS_PER_S // speed.nominal
