"""Images as files: appended, resumed, erased; failures of the disk in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from primary.needs import Blob, Place
from primary.shell.files import Blobs
from uptane.errors import StorageFailure

CACHED, SLOT = Blob(Place.CACHE, "ab" * 32), Blob(Place.SLOT_1)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "cache", tmp_path / "slots")


@pytest.mark.parametrize("blob", [CACHED, SLOT])
def test_what_is_written_is_read_and_measured(blobs: Blobs, blob: Blob) -> None:
    assert blobs.measure(blob) == 0
    assert blobs.read(blob, 0, 10) == b""
    blobs.write(blob, 0, b"abc", last=False)
    blobs.write(blob, 3, b"defg", last=True)
    assert blobs.measure(blob) == 7
    assert blobs.read(blob, 2, 3) == b"cde"
    assert blobs.read(blob, 5, 100) == b"fg"
    assert blobs.read(blob, 7, 1) == b""


def test_what_follows_the_offset_goes(blobs: Blobs) -> None:
    blobs.write(SLOT, 0, b"0123456789", last=True)
    blobs.write(SLOT, 4, b"x", last=True)
    assert blobs.read(SLOT, 0, 100) == b"0123x"


def test_erased_is_gone_and_may_be_erased_again(blobs: Blobs) -> None:
    blobs.write(CACHED, 0, b"abc", last=True)
    assert blobs.cached() == (CACHED.name,)
    blobs.erase(CACHED)
    blobs.erase(CACHED)
    assert blobs.cached() == ()
    assert blobs.measure(CACHED) == 0


def test_the_two_slots_are_apart(blobs: Blobs) -> None:
    blobs.install(Blob(Place.SLOT_0), b"old")
    blobs.write(SLOT, 0, b"new", last=True)
    assert blobs.read(Blob(Place.SLOT_0), 0, 10) == b"old"
    assert blobs.cached() == ()


def test_there_is_some_space(blobs: Blobs) -> None:
    assert blobs.free() > 0


def test_a_disk_that_fails_is_said_with_the_file(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "cache" / CACHED.name).mkdir()
    for act in (
        lambda: blobs.write(CACHED, 0, b"x", last=True),
        lambda: blobs.read(CACHED, 0, 1),
        lambda: blobs.erase(CACHED),
    ):
        with pytest.raises(StorageFailure, match=CACHED.name):
            act()


def test_a_name_is_a_hash_and_no_path(blobs: Blobs) -> None:
    with pytest.raises(AssertionError):
        blobs.path(Blob(Place.CACHE, "../x"))
