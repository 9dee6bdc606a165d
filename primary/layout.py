"""What the Primary knows of its vehicle before it speaks to anyone: itself, its Secondaries, who is on which bus."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from uptane.model.ids import EcuId, HardwareId, VehicleId
from uptane.model.signed import PublicKey


class Verification(Enum):
    """How an ECU verifies: all roles of both repositories, or the Director's Targets alone."""

    FULL = "full"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Secondary:
    """One Secondary; `address` is 1 to 239 on `bus`, `key` is what its reports are signed with.

    With one slot it is updated last, since it cannot go back.
    """

    ecu: EcuId
    hardware: HardwareId
    verification: Verification
    bus: str
    address: int
    key: PublicKey
    slots: int = 2


@dataclass(frozen=True, slots=True)
class Layout:
    """The vehicle as its Primary sees it. `secondaries` stand in the order in which they are activated."""

    vehicle: VehicleId
    ecu: EcuId
    hardware: HardwareId
    filename: str
    slot_size: int
    secondaries: tuple[Secondary, ...]

    def secondary(self, ecu: EcuId) -> Secondary | None:
        """The Secondary with this id; None for the Primary itself and for strangers."""
        return next((each for each in self.secondaries if each.ecu == ecu), None)

    def inventory(self) -> dict[EcuId, HardwareId]:
        """Hardware of every ECU, the Primary's own included."""
        return {self.ecu: self.hardware} | {each.ecu: each.hardware for each in self.secondaries}

    def buses(self) -> tuple[tuple[Secondary, ...], ...]:
        """The Secondaries bus by bus, each in its order: what can be reached at the same time."""
        names = dict.fromkeys(each.bus for each in self.secondaries)
        return tuple(tuple(each for each in self.secondaries if each.bus == name) for name in names)

    def activation_order(self, ecus: frozenset[EcuId]) -> tuple[EcuId, ...]:
        """Those of `ecus` that this vehicle has, as they are to be activated: one-slot ECUs late, the Primary last."""
        two = [each.ecu for each in self.secondaries if each.slots > 1]
        one = [each.ecu for each in self.secondaries if each.slots == 1]
        return tuple(ecu for ecu in (*two, *one, self.ecu) if ecu in ecus)
