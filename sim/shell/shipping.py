"""The simulation of the shipping cores, as the commands use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sim.asked import STANDARD, Asked
from sim.trace import Trace

if TYPE_CHECKING:
    from sim import attempt
    from sim.plan import Plan


class Shipping:
    """See the module. Loads the cores when they are first needed: help comes at once."""

    manners: Sequence[str] = (STANDARD, "cuts", "storm")

    def plan(self, seed: int, manner: str) -> Plan:
        """What `seed` means."""
        from sim.plan import MANNERS, draw  # noqa: PLC0415  (see the class)

        return draw(seed, MANNERS[manner])

    def run(self, asked: Asked, *, until: int | None, trace: Trace) -> attempt.Outcome:
        """Run it."""
        from sim.run import run  # noqa: PLC0415  (see the class)

        return run(self.plan(asked.seed, asked.manner), without=frozenset(asked.without), until=until, trace=trace)
