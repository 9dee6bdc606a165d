"""Virtual time: one queue of what is to happen, in the order of its time and then of its asking."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final, TypeAlias

from uptane.moments import Instant, UtcTime

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
EPOCH_UTC: Final = 1_800_000_000  # the UTC second at which every simulation begins: 2027-01-15

Act: TypeAlias = Callable[[], None]


class Clock:
    """Nanoseconds since the simulation began; moves only when there is nothing more to happen now."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._queue: list[tuple[int, int, Act]] = []
        self._asked = 0

    @property
    def instant(self) -> Instant:
        """Now, in the milliseconds of machines."""
        return Instant(self.now_ns // NS_PER_MS)

    @property
    def utc(self) -> UtcTime:
        """The true time of day, which nobody in the simulation can be sure of."""
        return UtcTime(EPOCH_UTC + self.now_ns // NS_PER_S)

    def at(self, when_ns: int, act: Act) -> None:
        """Have `act` happen at `when_ns`, not before now; of several at the same time, the one asked for first."""
        assert when_ns >= self.now_ns, "nothing happens in the past"
        self._asked += 1
        heappush(self._queue, (when_ns, self._asked, act))

    def after(self, delay_ns: int, act: Act) -> None:
        """Have `act` happen in `delay_ns`, 0 or more."""
        self.at(self.now_ns + delay_ns, act)

    def next_ns(self) -> int | None:
        """When the next thing happens; None when nothing ever will."""
        return self._queue[0][0] if self._queue else None

    def step(self) -> bool:
        """Let the next thing happen; False when there is none."""
        if not self._queue:
            return False
        self.now_ns, _, act = heappop(self._queue)
        act()
        return True
