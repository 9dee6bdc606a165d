"""Normal fixed addressing: what is ours at any priority, and what is not."""

import pytest

from uptane.link.can_frame import DATA_LENGTHS, Address, address_of, can_id_of, data_length_at_least


def test_identifiers_are_those_of_the_standard_at_the_lowest_priority() -> None:
    assert can_id_of(Address(target=0x12, source=0xF0)) == 0x1CDA12F0
    assert can_id_of(Address(target=0x33, source=0xF0, functional=True)) == 0x1CDB33F0


@pytest.mark.parametrize("priority", range(8))
@pytest.mark.parametrize("functional", [False, True])
def test_every_priority_is_understood(priority: int, functional: bool) -> None:
    address = Address(0x01, 0xFE, functional)
    assert address_of(can_id_of(address) & 0x03FF_FFFF | priority << 26) == address


@pytest.mark.parametrize(
    "can_id",
    [0x1CD912F0, 0x1CDC12F0, 0x1DDA12F0, 0x1EDA12F0, 0, 0x7E0],
    ids=["format below", "format above", "data page", "extended data page", "zero", "11 bits"],
)
def test_other_identifiers_are_nobodys(can_id: int) -> None:
    assert address_of(can_id) is None


def test_lengths_grow_to_the_next_one_a_frame_can_have() -> None:
    assert {data_length_at_least(needed) for needed in range(65)} == set(DATA_LENGTHS)
    assert all(data_length_at_least(needed) >= needed for needed in range(65))
    assert data_length_at_least(9) == 12
    assert data_length_at_least(48) == 48
    assert data_length_at_least(49) == 64
