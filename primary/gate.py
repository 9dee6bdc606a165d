"""Whether the vehicle may be changed now: parked, enough energy to finish or to go back, and somebody agreed to it.

Pure. The vehicle's state comes from outside (`LookAtVehicle`); that the metadata still hold under the newest Root and
time is refresh.py's to say, right before the gate is asked.
"""

from __future__ import annotations

from typing import Final

from primary.needs import VehicleState
from uptane.model.ids import Bundle

ACTIVATION_S: Final = 30  # restart, self-test and report of one ECU: the slowest we have seen took 12
TRANSFER_RATE_MIN: Final = 5_000  # octets a second into a one-slot ECU: a sixth of what a classic bus carries
RECOVERY: Final = 2  # going back takes as long as going on


def predicted_s(ecus: int, one_slot_octets: int) -> int:
    """Seconds from the first restart to the last confirmation, and back again if it fails.

    `one_slot_octets` is the length of all images for one-slot ECUs, which are written while the vehicle waits.
    """
    return RECOVERY * (ecus * ACTIVATION_S + -(-one_slot_octets // TRANSFER_RATE_MIN))


def shut_because(state: VehicleState, bundle: Bundle, needed_s: int) -> tuple[str, ...]:
    """What keeps the gate shut, for people; nothing when it is open."""
    reasons: list[str] = []
    if not state.parked:
        reasons.append("the vehicle is not parked")
    if state.energy_s is not None and state.energy_s < needed_s:
        reasons.append(f"energy for {state.energy_s} s, and {needed_s} s may be needed")
    if state.consent is not None and bundle not in state.consent:
        reasons.append(f"nobody has agreed to bundle {bundle.hex()[:16]}")
    return tuple(reasons)
