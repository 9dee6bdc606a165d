"""When one node may start a frame on a shared bus: never before the frames it knows of have ended.

Frames between processes take no time by themselves, so every sender asks this model, and what is seen is what a bus
would do. Before a real controller it keeps the send queue short. Times are monotonic nanoseconds; nothing is read.
"""

from __future__ import annotations

# How far in the past a frame may start. A controller sends what is queued while its processor is busy elsewhere, so a
# late process loses no bus time; longer than this no controller's memory lasts (18 classic frames at 500 kbit/s).
CATCH_UP_NS = 5_000_000

BUDGET_PERCENT_MIN = 1
BUDGET_PERCENT_MAX = 100


class BusModel:
    """The bus as one node knows it. `budget_percent` (1 to 100) is the share of its time that this node may take."""

    def __init__(self, budget_percent: int = BUDGET_PERCENT_MAX) -> None:
        self._free_ns = 0  # when the last frame known ends
        self._budget_ns = 0  # when the budget allows the next frame of ours
        self.budget_percent = budget_percent

    @property
    def budget_percent(self) -> int:
        """The share of the bus that our frames may take; may be set at any time (all of it when parked)."""
        return self._budget_percent

    @budget_percent.setter
    def budget_percent(self, percent: int) -> None:
        if not BUDGET_PERCENT_MIN <= percent <= BUDGET_PERCENT_MAX:
            raise ValueError(f"bus budget {percent}: {BUDGET_PERCENT_MIN} to {BUDGET_PERCENT_MAX} percent")
        self._budget_percent = percent
        self._budget_ns = 0

    @property
    def budget_ns(self) -> int:
        """When the budget allows the next frame of ours; 0 as long as it is all of the bus."""
        return self._budget_ns

    def heard(self, start_ns: int, duration_ns: int) -> None:
        """Another node's frame, begun at `start_ns` (or when the bus was free: two cannot overlap)."""
        self._free_ns = max(self._free_ns, start_ns) + duration_ns

    def start_of(self, ready_ns: int, now_ns: int) -> int:
        """When a frame of ours may start that has been waiting since `ready_ns`: in the future, now, or just missed."""
        return max(ready_ns, self._free_ns, self._budget_ns, now_ns - CATCH_UP_NS)

    def sent(self, start_ns: int, duration_ns: int) -> None:
        """A frame of ours was started."""
        self._free_ns = max(self._free_ns, start_ns + duration_ns)
        if self._budget_percent < BUDGET_PERCENT_MAX:
            self._budget_ns = start_ns + duration_ns * BUDGET_PERCENT_MAX // self._budget_percent
