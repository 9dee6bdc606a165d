"""Images as blobs named by their SHA-256, in a local folder through obstore.

An upload arrives as parts, each written whole or not at all, so that it resumes where the last whole part ends. When
all of it is there the parts become one blob, if it has the hash it was announced under; otherwise nothing of it is
kept. A blob is not published by being here: only metadata publish (publish.py).

    uploads/<sha256>/<offset>     parts, hex offset of 16 digits
    staging/<sha256>              a blob being put together; emptied at start
    blobs/<ab>/<sha256>           whole blobs, never changed
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256 as sha_256
from hashlib import sha512 as sha_512
from pathlib import Path
from threading import Lock

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from uptane.errors import MarqueError, StorageFailure

PART_LENGTH = 4_194_304  # octets: what an upload that breaks off loses at most
BLOCK_LENGTH = 262_144  # octets: what one message of a download carries
UNFINISHED_MAX = 256  # uploads begun and not ended; each may hold a whole image's room


class WrongPlace(MarqueError):
    """An upload continues where the server is not, or another upload of the same blob is under way."""


class WrongOctets(MarqueError):
    """An upload has not the hash or the length it was announced under; nothing of it is kept."""


@dataclass(frozen=True, slots=True)
class Held:
    """What there is of a blob: octets from the start without a gap, and whether it is whole and of its hash."""

    octets: int
    complete: bool


class Blobs:
    """The folder of blobs. Safe for threads; one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._busy: set[bytes] = set()
        self._lock = Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store = LocalStore(prefix=folder)
            self._sweep("staging")
        except (BaseError, OSError) as error:
            raise StorageFailure(f"the image store {folder} cannot be used: {_said(error)}") from error

    # ------------------------------------------------------------------------------------------- uploads

    def held(self, sha256: bytes) -> Held:
        """What there is of the blob."""
        length = self.length(sha256)
        return Held(length, complete=True) if length is not None else Held(self._parts_length(sha256), complete=False)

    def upload(self, sha256: bytes, length: int, offset: int, pieces: Iterator[bytes]) -> Held:
        """Take the octets of a blob from `offset` on; parts are durable as they fill, the last when the end comes.

        Raises:
            WrongPlace: `offset` is not where the server is, or the blob is being uploaded by somebody else.
            WrongOctets: more than `length` octets, or not the hash.
            StorageFailure: no room; what was durable stays.
        """
        with self._lock:
            if sha256 in self._busy:
                raise WrongPlace("another upload of the same image is under way: try again when it has ended")
            self._busy.add(sha256)
        try:
            return self._upload(sha256, length, offset, pieces)
        except (BaseError, OSError) as error:
            raise StorageFailure(f"the image cannot be stored: {_said(error)}") from error
        finally:
            with self._lock:
                self._busy.discard(sha256)

    def _upload(self, sha256: bytes, length: int, offset: int, pieces: Iterator[bytes]) -> Held:
        held = self.held(sha256)
        if held.complete:
            return held
        if offset != held.octets:
            raise WrongPlace(f"{held.octets} octets are held: continue there, not at {offset}")
        if offset == 0 and sum(1 for _ in self.unfinished()) >= UNFINISHED_MAX:
            raise StorageFailure(f"{UNFINISHED_MAX} unfinished uploads: finish or remove some (marque-repo status)")
        for part in _parts(pieces, length - offset):
            self._write_part(sha256, offset, part)
            offset += len(part)
        if offset == length:
            self._finish(sha256)
            return Held(length, complete=True)
        return Held(offset, complete=False)

    def _write_part(self, sha256: bytes, offset: int, part: bytes) -> None:
        path = f"uploads/{sha256.hex()}/{offset:016x}"
        obstore.put(self._store, path, part, use_multipart=False)
        self._sync(path)

    def _finish(self, sha256: bytes) -> None:
        """Make one blob of the parts, if they are what was announced."""
        name = sha256.hex()
        staged = f"staging/{name}"
        running = sha_256()
        # Not put() with an iterator: obstore panics when the iterator reads from the store itself.
        with obstore.open_writer(self._store, staged) as writer:
            for path, _length in self._parts(sha256):
                part = obstore.get(self._store, path).bytes().to_bytes()
                running.update(part)
                writer.write(part)
        if running.digest() != sha256:
            obstore.delete(self._store, staged)
            self.forget(sha256)
            raise WrongOctets(f"the octets received have SHA-256 {running.hexdigest()}, announced was {name}")
        self._sync(staged)
        obstore.rename(self._store, staged, _blob_path(sha256))
        self._sync(_blob_path(sha256))
        self.forget(sha256)

    def forget(self, sha256: bytes) -> None:
        """Remove what there is of an unfinished upload."""
        self._sweep(f"uploads/{sha256.hex()}")

    # ----------------------------------------------------------------------------------------- whole blobs

    def length(self, sha256: bytes) -> int | None:
        """Octets of a whole blob; None if there is none."""
        try:
            return int(obstore.head(self._store, _blob_path(sha256))["size"])
        except FileNotFoundError:
            return None

    def sha512(self, sha256: bytes) -> bytes:
        """SHA-512 over a whole blob."""
        running = sha_512()
        for block in self.read(sha256, 0):
            running.update(block)
        return running.digest()

    def read(self, sha256: bytes, offset: int) -> Iterator[bytes]:
        """The octets of a whole blob from `offset` (0 to its length) on, in blocks of at most BLOCK_LENGTH.

        Raises:
            StorageFailure: it cannot be read.
        """
        path, length = _blob_path(sha256), self.length(sha256)
        if length is None:
            raise StorageFailure(f"image {sha256.hex()} is not in the store")
        try:
            while offset < length:
                step = min(BLOCK_LENGTH, length - offset)
                yield obstore.get_range(self._store, path, start=offset, length=step).to_bytes()
                offset += step
        except (BaseError, OSError) as error:
            raise StorageFailure(f"image {sha256.hex()} cannot be read: {_said(error)}") from error

    def whole(self) -> Iterator[tuple[bytes, int]]:
        """Every whole blob with its length, by hash."""
        found = (entry for entries in obstore.list(self._store, "blobs") for entry in entries)
        yield from sorted((bytes.fromhex(entry["path"].rsplit("/", 1)[-1]), entry["size"]) for entry in found)

    def unfinished(self) -> Iterator[tuple[bytes, int]]:
        """Every unfinished upload with what is held of it, by hash."""
        listed = obstore.list_with_delimiter(self._store, "uploads")["common_prefixes"]
        for name in sorted(prefix.rsplit("/", 1)[-1] for prefix in listed):
            sha256 = bytes.fromhex(name)
            if held := self._parts_length(sha256):
                yield sha256, held

    # ------------------------------------------------------------------------------------------- the folder

    def _parts(self, sha256: bytes) -> list[tuple[str, int]]:
        """Paths and lengths of the parts that follow one another without a gap."""
        listed = obstore.list_with_delimiter(self._store, f"uploads/{sha256.hex()}")["objects"]
        parts, end = [], 0
        for entry in sorted(listed, key=lambda entry: entry["path"]):
            if int(entry["path"].rsplit("/", 1)[-1], 16) != end:
                break
            parts.append((entry["path"], entry["size"]))
            end += entry["size"]
        return parts

    def _parts_length(self, sha256: bytes) -> int:
        return sum(length for _path, length in self._parts(sha256))

    def _sweep(self, prefix: str) -> None:
        """Remove a folder with all that is in it, if there is one."""
        for path in [entry["path"] for entries in obstore.list(self._store, prefix) for entry in entries]:
            obstore.delete(self._store, path)
        # What a crash left half written has names that obstore does not list, and it leaves empty folders.
        shutil.rmtree(self._folder / prefix, ignore_errors=True)

    def _sync(self, path: str) -> None:
        """Make a file and its name durable: object stores are so by themselves, a local folder is not."""
        for each in (self._folder / path, (self._folder / path).parent, (self._folder / path).parent.parent):
            descriptor = os.open(each, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _blob_path(sha256: bytes) -> str:
    name = sha256.hex()
    return f"blobs/{name[:2]}/{name}"


def _parts(pieces: Iterator[bytes], expected: int) -> Iterator[bytes]:
    """Gather pieces into parts; the last one may be short. An end that comes early ends the last part there."""
    part = bytearray()
    for piece in pieces:
        expected -= len(piece)
        if expected < 0:
            raise WrongOctets("more octets than were announced")
        part += piece
        while len(part) >= PART_LENGTH:
            yield bytes(part[:PART_LENGTH])
            del part[:PART_LENGTH]
    if part:
        yield bytes(part)


def _said(error: Exception) -> str:
    """The first line of an obstore error: the rest is for its developers."""
    return str(error).split("\n", 1)[0]
