"""Records of a chip that rot: bits of the newest copy turn over, or of every copy.

Where copies lie is the C core's business: whichever hit changes what a boot finds, hit the newest one.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

from sim.firmware_chip import Area, Chip
from sim.firmware_flash import Durable
from sim.firmware_records import NAMES, SLOT_0

COPIES_MAX: Final = 64  # a log of 16 KiB has no more of one record that differ


def rot_newest(durable: Durable, chip: Chip, dice: Random) -> str | None:
    """Break the newest copy of some record that has an older one; its name, None if there is no such record."""
    for number in _in_any_order(durable, chip, dice):
        undo = _hit(durable, chip, number, 1 << dice.randrange(8))
        if undo is not None and number in _found(durable, chip):
            return NAMES[number]
        if undo is not None:
            durable.damage(Area.STATE, *undo)
    return None


def rot_all(durable: Durable, chip: Chip, dice: Random, spared: frozenset[str]) -> str | None:
    """Break every copy of some record that is not spared; its name, None if there is no such record."""
    for number in _in_any_order(durable, chip, dice):
        if NAMES[number] in spared:
            continue
        for _ in range(COPIES_MAX):
            if _hit(durable, chip, number, 1 << dice.randrange(8)) is None:
                break
        if number not in _found(durable, chip):
            return NAMES[number]
    return None


def _hit(durable: Durable, chip: Chip, number: int, mask: int) -> tuple[int, int] | None:
    """Break the copy of a record that a boot finds now, and no other record; how to undo it, None if there is none.

    Its octets may stand elsewhere, too: a counter has four.
    """
    before = _found(durable, chip)
    for place in _places(durable, before.get(number, b"")):
        durable.damage(Area.STATE, place, mask)
        after = _found(durable, chip)
        others = all(after.get(other) == octets for other, octets in before.items() if other != number)
        if others and after.get(number) != before[number]:
            return place, mask
        durable.damage(Area.STATE, place, mask)
    return None


def _found(durable: Durable, chip: Chip) -> dict[int, bytes]:
    durable.give(chip)
    return chip.records()


def _in_any_order(durable: Durable, chip: Chip, dice: Random) -> list[int]:
    numbers = [number for number in _found(durable, chip) if number < SLOT_0]
    dice.shuffle(numbers)
    return numbers


def _places(durable: Durable, octets: bytes) -> Iterator[int]:
    """Where the octets of a record lie."""
    state = durable.read(Area.STATE, 0, durable.size(Area.STATE))
    place = state.find(octets) if octets else -1
    while place >= 0:
        yield place
        place = state.find(octets, place + 1)
