"""The Director's two clocks: the one place of its shell that asks what time it is."""

from __future__ import annotations

import time

from uptane.moments import Instant, UtcTime


def utc_now() -> UtcTime:
    """UTC seconds, by the system clock."""
    return UtcTime(max(0, int(time.time())))


def instant_now() -> Instant:
    """Monotonic milliseconds."""
    return Instant(time.monotonic_ns() // 1_000_000)
