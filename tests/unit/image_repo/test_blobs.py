"""Blobs: uploads in parts, resumed, put together only if the hash is right; ranges out."""

from collections.abc import Iterator
from hashlib import sha256, sha512
from pathlib import Path
from random import Random

import pytest

from image_repo.shell import blobs
from image_repo.shell.blobs import Blobs, Held, WrongOctets, WrongPlace
from uptane.errors import StorageFailure

PART = 1000  # octets: parts small enough that a few kilobytes have several


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "PART_LENGTH", PART)
    monkeypatch.setattr(blobs, "BLOCK_LENGTH", 256)


@pytest.fixture
def store(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def image(length: int = 3_500) -> tuple[bytes, bytes]:
    octets = Random(length).randbytes(length)
    return octets, sha256(octets).digest()


def pieces(octets: bytes, step: int = 300) -> Iterator[bytes]:
    for start in range(0, len(octets), step):
        yield octets[start : start + step]


@pytest.mark.parametrize("length", [0, 1, PART - 1, PART, PART + 1, 3_500])
def test_what_goes_in_comes_out(store: Blobs, length: int) -> None:
    octets, digest = image(length)
    assert store.upload(digest, length, 0, pieces(octets)) == Held(length, complete=True)
    assert b"".join(store.read(digest, 0)) == octets
    assert store.length(digest) == length
    assert list(store.unfinished()) == []
    assert list(store.whole()) == [(digest, length)]


@pytest.mark.parametrize("offset", [0, 1, 256, 3_499, 3_500])
def test_reading_begins_at_any_offset_and_comes_in_blocks(store: Blobs, offset: int) -> None:
    octets, digest = image()
    store.upload(digest, len(octets), 0, pieces(octets))
    blocks = list(store.read(digest, offset))
    assert b"".join(blocks) == octets[offset:]
    assert all(0 < len(block) <= 256 for block in blocks)


@pytest.mark.parametrize("end", [0, 1, 999, 1_000, 1_001, 3_499])
def test_a_broken_upload_resumes_where_it_ended(store: Blobs, end: int) -> None:
    octets, digest = image()
    assert store.upload(digest, len(octets), 0, pieces(octets[:end])) == Held(end, complete=False)
    assert store.held(digest) == Held(end, complete=False)
    assert list(store.whole()) == []
    assert store.upload(digest, len(octets), end, pieces(octets[end:])).complete
    assert b"".join(store.read(digest, 0)) == octets


def test_a_crash_keeps_whole_parts(store: Blobs, tmp_path: Path) -> None:
    octets, digest = image()

    def broken() -> Iterator[bytes]:
        yield from pieces(octets[:2_300])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.upload(digest, len(octets), 0, broken())
    again = Blobs(tmp_path / "blobs")
    assert again.held(digest) == Held(2_000, complete=False)
    assert list(again.unfinished()) == [(digest, 2_000)]
    assert again.upload(digest, len(octets), 2_000, pieces(octets[2_000:])).complete


def test_a_crash_while_putting_together_is_swept_up(store: Blobs, tmp_path: Path) -> None:
    staged = tmp_path / "blobs" / "staging"
    staged.mkdir()
    (staged / ("ab" * 32)).write_bytes(b"half")
    (staged / f"{'ab' * 32}#1").write_bytes(b"half")
    again = Blobs(tmp_path / "blobs")
    assert list(again.whole()) == []
    octets, digest = image()
    assert again.upload(digest, len(octets), 0, pieces(octets)).complete


def test_a_store_that_was_used_opens_again(store: Blobs, tmp_path: Path) -> None:
    octets, digest = image()
    store.upload(digest, len(octets), 0, pieces(octets))
    assert list(Blobs(tmp_path / "blobs").whole()) == [(digest, len(octets))]


def test_half_written_parts_are_not_parts(store: Blobs, tmp_path: Path) -> None:
    octets, digest = image()
    store.upload(digest, len(octets), 0, pieces(octets[:1_000]))
    folder = tmp_path / "blobs" / "uploads" / digest.hex()
    (folder / f"{1_000:016x}#1").write_bytes(b"half")
    assert store.held(digest) == Held(1_000, complete=False)
    assert store.upload(digest, len(octets), 1_000, pieces(octets[1_000:])).complete


def test_another_hash_keeps_nothing(store: Blobs) -> None:
    octets, digest = image()
    with pytest.raises(WrongOctets, match="have SHA-256"):
        store.upload(digest, len(octets), 0, pieces(octets[:-1] + b"\0"))
    assert store.held(digest) == Held(0, complete=False)
    assert list(store.whole()) == []
    assert store.upload(digest, len(octets), 0, pieces(octets)).complete


def test_more_than_announced_is_refused(store: Blobs) -> None:
    octets, digest = image()
    with pytest.raises(WrongOctets, match="more octets"):
        store.upload(digest, len(octets) - 1, 0, pieces(octets))
    assert list(store.whole()) == []


@pytest.mark.parametrize("offset", [0, 999, 1_001])
def test_another_offset_is_told_where_to_go(store: Blobs, offset: int) -> None:
    octets, digest = image()
    store.upload(digest, len(octets), 0, pieces(octets[:1_000]))
    with pytest.raises(WrongPlace, match="1000 octets are held"):
        store.upload(digest, len(octets), offset, pieces(octets[offset:]))


def test_two_at_once_on_one_blob(store: Blobs) -> None:
    octets, digest = image()

    def meanwhile() -> Iterator[bytes]:
        with pytest.raises(WrongPlace, match="another upload"):
            store.upload(digest, len(octets), 0, pieces(octets))
        yield octets

    assert store.upload(digest, len(octets), 0, meanwhile()).complete


def test_a_blob_that_is_there_is_not_sent_again(store: Blobs) -> None:
    octets, digest = image()
    store.upload(digest, len(octets), 0, pieces(octets))
    assert store.upload(digest, len(octets), 0, iter(())) == Held(len(octets), complete=True)


def test_unfinished_uploads_are_bounded(store: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "UNFINISHED_MAX", 2)
    for length in (3_000, 3_001):
        octets, digest = image(length)
        store.upload(digest, length, 0, pieces(octets[:1_000]))
    octets, digest = image(3_002)
    with pytest.raises(StorageFailure, match="unfinished uploads"):
        store.upload(digest, 3_002, 0, pieces(octets))


def test_sha512_is_over_the_blob(store: Blobs) -> None:
    octets, digest = image()
    store.upload(digest, len(octets), 0, pieces(octets))
    assert store.sha512(digest) == sha512(octets).digest()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFailure, match="file"):
        Blobs(tmp_path / "file")


def test_a_blob_that_vanished_is_a_storage_failure(store: Blobs) -> None:
    with pytest.raises(StorageFailure, match="not in the store"):
        list(store.read(bytes(32), 0))
