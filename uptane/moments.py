"""Two kinds of time, two types; neither can read a clock."""

from __future__ import annotations

from typing import NewType

Instant = NewType("Instant", int)
"""Monotonic milliseconds since an arbitrary start; only differences mean anything."""

UtcTime = NewType("UtcTime", int)
"""Seconds since 1970-01-01T00:00:00Z, as attested; only for expiry and for reports. 0 to 2**64 - 1."""

SECOND_MS = 1_000


def after(start: Instant, duration_ms: int) -> Instant:
    """The instant `duration_ms` milliseconds (0 or more) after `start`."""
    assert duration_ms >= 0
    return Instant(start + duration_ms)


def earliest(*deadlines: Instant | None) -> Instant | None:
    """The first of the deadlines that is set; None when none is."""
    return min((deadline for deadline in deadlines if deadline is not None), default=None)
