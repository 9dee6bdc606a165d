"""The host port's flash: NOR's rules, tearing, wear. What passes on it has kept them; so it must not let pass."""

import ctypes
from collections.abc import Iterator
from typing import Any

import pytest

from firmware.tools import facts
from uptane.model.ids import Filename
from uptane.model.reports import InstalledImage

PAGE, UNIT, SLOT, STATE_SIZE = 256, 8, 2_048, 16_384
SLOT_0, SLOT_1, STATE = 0, 1, 2
SEEDS = range(40)  # tears of every kind are among them
CUT, REFUSED, DONE = -1, 0, 1

OCTETS = facts.encode(
    facts.BoardFacts(
        vehicle="v",
        ecu="e",
        hardware="h",
        accepts="*",
        address=1,
        fd=False,
        slow_floor=0,
        floor=0,
        secret=bytes(32),
        seed=bytes(32),
        factory=InstalledImage(Filename("f"), 1, bytes(32), 1),
        root=b"root",
    )
)


class Flash:
    """A board of which only the flash is used."""

    def __init__(self, core: ctypes.CDLL) -> None:
        self.core: Any = core
        core.fw_host_create.restype = ctypes.c_void_p
        core.fw_host_operations.restype = ctypes.c_uint64
        self.port = ctypes.c_void_p(core.fw_host_create(OCTETS, len(OCTETS), PAGE, UNIT, SLOT, STATE_SIZE))
        assert self.port.value

    def erase(self, area: int, offset: int) -> int:
        return int(self.core.fw_host_try_erase(self.port, area, offset))

    def write(self, area: int, offset: int, octets: bytes) -> int:
        return int(self.core.fw_host_try_write(self.port, area, offset, octets, len(octets)))

    def read(self, area: int, offset: int, length: int) -> bytes:
        octets = ctypes.create_string_buffer(length)
        self.core.fw_port_read(self.port, area, offset, octets, length)
        return octets.raw

    def cut(self, seed: int) -> None:
        """At the next operation."""
        self.core.fw_host_seed(self.port, ctypes.c_uint64(seed))
        self.core.fw_host_cut(self.port, ctypes.c_uint64(0))

    @property
    def abuses(self) -> int:
        return int(self.core.fw_host_abuses(self.port))


@pytest.fixture
def flash(core: ctypes.CDLL) -> Iterator[Flash]:
    made = Flash(core)
    yield made
    core.fw_host_destroy(made.port)


def test_blank_at_first_and_written_once(flash: Flash) -> None:
    assert flash.read(SLOT_0, 0, SLOT) == b"\xff" * SLOT
    assert flash.write(SLOT_0, 8, b"A" * 16) == DONE
    assert flash.read(SLOT_0, 0, 32) == b"\xff" * 8 + b"A" * 16 + b"\xff" * 8
    assert flash.abuses == 0
    assert flash.write(SLOT_0, 16, b"A" * 8) == REFUSED, "the very same octets, even"
    assert flash.abuses == 1
    assert flash.erase(SLOT_0, 0) == DONE
    assert flash.write(SLOT_0, 16, b"B" * 8) == DONE


def test_a_unit_of_ones_is_programmed_too(flash: Flash) -> None:
    """Many controllers keep a code beside each unit: FF can be programmed once, like anything else."""
    assert flash.write(SLOT_0, 0, b"\xff" * 8) == DONE
    assert flash.write(SLOT_0, 0, b"A" * 8) == REFUSED
    assert flash.abuses == 1


@pytest.mark.parametrize(("offset", "length"), [(4, 8), (0, 4), (0, 12), (SLOT - 8, 16), (SLOT, 8), (2**32 - 8, 8)])
def test_only_whole_units_within_the_area(flash: Flash, offset: int, length: int) -> None:
    assert flash.write(SLOT_1, offset, b"A" * length) == REFUSED
    assert flash.abuses == 1
    assert flash.read(SLOT_1, 0, SLOT) == b"\xff" * SLOT


@pytest.mark.parametrize("offset", [8, 255, SLOT, 2**32 - PAGE])
def test_only_whole_pages_within_the_area(flash: Flash, offset: int) -> None:
    assert flash.erase(SLOT_0, offset) == REFUSED
    assert flash.abuses == 1


def test_reading_outside_is_counted_as_well(flash: Flash) -> None:
    assert flash.read(STATE, STATE_SIZE - 4, 8) == bytes(8)
    assert flash.abuses == 1


def test_erasing_touches_its_page_alone(flash: Flash) -> None:
    assert flash.write(SLOT_0, 0, b"A" * 3 * PAGE) == DONE
    assert flash.erase(SLOT_0, PAGE) == DONE
    assert flash.read(SLOT_0, 0, 3 * PAGE) == b"A" * PAGE + b"\xff" * PAGE + b"A" * PAGE


def test_a_cut_write_tears(core: ctypes.CDLL) -> None:
    """Whole units up to some point, one with a part of its bits, then blank ones, which can still be written."""
    seen = set()
    for seed in SEEDS:
        flash = Flash(core)
        flash.cut(seed)
        assert flash.write(SLOT_0, 0, b"A" * 32) == CUT
        now = flash.read(SLOT_0, 0, 32)
        whole = next((i for i in range(4) if now[8 * i : 8 * i + 8] != b"A" * 8), 4)
        torn, rest = now[8 * whole : 8 * whole + 8], now[8 * whole + 8 :]
        assert all(octet & ord("A") == ord("A") for octet in torn), "programming only clears bits"
        assert rest == b"\xff" * len(rest)
        if torn not in {b"", b"\xff" * 8}:
            assert flash.write(SLOT_0, 8 * whole, b"A" * 8) == REFUSED
        if rest:
            assert flash.write(SLOT_0, 8 * whole + 8, b"B" * len(rest)) == DONE
        seen.add((whole, torn == b"\xff" * 8))
        core.fw_host_destroy(flash.port)
    assert {whole for whole, _untouched in seen} == {0, 1, 2, 3, 4}


def test_a_cut_erase_tears(core: ctypes.CDLL) -> None:
    """Nothing, all, or a mixture; but for nothing, the page must be erased again before it is written."""
    kinds = set()
    for seed in SEEDS:
        flash = Flash(core)
        assert flash.write(SLOT_0, 0, bytes(PAGE)) == DONE
        flash.cut(seed)
        assert flash.erase(SLOT_0, 0) == CUT
        now = flash.read(SLOT_0, 0, PAGE)
        kinds.add("old" if now == bytes(PAGE) else "blank" if now == b"\xff" * PAGE else "mixed")
        assert flash.write(SLOT_0, 0, b"A" * 8) == REFUSED, "even if it looks blank"
        assert flash.erase(SLOT_0, 0) == DONE
        assert flash.write(SLOT_0, 0, b"A" * 8) == DONE
        core.fw_host_destroy(flash.port)
    assert kinds == {"old", "blank", "mixed"}


def test_power_fails_once_and_where_it_was_told_to(flash: Flash) -> None:
    flash.core.fw_host_cut(flash.port, ctypes.c_uint64(2))
    assert [flash.erase(SLOT_0, 0) for _ in range(5)] == [DONE, DONE, CUT, DONE, DONE]
    assert flash.core.fw_host_operations(flash.port) == 5


def test_pages_wear_out(flash: Flash) -> None:
    flash.core.fw_host_endure(flash.port, 3)
    assert [flash.erase(STATE, 0) for _ in range(5)] == [DONE, DONE, DONE, REFUSED, REFUSED]
    assert flash.erase(STATE, PAGE) == DONE, "each for itself"
    assert flash.core.fw_host_erases(flash.port, STATE, 0) == 5
    assert flash.abuses == 0, "no fault of the core's"


def test_areas_fail_when_told_to(flash: Flash) -> None:
    flash.core.fw_host_fail(flash.port, SLOT_0, ctypes.c_bool(True), ctypes.c_bool(False))
    assert (flash.erase(SLOT_0, 0), flash.write(SLOT_0, 0, b"A" * 8)) == (REFUSED, DONE)
    flash.core.fw_host_fail(flash.port, SLOT_0, ctypes.c_bool(False), ctypes.c_bool(True))
    assert (flash.erase(SLOT_0, 0), flash.write(SLOT_0, 0, b"A" * 8)) == (DONE, REFUSED)
    assert flash.erase(SLOT_1, 0) == DONE


def test_a_snapshot_brings_back_what_may_be_written(flash: Flash) -> None:
    assert flash.write(SLOT_0, 0, b"A" * 8) == DONE
    kept = ctypes.create_string_buffer(flash.core.fw_host_size(flash.port))
    flash.core.fw_host_save(flash.port, kept)
    assert flash.erase(SLOT_0, 0) == DONE
    assert flash.write(SLOT_0, 8, b"B" * 8) == DONE
    flash.core.fw_host_restore(flash.port, kept)
    assert flash.read(SLOT_0, 0, 16) == b"A" * 8 + b"\xff" * 8
    assert (flash.write(SLOT_0, 0, b"C" * 8), flash.write(SLOT_0, 8, b"C" * 8)) == (REFUSED, DONE)


@pytest.mark.parametrize("at", range(0, len(OCTETS), 7))
def test_damaged_facts_are_none(core: ctypes.CDLL, at: int) -> None:
    core.fw_host_create.restype = ctypes.c_void_p
    damaged = OCTETS[:at] + bytes([OCTETS[at] ^ 1]) + OCTETS[at + 1 :]
    for octets in (damaged, OCTETS[:at]):
        assert core.fw_host_create(octets, len(octets), PAGE, UNIT, SLOT, STATE_SIZE) is None
