"""Slots as files: erased, written, hashed; the mark never says more than the disk holds."""

import errno
import os
from hashlib import sha256, sha512
from pathlib import Path

import pytest

from secondary.needs import Progress
from secondary.shell.slots import CHUNK_OCTETS, Slots
from uptane.errors import StorageFailure
from uptane.verify.image import Content

TAG = bytes(range(32))
SIZE = CHUNK_OCTETS + 1_000


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    return Slots(tmp_path / "slots", SIZE)


def again(slots: Slots) -> Slots:
    """The same files after a restart."""
    slots.close()
    return Slots(slots.path(0).parent, SIZE)


def test_a_slot_is_emptied_with_its_place_kept_and_marked_for_its_entry(slots: Slots) -> None:
    assert slots.progress(1) is None
    slots.install(1, b"old image")
    slots.erase(1, TAG)
    assert slots.path(1).read_bytes() == bytes(SIZE)
    assert slots.path(1).stat().st_blocks * 512 >= SIZE, "a disk that is too small says so now"
    assert slots.progress(1) == Progress(TAG, 0)
    assert slots.progress(0) is None


def test_erasing_writes_nothing_into_a_slot(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flash lasts for so many writes: an image costs its own length, not that of the slot besides."""
    written: list[bytes] = []
    monkeypatch.setattr(os, "pwrite", lambda _descriptor, octets, _offset: written.append(bytes(octets)))
    slots.erase(1, TAG)
    assert written == []


def test_a_disk_with_too_little_room_refuses_to_erase_and_the_slot_has_to_be_erased_again(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.erase(1, TAG)

    def full(_descriptor: int, _offset: int, _length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StorageFailure, match="erasing slot 1"):
        slots.erase(1, TAG)
    assert slots.progress(1) is None


def test_what_was_synced_is_known_after_a_restart_and_what_was_not_is_not(slots: Slots) -> None:
    slots.erase(1, TAG)
    slots.write(1, 0, b"a" * 700)
    assert slots.progress(1) == Progress(TAG, 0)
    slots.sync(1)
    slots.write(1, 700, b"b" * 100)
    slots = again(slots)
    assert slots.progress(1) == Progress(TAG, 700)
    slots.write(1, 700, b"c" * 300)
    slots.sync(1)
    assert slots.progress(1) == Progress(TAG, 1_000)
    octets = b"a" * 700 + b"c" * 300
    assert slots.content(1, 1_000) == Content(1_000, sha256(octets).digest(), sha512(octets).digest())


def test_syncing_before_anything_is_written_leaves_the_mark_where_it_is(slots: Slots) -> None:
    """The first thing after a restart may be the check of a download that was complete before it."""
    slots.erase(1, TAG)
    slots.write(1, 0, b"a" * 700)
    slots.sync(1)
    slots = again(slots)
    slots.sync(1)
    assert slots.progress(1) == Progress(TAG, 700)


def test_content_of_a_slot_that_is_shorter_says_so(slots: Slots) -> None:
    assert slots.content(0, 10).length == 0
    slots.erase(0, TAG)
    assert slots.content(0, SIZE + 10).length == SIZE


def test_a_factory_image_is_installed_without_a_mark(slots: Slots) -> None:
    slots.install(0, b"factory" * 10)
    assert slots.progress(0) is None
    assert slots.content(0, 70).sha256 == sha256(b"factory" * 10).digest()


def test_a_power_cut_while_erasing_leaves_a_slot_that_has_to_be_erased(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots.erase(1, TAG)
    slots.write(1, 0, b"a" * 100)
    slots.sync(1)

    def cut(_descriptor: int, _offset: int, _length: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "posix_fallocate", cut)
    with pytest.raises(KeyboardInterrupt):
        slots.erase(1, TAG)
    monkeypatch.undo()
    assert again(slots).progress(1) is None


@pytest.mark.parametrize("damage", ["short", "bit", "long", "empty", "magic"])
def test_a_damaged_mark_says_nothing(slots: Slots, damage: str) -> None:
    slots.erase(1, TAG)
    mark = slots.path(1).with_suffix(".mark")
    octets = mark.read_bytes()
    damaged = {
        "short": octets[:-1],
        "bit": octets[:20] + bytes([octets[20] ^ 1]) + octets[21:],
        "long": octets + b"x",
        "empty": b"",
        "magic": b"x" + octets[1:],
    }
    mark.write_bytes(damaged[damage])
    assert slots.progress(1) is None


def test_a_mark_beyond_a_slot_that_was_made_smaller_says_nothing(slots: Slots) -> None:
    slots.erase(1, TAG)
    slots.write(1, 0, b"a" * 2_000)
    slots.sync(1)
    assert Slots(slots.path(1).parent, 1_999).progress(1) is None


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_full_disk_is_a_storage_failure_and_the_mark_stands(
    slots: Slots, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    slots.erase(1, TAG)
    slots.write(1, 0, b"a" * 100)
    slots.sync(1)

    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)

    def go_on() -> None:
        slots.write(1, 100, b"b" * 100)
        slots.sync(1)

    with pytest.raises(StorageFailure, match="No space left"):
        go_on()
    monkeypatch.undo()
    assert again(slots).progress(1) == Progress(TAG, 100)


def test_a_directory_that_cannot_be_made_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailure):
        Slots(tmp_path / "file" / "slots", SIZE)
