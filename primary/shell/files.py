"""Images as files: the cache by hash, and this ECU's own two slots. They are whole once their hash says so."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from primary.needs import Blob, Place
from uptane.errors import StorageFailure
from uptane.shell.files import sync

SLOT_FILES: Final = {Place.SLOT_0: "slot0.bin", Place.SLOT_1: "slot1.bin"}
SYNC_OCTETS: Final = 4 * 1024 * 1024  # written before a file is synced: what a power cut costs, at most


class Blobs:
    """Files below two directories, which are made if need be. All methods raise StorageFailure when the disk fails."""

    def __init__(self, cache: Path, slots: Path) -> None:
        self._cache, self._slots = cache, slots
        self._unsynced: dict[Blob, int] = {}
        with _storage(cache):
            cache.mkdir(parents=True, exist_ok=True)
            slots.mkdir(parents=True, exist_ok=True)

    def path(self, blob: Blob) -> Path:
        """The file of a blob."""
        if blob.place is Place.CACHE:
            assert blob.name.isalnum(), "a hash in hex"
            return self._cache / blob.name
        return self._slots / SLOT_FILES[blob.place]

    def measure(self, blob: Blob) -> int:
        """Octets that are there; 0 when there is no file."""
        path = self.path(blob)
        with _storage(path):
            try:
                return path.stat().st_size
            except FileNotFoundError:
                return 0

    def read(self, blob: Blob, offset: int, length: int) -> bytes:
        """Octets from `offset` on, fewer at the end."""
        path = self.path(blob)
        with _storage(path):
            try:
                with path.open("rb", buffering=0) as file:
                    file.seek(offset)
                    return file.read(length) or b""
            except FileNotFoundError:
                return b""

    def write(self, blob: Blob, offset: int, octets: bytes, *, last: bool) -> None:
        """Append at `offset`; with `last` all of it is on the disk when this returns."""
        path = self.path(blob)
        with _storage(path), path.open("r+b" if path.exists() else "x+b") as file:
            file.truncate(offset)
            file.seek(offset)
            file.write(octets)
            file.flush()
            unsynced = self._unsynced.get(blob, 0) + len(octets)
            if last or unsynced >= SYNC_OCTETS:
                os.fsync(file.fileno())
                unsynced = 0
            self._unsynced[blob] = unsynced
        if last:
            with _storage(path):
                sync(path.parent)

    def erase(self, blob: Blob) -> None:
        """Delete the file, if it is there."""
        path = self.path(blob)
        with _storage(path):
            path.unlink(missing_ok=True)
            sync(path.parent)
        self._unsynced.pop(blob, None)

    def cached(self) -> tuple[str, ...]:
        """The names of what is in the cache; a file that nobody here has put there is left alone."""
        with _storage(self._cache):
            names = (path.name for path in self._cache.iterdir() if path.is_file())
            return tuple(sorted(name for name in names if name.isalnum()))

    def free(self) -> int:
        """Octets that can be written to where the cache and the slots are, whichever has less."""
        with _storage(self._cache):
            found = [os.statvfs(each) for each in (self._cache, self._slots)]
        return min(each.f_bavail * each.f_frsize for each in found)

    def install(self, blob: Blob, octets: bytes) -> None:
        """Put a whole image in place, as a factory does."""
        self.erase(blob)
        self.write(blob, 0, octets, last=True)


@contextlib.contextmanager
def _storage(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailure(f"{path}: {error.strerror or error}") from error
