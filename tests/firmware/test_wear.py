"""What nobody without keys may do to the flash of the C core: wear it out, however long he tries."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.firmware_chip import Area, Chip, Geometry, Kind, Library
from tests.builders import BRAKE, Pair
from tests.firmware.metadata_pair import facts_octets
from tests.firmware.verify_pair import OWN
from tests.unit.secondary.board import ADDRESS
from uptane.link.can_frame import Address, CanFrame, can_id_of
from uptane.link.uds_objects import Object
from uptane.link.uds_tasks import Interlock
from uptane.moments import Instant

GEOMETRY = Geometry(page=1_024, unit=4, slot_size=48 * 1_024, state_size=32 * 1_024)
RESUMES_MAX = 64
PAD = b"\xaa"


class Workshop:
    """A tester that restarts an ECU whenever it likes, in the middle of a download."""

    def __init__(self, library: Path) -> None:
        self.pair = Pair()
        self.chip = Chip(Library(str(library)), facts_octets(self.pair, OWN), GEOMETRY)
        self.chip.set_interlock(Interlock.SAFE)
        self.now = Instant(0)
        self.erased: Counter[tuple[Area, int]] = Counter()
        self.refused = 0
        self.chip.power_up(self.now)
        self.pair.update()
        director = self.pair.director
        self.chip.take(Object.DIRECTOR_TARGETS, director.offered[f"{director.versions['targets']}.targets"])
        self.size = director.entries[BRAKE].image.length

    def ask(self, octets: bytes) -> None:
        for data in self._frames(octets):
            self.now = Instant(self.now + 5)
            self.chip.heard(CanFrame(can_id_of(Address(ADDRESS, 0xF5)), data.ljust(8, PAD)), self.now)

    @staticmethod
    def _frames(octets: bytes) -> Iterator[bytes]:
        if len(octets) < 8:
            yield bytes([len(octets)]) + octets
            return
        yield bytes([0x10 | len(octets) >> 8, len(octets) & 0xFF]) + octets[:6]
        for number, at in enumerate(range(6, len(octets), 7), 1):
            yield bytes([0x20 | number & 15]) + octets[at : at + 7]

    def one_octet_and_a_restart(self) -> None:
        self.ask(bytes.fromhex("1002"))
        self.ask(bytes.fromhex("34004400000000") + self.size.to_bytes(4))
        self.ask(bytes.fromhex("3601ee"))
        self.ask(bytes.fromhex("1101"))
        self.look()
        self.now = Instant(self.now + 500)
        self.chip.power_up(self.now)

    def look(self) -> None:
        for entry in self.chip.take_log():
            if entry.kind is Kind.ERASE:
                self.erased[Area(entry.a), entry.b] += 1
            self.refused += entry.kind is Kind.DONE and entry.a != 0


@pytest.fixture
def workshop(host_library: Path) -> Workshop:
    return Workshop(host_library)


def test_restarts_in_a_download_erase_a_page_so_often_and_no_oftener(workshop: Workshop) -> None:
    """A page that a power cut has left behind is erased before it is written: somebody could live on that."""
    workshop.ask(bytes.fromhex("1002"))
    workshop.ask(bytes.fromhex("3101ff00"))
    workshop.look()
    workshop.erased.clear()
    for _ in range(RESUMES_MAX):
        workshop.one_octet_and_a_restart()
    assert workshop.refused == 0
    before = workshop.erased[Area.SLOT_1, 0]
    assert RESUMES_MAX - 2 <= before <= RESUMES_MAX
    for _ in range(10):
        workshop.one_octet_and_a_restart()
    assert workshop.refused > 0
    assert workshop.erased[Area.SLOT_1, 0] <= before + 1


def test_after_that_the_slot_is_erased_anew_and_takes_the_image(workshop: Workshop) -> None:
    workshop.ask(bytes.fromhex("1002"))
    workshop.ask(bytes.fromhex("3101ff00"))
    for _ in range(RESUMES_MAX + 3):
        workshop.one_octet_and_a_restart()
    workshop.ask(bytes.fromhex("1002"))
    workshop.look()
    workshop.erased.clear()
    workshop.refused = 0
    workshop.ask(bytes.fromhex("3101ff00"))
    workshop.look()
    assert workshop.erased[Area.SLOT_1, 0] == 1
    workshop.one_octet_and_a_restart()
    assert workshop.refused == 0
