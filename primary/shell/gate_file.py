"""What the vehicle says of itself, in a text file that somebody who knows writes: one fact a line.

parked yes                 or no; no when the line is missing
minutes 45                 that the vehicle can work on what it has; or `energy_wh 30`; none: it need not care
consent any                or bundles in hex, one line each; none when no line says so
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from primary.needs import VehicleState
from uptane.model.ids import Bundle

FILE_LENGTH_MAX: Final = 16_384
CLOSED: Final = VehicleState(parked=False, energy_s=0, consent=frozenset())


def read_gate(file: Path | None, draw_w: int) -> VehicleState:
    """The vehicle's state; closed when nobody says it, or when it is said in a way that is not understood."""
    if file is None:
        return CLOSED
    try:
        with file.open("rb") as opened:
            text = opened.read(FILE_LENGTH_MAX).decode("ascii")
        return _state([line.split() for line in text.splitlines() if line.strip()], draw_w)
    except (OSError, ValueError, OverflowError):
        return CLOSED


def _state(lines: list[list[str]], draw_w: int) -> VehicleState:
    parked, energy_s = False, None
    consent: set[Bundle] = set()
    anything = False
    for name, value in lines:
        if name == "parked" and value in {"yes", "no"}:
            parked = value == "yes"
        elif name == "minutes":
            energy_s = int(float(value) * 60)
        elif name == "energy_wh":
            energy_s = int(float(value) * 3_600 / draw_w)
        elif name == "consent" and value == "any":
            anything = True
        elif name == "consent":
            consent.add(Bundle(bytes.fromhex(value)))
        else:
            raise ValueError(name)
    return VehicleState(parked, energy_s, None if anything else frozenset(consent))
