"""Flash of the simulator against the slots of the shell: the same operations, the same marks, the same content.

What lies behind the octets that were written, nobody asks: flash reads as ones there, files as zeros.

Then what flash adds to files: it has to be erased, it wears, and what a power cut leaves behind the mark is anything.
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secondary.needs import EraseSlot, HashSlot, Progress, SyncSlot, WriteSlot
from secondary.shell import board as real_board
from secondary.shell.slots import Slots
from sim import flash as sim_flash
from sim.disk import Disk
from sim.flash import Flash, FlashFaults
from uptane.errors import StorageFailure

SIZE, PAGE = 1_000, 64
TAGS = (bytes(32), b"t" * 32)
CUTS = 400


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here is about the disk below the files: do not wait for it."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    monkeypatch.setattr(os, "fdatasync", lambda _descriptor: None)


def outcome(act: Callable[..., Any], *arguments: Any) -> Any:
    """What an operation answers, or that storage refused."""
    try:
        return act(*arguments)
    except StorageFailure:
        return StorageFailure


# --------------------------------------------------------------------------------------- the model against the shell

WEIGHTS = {
    "erase": 3,
    "write": 12,
    "back to the mark": 2,
    "sync": 6,
    "content": 4,
    "install": 1,
    "cut": 3,
    "full": 1,
}
STEPS = 60


def drawn(dice: Random) -> list[tuple[Any, ...]]:
    """Operations of a machine and of its world; those that are not possible at the moment are passed over."""
    arguments: dict[str, Callable[[], Any]] = {
        "erase": lambda: dice.choice(TAGS),
        "write": lambda: dice.randbytes(dice.randint(0, 60)),
        "content": lambda: dice.randint(0, SIZE + 5),
        "install": lambda: dice.randbytes(dice.randint(0, 80)),
        "full": lambda: dice.random() < 0.4,
    }
    words = dice.choices(list(WEIGHTS), list(WEIGHTS.values()), k=STEPS)
    return [(word, arguments[word]()) if word in arguments else (word,) for word in words]


class Both:
    """One slot of the shell and one of the simulator; every operation is done to both."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self.directory, self.patch = directory, patch
        self.real = Slots(directory, SIZE)
        self.model = Flash(Random(1), SIZE, page=PAGE)
        self.at = 0  # where the machine goes on
        self.rewound = False  # it went back and has not written yet: no machine syncs then

    def full(self, is_full: bool) -> None:
        """No new file can be written; what is there can be written over."""
        self.model.disk.full = is_full
        self.patch.undo()
        if is_full:
            self.patch.setattr(Slots, "_write_mark", self._refuse)

    @staticmethod
    def _refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def cut(self) -> None:
        self.real.close()
        self.real = Slots(self.directory, SIZE)
        self.model.cut()
        self.go_back()

    def go_back(self) -> None:
        """As a machine that starts again: it believes the mark, and nothing behind it."""
        if (mark := self.model.progress()) is not None:
            self.at = mark.next_offset

    def do(self, what: tuple[Any, ...]) -> None:
        match what:
            case "erase", tag:
                assert outcome(self.real.erase, 1, tag) == outcome(self.model.erase, tag)
                self.at, self.rewound = 0, False
            case "write", octets if self.model.progress() is not None and self.at + len(octets) <= SIZE:
                self.real.write(1, self.at, octets)
                self.model.write(self.at, octets)
                self.at += len(octets)
                self.rewound = False
            case ("back to the mark",):
                self.go_back()
                self.rewound = True
            case ("sync",) if not self.rewound:
                assert outcome(self.real.sync, 1) == outcome(self.model.sync)
            case "content", length:
                some = min(length, self.at)
                assert self.real.content(1, some) == self.model.content(some)
            case "install", octets if not self.model.disk.full:
                self.real.install(1, octets)
                self.model.install(octets)
                self.at = len(octets)
            case ("cut",):
                self.cut()
                self.rewound = False
            case "full", is_full:
                self.full(is_full)
            case _:
                pass
        assert self.real.progress(1) == self.model.progress(), what


@pytest.mark.parametrize("seed", range(100))
@pytest.mark.usefixtures("no_waiting")
def test_flash_answers_as_the_slots_do(seed: int, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        both = Both(tmp_path, patch)
        for what in drawn(Random(seed)):
            both.do(what)
        both.real.close()


def test_both_sync_at_the_same_length() -> None:
    assert sim_flash.SYNC_OCTETS == real_board.SYNC_OCTETS


# ------------------------------------------------------------------------------------------------------- NOR rules


def flash(seed: int = 1, **settings: Any) -> Flash:
    """A slot that holds a factory image."""
    made = Flash(Random(seed), SIZE, page=PAGE, **settings)
    made.install(b"factory" * 50)
    return made


def erased(seed: int = 1, **settings: Any) -> Flash:
    made = flash(seed, **settings)
    made.erase(TAGS[1])
    return made


def test_only_what_was_erased_is_written() -> None:
    with pytest.raises(AssertionError, match="without being erased"):
        flash().write(0, b"new")


@pytest.mark.parametrize("offset", [0, 9, 11])
def test_octets_are_written_in_order(offset: int) -> None:
    slot = erased()
    slot.write(0, b"0123456789")
    slot.sync()
    with pytest.raises(AssertionError, match="out of order"):
        slot.write(offset, b"new")
    slot.write(10, b"new")
    with pytest.raises(AssertionError, match="beyond"):
        slot.write(13, bytes(SIZE))


def test_what_is_behind_the_mark_is_erased_before_it_is_written_again() -> None:
    slot = erased()
    slot.write(0, b"0123456789")
    slot.sync()
    slot.write(10, b"lost" * 20)
    slot.cut()
    assert slot.progress() == Progress(TAGS[1], 10)
    slot.write(10, b"again")
    assert slot.read(0, 20) == b"0123456789again" + b"\xff" * 5


def test_an_image_is_hashed_as_it_is() -> None:
    slot = erased()
    slot.write(0, b"0123456789")
    assert slot.content(10).sha256 == sha256(b"0123456789").digest()
    slot.flip(3, 0x01)
    assert slot.content(10).sha256 == sha256(b"0122456789").digest()
    slot.flip(12, 0x80)
    assert slot.read(10, 4) == b"\xff\xff\x7f\xff"
    assert slot.content(2 * SIZE).length == SIZE


def test_nothing_is_there_before_the_first_erase() -> None:
    slot = Flash(Random(1), SIZE)
    assert (slot.progress(), slot.read(0, SIZE), slot.content(10).length) == (None, b"", 0)


def test_needs_are_met_as_the_methods_do() -> None:
    slot = flash()
    for need in (EraseSlot(1, TAGS[1]), WriteSlot(1, 0, b"01"), SyncSlot(1)):
        assert slot.meet(need) is None
    content = slot.meet(HashSlot(1, 2))
    assert content is not None
    assert content.sha256 == sha256(b"01").digest()
    assert slot.progress() == Progress(TAGS[1], 2)


# ------------------------------------------------------------------------------------------------------ power cuts


class PowerLost(BaseException):
    """Nothing after this happens, not even cleaning up."""


def left_by_the_shell(directory: Path) -> set[Any]:
    """What is left when the power fails before or after every system call of an erase, as far as anybody is told."""
    left = set()
    for number in range(1, 2 * 12):
        slots = Slots(directory / str(number), SIZE)
        slots.erase(1, TAGS[0])
        slots.write(1, 0, b"o" * SIZE)
        slots.sync(1)
        strokes = (number + 1) // 2

        def fused(call: Callable[..., Any], *, after: bool = number % 2 == 0) -> Callable[..., Any]:
            def one(*arguments: Any, **options: Any) -> Any:
                nonlocal strokes
                strokes -= 1
                if strokes == 0 and not after:
                    raise PowerLost
                result = call(*arguments, **options)
                if strokes == 0:
                    raise PowerLost
                return result

            return one

        with pytest.MonkeyPatch.context() as patch:
            for call in ("fsync", "ftruncate", "posix_fallocate"):
                patch.setattr(os, call, fused(getattr(os, call)))
            for call in ("unlink", "replace"):
                patch.setattr(Path, call, fused(getattr(Path, call)))
            with suppress(PowerLost):
                slots.erase(1, TAGS[1])
        slots.close()
        again = Slots(directory / str(number), SIZE)
        left.add((again.progress(1), kind_of(again.path(1).read_bytes(), blank=b"\0")))
        again.close()
    return left


def kind_of(octets: bytes, *, blank: bytes) -> str:
    if octets == b"o" * SIZE:
        return "old"
    return "erased" if octets == blank * SIZE else "half erased"


@pytest.mark.usefixtures("no_waiting")
def test_a_cut_while_erasing_leaves_what_it_leaves_of_files(tmp_path: Path) -> None:
    """No more and no less; and what is not wholly erased has no mark."""
    found = set()
    for seed in range(CUTS):
        slot = Flash(Random(seed), SIZE, page=PAGE)
        slot.erase(TAGS[0])
        slot.write(0, b"o" * SIZE)
        slot.sync()
        slot.cut(EraseSlot(1, TAGS[1]))
        found.add((slot.progress(), kind_of(slot.read(0, SIZE), blank=b"\xff")))
    assert found == left_by_the_shell(tmp_path)


def test_what_was_not_synced_is_there_in_part_after_a_cut() -> None:
    octets = b"\x00" * 200
    ends = set()
    for seed in range(CUTS):
        slot = erased(seed)
        slot.write(0, octets)
        slot.cut()
        found = slot.read(0, 200)
        assert found.count(0) + found[found.rfind(0) + 1 :].count(0xFF) >= len(found) - sim_flash.UNIT
        ends.add(len(found.rstrip(b"\xff")) // 20)
    assert ends == set(range(11))


def test_half_erased_is_pages_erased_one_in_part_and_the_rest_as_it_was() -> None:
    parts = set()
    for seed in range(CUTS):
        slot = flash(seed)
        before = slot.read(0, 350)
        slot.cut(EraseSlot(1, TAGS[1]))
        after = slot.read(0, 350)
        assert all(new & old == old for new, old in zip(after, before, strict=True)), "erasing only sets bits"
        same = next((at for at in range(0, 350, PAGE) if after[at:] == before[at:]), 350)
        torn = max(same - PAGE, 0)
        assert after[:torn] == b"\xff" * torn
        parts.add(torn)
        slot.erase(TAGS[1])
        assert slot.read(0, SIZE) == b"\xff" * SIZE
    assert parts == {*range(0, 320, PAGE), 350 - PAGE}, "any page, or all of them"


def test_a_torn_write_is_a_prefix_and_one_garbled_unit() -> None:
    octets = bytes(range(200))
    lengths = set()
    for seed in range(CUTS):
        slot = erased(seed)
        slot.write(0, b"synced")
        slot.sync()
        slot.cut(WriteSlot(1, 6, octets))
        assert slot.progress() == Progress(TAGS[1], 6)
        found = slot.read(0, SIZE)
        assert found[:6] == b"synced"
        whole = next((at for at in range(200) if found[6 + at] != octets[at]), 200)
        torn = found[6 + whole :]
        blank = torn.rstrip(b"\xff")
        assert len(blank) <= 2 * sim_flash.UNIT, "what comes behind is still erased"
        lengths.add(whole // 50)
        slot.write(6, octets)
        slot.sync()
        assert slot.content(206).sha256 == sha256(b"synced" + octets).digest()
    assert lengths >= {0, 1, 2, 3}


def test_a_cut_while_syncing_leaves_the_mark_before_or_after_and_never_beyond_what_is_there() -> None:
    marks = set()
    for seed in range(50):
        slot = erased(seed)
        slot.write(0, b"x" * 100)
        slot.cut(SyncSlot(1))
        mark = slot.progress()
        assert mark is not None
        assert slot.read(0, mark.next_offset) == b"x" * mark.next_offset
        marks.add(mark.next_offset)
    assert marks == {0, 100}


def test_what_the_board_syncs_by_itself_may_be_known_after_a_cut_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim_flash, "SYNC_OCTETS", 50)
    marks: set[int] = set()
    later: set[int] = set()
    for seed in range(50):
        slot = erased(seed)
        for at in range(0, 120, 20):
            slot.write(at, b"x" * 20)
        assert slot.progress() == Progress(TAGS[1], 120)
        if seed % 2:
            slot.content(10)  # done in turn, after the sync
        slot.cut()
        mark = slot.progress()
        assert mark is not None
        assert slot.read(0, mark.next_offset) == b"x" * mark.next_offset
        (later if seed % 2 else marks).add(mark.next_offset)
    assert marks == {60, 120}
    assert later == {120}


def test_a_cut_between_two_effects_takes_nothing_that_was_synced() -> None:
    slot = erased()
    slot.write(0, b"x" * 100)
    slot.sync()
    before = slot.digest()
    slot.cut()
    assert slot.digest() == before
    factory = flash()
    before = factory.digest()
    factory.cut(HashSlot(1, 10))
    assert factory.digest() == before


# ------------------------------------------------------------------------------------------------------------ wear


def test_a_worn_page_is_not_erased_and_storage_says_so() -> None:
    slot = flash(faults=FlashFaults(endurance=3))
    for _ in range(3):
        slot.erase(TAGS[1])
        slot.write(0, bytes(SIZE))
    assert slot.erases == 3
    with pytest.raises(StorageFailure, match="worn"):
        slot.erase(TAGS[1])
    assert slot.progress() is None
    assert slot.read(0, SIZE) != b"\xff" * SIZE
    with pytest.raises(StorageFailure, match="worn"):
        slot.erase(TAGS[1])


def test_a_worn_page_that_says_nothing_is_found_by_hashing() -> None:
    image = b"\xff" * SIZE
    slot = flash(faults=FlashFaults(endurance=1, silent=True))
    for content_is_right in (True, False):
        slot.erase(TAGS[1])
        slot.write(0, image)
        slot.sync()
        assert (slot.content(SIZE).sha256 == sha256(image).digest()) is content_is_right


def test_pages_that_are_erased_again_after_cuts_wear_as_well() -> None:
    slot = erased(faults=FlashFaults(endurance=20))

    def wear() -> None:
        for _ in range(100):
            slot.write(0, b"x" * SIZE)
            slot.cut()

    with pytest.raises(StorageFailure, match="worn"):
        wear()
    with pytest.raises(StorageFailure, match="worn"):
        slot.erase(TAGS[1])


def test_so_many_erases_fail_as_asked() -> None:
    parts = set()
    for seed in range(40):
        slot = flash(seed)
        slot.bad_erases = 2
        assert [outcome(slot.erase, TAGS[1]) for _ in range(2)] == [StorageFailure] * 2
        assert slot.progress() is None
        octets = slot.read(0, 350)
        parts.add((350 - len(octets.lstrip(b"\xff"))) // PAGE)
        assert outcome(slot.erase, TAGS[1]) is None
        assert slot.progress() == Progress(TAGS[1], 0)
    assert parts == set(range(6)), "it comes as far as the page that is worn"


def test_a_full_disk_has_no_room_for_a_mark_and_a_failing_one_does_nothing() -> None:
    disk = Disk()
    slot = erased(disk=disk)
    slot.write(0, b"x" * 10)
    slot.sync()
    disk.full = True
    slot.sync()
    slot.write(10, b"x")
    assert outcome(slot.sync) is StorageFailure
    assert slot.progress() == Progress(TAGS[1], 10)
    assert outcome(slot.erase, TAGS[0]) is StorageFailure
    assert slot.progress() is None
    disk.failing = True
    before = slot.digest()
    for act in (slot.progress, slot.sync, lambda: slot.erase(TAGS[0]), lambda: slot.content(1)):
        assert outcome(act) is StorageFailure
    slot.cut(EraseSlot(1, TAGS[0]))
    slot.cut(WriteSlot(1, 0, b"x"))
    assert slot.digest() == before


@given(offset=st.integers(0, SIZE - 1), mask=st.integers(1, 255))
@settings(max_examples=50)
def test_the_digest_names_content_and_mark(offset: int, mask: int) -> None:
    slot = erased()
    digests = [slot.digest()]
    slot.write(0, b"x" * 100)
    digests.append(slot.digest())
    slot.sync()
    digests.append(slot.digest())
    slot.flip(offset, mask)
    digests.append(slot.digest())
    assert len(set(digests)) == 4
    slot.flip(offset, mask)
    assert slot.read(0, SIZE) == b"x" * 100 + b"\xff" * (SIZE - 100)
