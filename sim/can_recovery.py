"""How a node that is bus-off comes back: after 128 times 11 recessive bits in a row (ISO 11898-1:2015, 12.1.4.2).

The end of each frame, of error frames too, has such 11 bits; a bus without frames has them all the time.
"""

from __future__ import annotations

from typing import Final

from sim.can_bits import QUIET_BITS, Durations
from sim.can_controller import Controller

SEQUENCES: Final = 128


class Recovery:
    """The way back of one controller, which begins at `from_ns`."""

    def __init__(self, controller: Controller, from_ns: int, durations: Durations) -> None:
        self.controller = controller
        self.life = controller.lives
        self._sequence_ns = durations.bits(QUIET_BITS)
        self._left = SEQUENCES
        self._from_ns = from_ns  # since when the wire has been recessive, as far as it counts

    def passed(self, start_ns: int, end_ns: int) -> None:
        """A frame was on the wire from `start_ns` to `end_ns`, and the bus was quiet before."""
        if end_ns < self._from_ns:
            return
        self._left -= max(0, start_ns - self._from_ns) // self._sequence_ns + 1
        self._from_ns = end_ns

    @property
    def done_ns(self) -> int:
        """When it is over if the bus stays quiet."""
        return self._from_ns + max(0, self._left) * self._sequence_ns
