"""A Primary's cache and two slots as files (primary/shell/files.py): whole up to where they were synced, then anything.

Whole is what its hash says is whole; a name in the cache and a length promise nothing.
"""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256
from random import Random
from typing import Any, Final, TypeAlias

from primary.needs import Blob, EraseBlob, FreeSpace, ListCache, Measure, Place, ReadBlob, WriteBlob
from sim.disk import Disk
from uptane.errors import StorageFailure

SYNC_OCTETS: Final = 4 * 1024 * 1024  # written to a blob before it is synced: as primary/shell/files.py

BlobNeed: TypeAlias = Measure | ReadBlob | WriteBlob | EraseBlob | ListCache | FreeSpace


class _File:
    """A blob: its octets, how many of them are synced, and whether its directory is."""

    __slots__ = ("entered", "octets", "synced", "unsynced")

    def __init__(self) -> None:
        self.octets = bytearray()
        self.synced = 0
        self.unsynced = 0
        self.entered = False


class Blobs:
    """A Primary's cache and its two slots."""

    def __init__(self, dice: Random, *, disk: Disk | None = None) -> None:
        self.disk = disk or Disk()
        self.writes = self.octets_written = self.erases = 0
        self._dice = dice
        self._files: dict[Blob, _File] = {}

    def meet(self, need: BlobNeed) -> Any:  # noqa: ANN401  (each need documents its answer)
        """Carry out a need; its answer. Raises StorageFailure."""
        match need:
            case Measure(blob=blob):
                return self.measure(blob)
            case ReadBlob(blob=blob, offset=offset, length=length):
                return self.read(blob, offset, length)
            case WriteBlob(blob=blob, offset=offset, octets=octets, last=last):
                return self.write(blob, offset, octets, last=last)
            case EraseBlob(blob=blob):
                return self.erase(blob)
            case ListCache():
                return self.cached()
            case FreeSpace():
                return self.free()

    def measure(self, blob: Blob) -> int:
        """Octets that are there; 0 when there is no file."""
        self.disk.touch()
        file = self._files.get(blob)
        return 0 if file is None else len(file.octets)

    def read(self, blob: Blob, offset: int, length: int) -> bytes:
        """Octets from `offset` on, fewer at the end."""
        self.disk.touch()
        file = self._files.get(blob)
        return b"" if file is None else bytes(memoryview(file.octets)[offset : offset + length])

    def write(self, blob: Blob, offset: int, octets: bytes, *, last: bool) -> None:
        """Append at `offset`; with `last` all of it is on the disk when this returns.

        Raises:
            StorageFailure: the disk is full; as many of the octets as it took are there.
        """
        self.disk.touch()
        file = self._files.setdefault(blob, _File())
        self._cut_off(file, offset)
        wanted = bytes(offset - len(file.octets)) + octets  # a gap, which no core leaves, is filled with zeros
        room = wanted[: self.disk.free]
        file.octets += room
        self.disk.used += len(room)
        self.writes += 1
        self.octets_written += len(room)
        if len(room) < len(wanted):
            raise StorageFailure("no space left on device")
        file.unsynced += len(octets)
        if last or file.unsynced >= SYNC_OCTETS:
            file.synced, file.unsynced = len(file.octets), 0
            file.entered = file.entered or last

    def erase(self, blob: Blob) -> None:
        """Delete the file, if it is there."""
        self.disk.touch()
        self._drop(blob)
        self.erases += 1

    def cached(self) -> tuple[str, ...]:
        """The names of what is in the cache."""
        self.disk.touch()
        return tuple(sorted(blob.name for blob in self._files if blob.place is Place.CACHE))

    def free(self) -> int:
        """Octets that can still be written."""
        self.disk.touch()
        return self.disk.free

    def install(self, blob: Blob, octets: bytes) -> None:
        """Put a whole image in place, as a factory does."""
        self.erase(blob)
        self.write(blob, 0, octets, last=True)

    def cut(self, during: WriteBlob | EraseBlob | None = None) -> None:
        """The power fails: what was not synced is there in part, or is anything."""
        match during:
            case WriteBlob(blob=blob, offset=offset, octets=octets):
                some = octets[: self._dice.randint(0, len(octets))]
                with suppress(StorageFailure):
                    self.write(blob, offset, some, last=False)
            case EraseBlob(blob=blob) if self._dice.random() < 0.5 and not self.disk.failing:
                self._drop(blob)
            case _:
                pass
        for blob, file in list(self._files.items()):
            if file.synced < len(file.octets) or not file.entered:
                self._lose(blob, file)

    def digest(self) -> str:
        """A name for all that is durable here, in hex."""
        digest = sha256()
        for blob in sorted(self._files, key=lambda blob: (blob.place.value, blob.name)):
            octets = self._files[blob].octets
            digest.update(f"{blob.place.value} {blob.name} {len(octets)} ".encode() + octets)
        return digest.hexdigest()

    def _cut_off(self, file: _File, length: int) -> None:
        if length < len(file.octets):
            self.disk.used -= len(file.octets) - length
            del file.octets[length:]
            file.synced = min(file.synced, length)

    def _drop(self, blob: Blob) -> None:
        file = self._files.pop(blob, None)
        if file is not None:
            self.disk.used -= len(file.octets)

    def _lose(self, blob: Blob, file: _File) -> None:
        """The tail is shorter, or as long with other octets; a file that its directory does not list may be gone."""
        if not file.entered and self._dice.random() < 0.5:
            self._drop(blob)
            return
        kept = self._dice.randint(file.synced, len(file.octets))
        whole = kept if self._dice.random() < 0.5 else self._dice.randint(file.synced, kept)
        self._cut_off(file, kept)
        file.octets[whole:] = self._dice.randbytes(kept - whole)
        file.synced, file.unsynced, file.entered = kept, 0, True
