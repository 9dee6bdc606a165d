"""Durable named records in a directory: what a component must still know after a power cut at any moment.

A record is written to a temporary file, synced, renamed and its directory synced, so it is there whole or not at all.
Two generations alternate: if the newest is truncated or damaged (a worn flash block, not a power cut), the one before
is read instead and the name is added to `damaged`. Each file carries a magic, a format number, its generation, its
length and a SHA-256 that covers its name too, so that a file in another's place is noticed.

Names are paths such as `image/role/supplier/abc`; each becomes two files below the directory, `...~0` and `...~1`.
One process owns a directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import NamedTuple
from urllib.parse import quote, unquote
from zlib import crc32

from uptane.errors import StorageFailure

MAGIC = b"MARQUE-R"
FORMAT = 1
MODE = 0o600
DIRECTORY_MODE = 0o700

_FIELDS = Struct(">8sHQQ32s")  # magic, format, generation, length, SHA-256 over name, generation and octets
_CRC = Struct(">I")  # over the fields: a damaged generation number must not pass for an old one
_HEADER_LENGTH = _FIELDS.size + _CRC.size


class Damaged(StorageFailure):
    """A record is there, but neither generation of it is whole."""


class _Copy(NamedTuple):
    """One of the two files of a record; `generation` is None where its header is no header."""

    path: Path
    slot: int
    generation: int | None


class Store:
    """Records below `directory`, which is made if need be (0700); raise StorageFailure whenever the disk fails.

    `damaged` names the records of which a damaged copy was met; the caller reports and clears it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._newest: dict[str, tuple[int, int]] = {}  # slot and generation of the newest whole copy, once known
        self.damaged: list[str] = []
        with _failing(directory):
            _make(directory)

    def read(self, name: str) -> bytes | None:
        """The record, or None if there is none; raise Damaged if no copy of it is whole."""
        path = self._path(name)
        with _failing(path):
            copies = _copies(path)
            for copy in copies:
                octets = None if copy.generation is None else _read(copy, name)
                if octets is not None:
                    assert copy.generation is not None
                    self._newest[name] = (copy.slot, copy.generation)
                    return octets
                if name not in self.damaged:
                    self.damaged.append(name)
        if copies:
            raise Damaged(f"{path}: no whole copy is left")
        return None

    def write(self, name: str, octets: bytes) -> None:
        """Keep `octets` as `name`: durable when this returns; if it raises, that record or the one before is whole."""
        path = self._path(name)
        lost = False
        if name not in self._newest:
            try:
                self.read(name)
            except Damaged:
                lost = True
        slot, generation = self._newest.get(name, (1, 0))
        slot, generation = 1 - slot, generation + 1
        temporary = path.with_name(path.name + "~t")
        with _failing(path):
            _make(path.parent)
            try:
                _write(temporary, _header(name, generation, octets), octets)
                temporary.rename(_slot(path, slot))
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
            sync(path.parent)
            if lost:  # what is left of the other copy may show a higher generation: no boot shall meet it again
                _slot(path, 1 - slot).unlink(missing_ok=True)
                sync(path.parent)
        self._newest[name] = (slot, generation)

    def delete(self, name: str) -> None:
        """Forget `name`, durably; nothing happens if it is not there. The older copy goes first: it never returns."""
        path = self._path(name)
        with _failing(path):
            for copy in reversed(_copies(path)):
                copy.path.unlink()
                sync(path.parent)
        self._newest.pop(name, None)

    def names(self, prefix: str = "") -> list[str]:
        """The names of all records that begin with `prefix`, ascending; whether they are whole, `read` tells."""
        with _failing(self._directory):
            files = [path.relative_to(self._directory) for path in self._directory.rglob("*~[01]") if path.is_file()]
        found = {_name(path.with_name(path.name[:-2])) for path in files}
        return sorted(name for name in found if name.startswith(prefix))

    def _path(self, name: str) -> Path:
        """Where a name's files are, without their suffix; every name has a place of its own below the directory."""
        assert name
        return self._directory.joinpath(*(_quoted(part) for part in name.split("/")))


def _quoted(part: str) -> str:
    """One part of a name as a file name; `~` is left to suffixes, and no part is empty, `.` or `..`."""
    if not part:
        return "%"
    quoted = quote(part, safe="+:@").replace("~", "%7E")
    return quoted.replace(".", "%2E") if not part.strip(".") else quoted


def _name(path: Path) -> str:
    """The name whose file, without its suffix, is at `path` below the directory."""
    return "/".join("" if part == "%" else unquote(part) for part in path.parts)


def _slot(path: Path, slot: int) -> Path:
    return path.with_name(f"{path.name}~{slot}")


def _header(name: str, generation: int, octets: bytes) -> bytes:
    fields = _FIELDS.pack(MAGIC, FORMAT, generation, len(octets), _digest(name, generation, octets))
    return fields + _CRC.pack(crc32(fields))


def _digest(name: str, generation: int, octets: bytes) -> bytes:
    digest = sha256(name.encode() + b"\0" + generation.to_bytes(8))
    digest.update(octets)
    return digest.digest()


def _copies(path: Path) -> list[_Copy]:
    """The files of a record, the newest first; those whose header is damaged come before all others."""
    copies = []
    for slot in (0, 1):
        file = _slot(path, slot)
        with suppress(FileNotFoundError, NotADirectoryError), file.open("rb") as stream:
            copies.append(_Copy(file, slot, _generation(stream.read(_HEADER_LENGTH))))
    newest = 1 << 64
    return sorted(copies, key=lambda copy: newest if copy.generation is None else copy.generation, reverse=True)


def _generation(header: bytes) -> int | None:
    """The generation a header gives; None if it is truncated, damaged or of a format not known here."""
    if len(header) < _HEADER_LENGTH or _CRC.unpack_from(header, _FIELDS.size)[0] != crc32(header[: _FIELDS.size]):
        return None
    magic, number, generation, _, _ = _FIELDS.unpack_from(header)
    return int(generation) if magic == MAGIC and number == FORMAT else None


def _read(copy: _Copy, name: str) -> bytes | None:
    """What a copy holds; None if it is not whole."""
    file = copy.path.read_bytes()
    octets = file[_HEADER_LENGTH:]
    _, _, generation, length, digest = _FIELDS.unpack_from(file)
    if len(octets) != length or _digest(name, generation, octets) != digest:
        return None
    return octets


def _write(path: Path, *parts: bytes) -> None:
    """Write a new file and wait until the disk has it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    with open(descriptor, "wb", closefd=True) as stream:  # noqa: PTH123  (opened with its mode above)
        stream.writelines(parts)
        stream.flush()
        os.fsync(stream.fileno())


def _make(directory: Path) -> None:
    """Make a directory and those above it, each durably."""
    if directory.is_dir():
        return
    _make(directory.parent)
    directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
    sync(directory.parent)


def sync(directory: Path) -> None:
    """Wait until the disk has a directory's entries."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _failing(path: Path) -> Iterator[None]:
    """Turn what the operating system says into StorageFailure, with the path it is about."""
    try:
        yield
    except OSError as error:
        raise StorageFailure(f"{error.filename or path}: {error.strerror}") from error
