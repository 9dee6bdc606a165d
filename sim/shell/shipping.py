"""The simulation of the shipping cores, as the commands use it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sim.asked import STANDARD, Asked
from sim.trace import Trace

if TYPE_CHECKING:
    from sim import attempt
    from sim.firmware_node import Maker
    from sim.plan import Plan

LIBRARY: Final = Path(__file__).resolve().parents[2] / "build" / "firmware" / "host" / "libmarque_firmware.so"
"""The C core of this checkout, as `make firmware` builds it."""


BOOTLOADERS: Final = {"bootloader": STANDARD, "bootloader-cuts": "cuts"}
"""Manners in which a bootloader keeps the slots of every Primary, by the manner in which all else is drawn."""

FALLS_BACK: Final = 0.3
"""How often such a bootloader does not boot software that nobody has called good."""


class Shipping:
    """See the module. Loads the cores when they are first needed: help comes at once."""

    manners: Sequence[str] = (
        *(STANDARD, "cuts", "storm"),
        *("firmware", "firmware-cuts", "firmware-storm"),
        *BOOTLOADERS,
    )

    def __init__(self, library: Path = LIBRARY) -> None:
        self._library = library

    def plan(self, seed: int, manner: str) -> Plan:
        """What `seed` means."""
        from sim.plan import MANNERS, draw  # noqa: PLC0415  (see the class)

        return draw(seed, MANNERS[BOOTLOADERS.get(manner, manner)])

    def run(self, asked: Asked, *, until: int | None, trace: Trace) -> attempt.Outcome:
        """Run it.

        Raises:
            BadInput: it takes the C core, and that is not built.
        """
        from sim.run import run  # noqa: PLC0415  (see the class)

        plan = self.plan(asked.seed, asked.manner)
        return run(
            plan,
            without=frozenset(asked.without),
            until=until,
            trace=trace,
            maker=self._maker(plan),
            falls_back=FALLS_BACK if asked.manner in BOOTLOADERS else None,
        )

    def _maker(self, plan: Plan) -> Maker | None:
        if not any(ecu.firmware for vehicle in plan.vehicles for ecu in vehicle.secondaries):
            return None
        from sim.shell.firmware import maker_of  # noqa: PLC0415  (see the class)

        return maker_of(self._library)
