"""What is durable of a chip of the C core: its flash, moved on by what the core's log says was done to it.

The core runs an event to its end; in the simulator its effects are carried out one by one, and the power may fail
before each, or in its middle. So the flash that counts is this one: it takes the operations of an effect when that is
carried out, and after a cut the chip is given what is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from sim.firmware_chip import Area, Chip, Entry, Kind

OPERATIONS: Final = frozenset({Kind.ERASE, Kind.WRITE})
_BLANK: Final = 0xFF


class Durable:
    """See the module: the octets of every area of a chip."""

    def __init__(self, chip: Chip) -> None:
        self._geometry = chip.geometry
        self._octets = {area: bytearray(chip.read(area)) for area in Area}

    def give(self, chip: Chip) -> None:
        """Have a chip without power hold what is here."""
        for area in Area:
            chip.load(area, bytes(self._octets[area]))

    def install(self, area: Area, octets: bytes) -> None:
        """Put octets there, as a factory does."""
        self._octets[area][: len(octets)] = octets

    def read(self, area: Area, offset: int, length: int) -> bytes:
        """What is there; fewer octets at the end."""
        return bytes(memoryview(self._octets[area])[offset : offset + length])

    def size(self, area: Area) -> int:
        """How many octets an area has."""
        return len(self._octets[area])

    def damage(self, area: Area, offset: int, mask: int) -> None:
        """Turn bits of an octet over."""
        self._octets[area][offset] ^= mask

    def apply(self, entries: Sequence[Entry]) -> None:
        """What was done to the flash is done."""
        page = self._geometry.page
        for entry in entries:
            if entry.kind is Kind.WRITE:
                self._octets[Area(entry.a)][entry.b : entry.b + len(entry.octets)] = entry.octets
            elif entry.kind is Kind.ERASE:
                self._octets[Area(entry.a)][entry.b : entry.b + page] = bytes((_BLANK,)) * page

    def tear(self, entries: Sequence[Entry], dice: Random) -> None:
        """The power fails somewhere in the middle: some operations are done, and one in part."""
        operations = [entry for entry in entries if entry.kind in OPERATIONS]
        if not operations:
            return
        place = dice.randrange(len(operations))
        self.apply(operations[:place])
        torn = operations[place]
        octets = self._octets[Area(torn.a)]
        if torn.kind is Kind.ERASE:
            page = self._geometry.page
            octets[torn.b : torn.b + page] = _blurred(octets[torn.b : torn.b + page], dice)
        else:
            unit = self._geometry.unit
            whole = dice.randrange(len(torn.octets) // unit) * unit
            octets[torn.b : torn.b + whole] = torn.octets[:whole]
            octets[torn.b + whole : torn.b + whole + unit] = _blurred(torn.octets[whole : whole + unit], dice)


def _blurred(octets: bytes | bytearray, dice: Random) -> bytes:
    """Cells half way between erased and programmed: some of the bits that should be 0 are 1."""
    return bytes(each | other for each, other in zip(octets, dice.randbytes(len(octets)), strict=True))
