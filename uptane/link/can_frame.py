"""CAN data frames, and the normal fixed addressing of ISO 15765-2:2016 (Table 12, N_TAtype 5 and 6).

An update's frames are 0x1CDA<target><source> (physical) and 0x1CDB<target><source> (functional): priority 7, the
lowest, so that every other frame of the vehicle goes first. On receipt the priority is masked away, so that a
tester with another one (0x18DA.... is common) is understood.
"""

from __future__ import annotations

from typing import NamedTuple

CAN_ID_MAX = 0x1FFF_FFFF  # 29 bits; frames with 11-bit identifiers carry no normal fixed addressing and are not ours

PHYSICAL_ID = 0x1CDA_0000
FUNCTIONAL_ID = 0x1CDB_0000
KIND_MASK = 0x03FF_0000  # all but the priority (three bits) and the two addresses

FUNCTIONAL_TARGET = 0x33  # "all ECUs", as in ISO 15765-4

# The lengths a frame can have on the wire: 0 to 8 for both kinds, the others for CAN FD only.
DATA_LENGTHS = (*range(9), 12, 16, 20, 24, 32, 48, 64)
_LENGTH_AT_LEAST: tuple[int, ...] = tuple(
    min(length for length in DATA_LENGTHS if length >= needed) for needed in range(65)
)


class CanFrame(NamedTuple):
    """One data frame with a 29-bit identifier. A tuple, since a transfer makes tens of thousands of them a second.

    `data` has 0 to 8 octets, or one of DATA_LENGTHS when `fd`; `brs` (FD only) sends the data at the higher rate.
    """

    can_id: int
    data: bytes
    fd: bool = False
    brs: bool = False


class Address(NamedTuple):
    """Who speaks to whom; both 0 to 255. With `functional`, `target` names a group."""

    target: int
    source: int
    functional: bool = False


def can_id_of(address: Address) -> int:
    """The identifier of our frames for `address`."""
    assert 0 <= address.target <= 0xFF
    assert 0 <= address.source <= 0xFF
    return (FUNCTIONAL_ID if address.functional else PHYSICAL_ID) | address.target << 8 | address.source


def address_of(can_id: int) -> Address | None:
    """Read a 29-bit identifier of any priority; None when it is not normal fixed addressing."""
    kind = can_id & KIND_MASK
    if kind == PHYSICAL_ID & KIND_MASK:
        return Address(can_id >> 8 & 0xFF, can_id & 0xFF, functional=False)
    if kind == FUNCTIONAL_ID & KIND_MASK:
        return Address(can_id >> 8 & 0xFF, can_id & 0xFF, functional=True)
    return None


def data_length_at_least(needed: int) -> int:
    """The shortest length a frame can have to hold `needed` octets (0 to 64)."""
    return _LENGTH_AT_LEAST[needed]
