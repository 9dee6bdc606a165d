"""The two slots as files: emptied, written at an offset, hashed; how far a download got survives power cuts.

Nothing is written to erase: the file system frees what the slot held and reserves its place anew, so that a disk that
is too small says so before the download, and the flash below is written once for an image.

Beside each slot lies a mark: for which entry (a tag of 32 octets) the slot was erased, and how many of its octets are
known to be on the disk. The mark is lowered before anything is erased and raised only after the octets were synced, so
it never says too much. What a slot holds is believed by nobody for its mark: it is hashed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from secondary.needs import TAG_LENGTH, Progress
from uptane.errors import StorageFailure
from uptane.verify.image import Content

CHUNK_OCTETS = 1 << 20  # hashed at one go

_MARK = struct.Struct(">8sB32sI")
_MAGIC = b"MARQUE-S"
_FORMAT = 1
_CHECKSUM_LENGTH = 4


class Slots:
    """Two files of `size` octets in `directory`, which is made if it is missing.

    `write` may be called while another thread syncs; everything else is one thread's at a time. All methods raise
    StorageFailure when the disk does not do as it is told.
    """

    def __init__(self, directory: Path, size: int) -> None:
        self._directory = directory
        self._size = size
        self._written: dict[int, int] = {}  # end of what was written since the slot was opened
        self._files: dict[int, int] = {}
        with _storage(f"slots in {directory}"):
            directory.mkdir(parents=True, exist_ok=True)

    def path(self, slot: int) -> Path:
        """The slot's file."""
        return self._directory / f"slot{slot}.bin"

    def progress(self, slot: int) -> Progress | None:
        """How far the latest download into the slot got; None when it has to be erased first."""
        try:
            octets = self._mark_path(slot).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageFailure(f"slot {slot}: {error}") from error
        return _read_mark(octets, self._size)

    def erase(self, slot: int, tag: bytes) -> None:
        """Empty the slot, for the entry `tag` (32 octets). A power cut here leaves it to be erased again."""
        assert len(tag) == TAG_LENGTH
        with _storage(f"erasing slot {slot}"):
            self._mark_path(slot).unlink(missing_ok=True)
            self._sync_directory()
            descriptor = self._open(slot)
            os.ftruncate(descriptor, 0)
            os.posix_fallocate(descriptor, 0, self._size)
            os.fsync(descriptor)
            self._written[slot] = 0
            self._write_mark(slot, Progress(tag, 0))

    def write(self, slot: int, offset: int, octets: bytes) -> None:
        """Write into an erased slot; on the disk only after `sync`."""
        assert 0 <= offset <= offset + len(octets) <= self._size
        with _storage(f"writing slot {slot} at {offset}"):
            _write_all(self._open(slot), octets, offset)
            self._written[slot] = offset + len(octets)

    def sync(self, slot: int) -> None:
        """Bring what was written to the disk, then raise the mark to it."""
        with _storage(f"syncing slot {slot}"):
            before = self.progress(slot)
            if before is None:
                return
            descriptor = self._open(slot)  # after a restart nothing is written yet, and the mark stands
            written = self._written[slot]
            if written != before.next_offset:
                os.fdatasync(descriptor)
                self._write_mark(slot, Progress(before.tag, written))

    def content(self, slot: int, length: int) -> Content:
        """Hash the first `length` octets of the slot as it is now; fewer when it is shorter."""
        sha256, sha512, left = hashlib.sha256(), hashlib.sha512(), length
        with _storage(f"reading slot {slot}"):
            descriptor = self._open(slot)
            while left:
                octets = os.pread(descriptor, min(CHUNK_OCTETS, left), length - left)
                if not octets:
                    break
                sha256.update(octets)
                sha512.update(octets)
                left -= len(octets)
        return Content(length - left, sha256.digest(), sha512.digest())

    def install(self, slot: int, image: bytes) -> None:
        """Put a whole image into a slot, as a factory does. After a power cut here it has to be done again."""
        assert len(image) <= self._size
        self.erase(slot, bytes(TAG_LENGTH))
        self.write(slot, 0, image)
        with _storage(f"installing into slot {slot}"):
            os.fsync(self._open(slot))
            self._mark_path(slot).unlink(missing_ok=True)
            self._sync_directory()

    def close(self) -> None:
        """Close the files."""
        while self._files:
            with contextlib.suppress(OSError):
                os.close(self._files.popitem()[1])

    def _open(self, slot: int) -> int:
        if slot not in self._files:
            self._files[slot] = os.open(self.path(slot), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            progress = self.progress(slot)
            self._written.setdefault(slot, 0 if progress is None else progress.next_offset)
        return self._files[slot]

    def _mark_path(self, slot: int) -> Path:
        return self._directory / f"slot{slot}.mark"

    def _write_mark(self, slot: int, progress: Progress) -> None:
        octets = _MARK.pack(_MAGIC, _FORMAT, progress.tag, progress.next_offset)
        new = self._mark_path(slot).with_suffix(".mark.new")
        with new.open("wb") as file:
            file.write(octets + zlib.crc32(octets).to_bytes(_CHECKSUM_LENGTH))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._mark_path(slot))
        self._sync_directory()

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read_mark(octets: bytes, size: int) -> Progress | None:
    """A mark that is not whole, of an unknown format or beyond the slot says nothing: the slot is erased again."""
    body, checksum = octets[: _MARK.size], octets[_MARK.size :]
    if len(octets) != _MARK.size + _CHECKSUM_LENGTH or zlib.crc32(body) != int.from_bytes(checksum):
        return None
    magic, version, tag, next_offset = _MARK.unpack(body)
    if magic != _MAGIC or version != _FORMAT or next_offset > size:
        return None
    return Progress(tag, next_offset)


def _write_all(descriptor: int, octets: bytes, offset: int) -> None:
    view = memoryview(octets)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


@contextlib.contextmanager
def _storage(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailure(f"{what}: {error}") from error
