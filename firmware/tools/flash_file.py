"""The emulated board's memory: images, the file that is its flash, the facts beside it (firmware/port/qemu/layout.h).

The folder of a board holds `facts.bin`, `flash.bin` and `interlock`; a board whose power is cut leaves it as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware.tools import facts
from secondary.shell.config import Config
from secondary.shell.provision import IMAGE_FILE
from uptane.errors import MarqueError

LAYOUT: Final = Path(__file__).resolve().parent.parent / "port" / "qemu" / "layout.h"
ERASED: Final = b"\xff"
FACTS_FILE: Final = "facts.bin"
RAM_MAX: Final = 0x2001_0000  # the end of the board's RAM

_NUMBER = re.compile(r"^#define BOARD_(\w+) (0x[0-9A-Fa-f]+|\d+)u?\b", re.MULTILINE)
_NAME = re.compile(r'^#define BOARD_(\w+)_FILE "([^"]+)"', re.MULTILINE)
_MARK = struct.Struct("<II")


class BoardError(MarqueError):
    """A board, its memory or its image cannot be used; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The numbers of layout.h that concern the host, by their names there; and the names of files."""

    numbers: dict[str, int]
    flash_file: str
    interlock_file: str

    def __getitem__(self, name: str) -> int:
        """A number, without its BOARD_."""
        return self.numbers[name]

    def slot(self, number: int) -> slice:
        """Where a slot lies in the flash file."""
        start = self[f"SLOT_{number}"]
        return slice(start, start + self["SLOT_SIZE"])


def layout() -> Layout:
    """Read layout.h."""
    text = LAYOUT.read_text(encoding="utf-8")
    names = dict(_NAME.findall(text))
    return Layout({name: int(number, 0) for name, number in _NUMBER.findall(text)}, names["FLASH"], names["INTERLOCK"])


@dataclass(frozen=True, slots=True)
class BoardImage:
    """A build of the firmware: its octets, and the version text that is in them."""

    octets: bytes
    version: str

    @property
    def sha256(self) -> str:
        """In hexadecimal digits."""
        return hashlib.sha256(self.octets).hexdigest()


def image(octets: bytes, name: str) -> BoardImage:
    """See that these octets are an image for the emulated board.

    Raises:
        BoardError: they are not; `name` says whose fault it is.
    """
    numbers = layout()
    mark, room = numbers["IMAGE_MARK"], numbers["SLOT_SIZE"]
    end = mark + _MARK.size + numbers["VERSION_TEXT"]
    if not end <= len(octets) <= room:
        raise BoardError(f"{name}: {len(octets)} octets; an image for this board has {end} to {room}")
    magic, length = _MARK.unpack_from(octets, mark)
    text = octets[mark + _MARK.size : end].rstrip(b"\0")
    stack, entry = _MARK.unpack_from(octets)
    if magic != numbers["IMAGE_MAGIC"] or length != len(octets) or not text or not text.isascii():
        raise BoardError(f"{name}: no mark of an image at 0x{mark:X}; take one that `make firmware` built")
    start = numbers["IMAGE_RAM"]
    if not start < stack <= RAM_MAX or not start <= entry < start + len(octets):
        raise BoardError(f"{name}: its vectors are not those of an image at 0x{start:08X}; was it linked for a slot?")
    return BoardImage(octets, text.decode())


def make(board: Path, config: Config) -> BoardImage:
    """Make the memory of a board as it leaves the factory: facts, the image of `initial/image.bin` in slot 0.

    Its interlock is the file that `config` names, so that both see the same word.

    Raises:
        BoardError: the image is none, or not the one that `config` describes; its slots are not the board's.
        MarqueError: what was provisioned cannot be used.
    """
    numbers = layout()
    if config.slot_size != numbers["SLOT_SIZE"]:
        raise BoardError(f"slot_size {config.slot_size}: the slots of this board have {numbers['SLOT_SIZE']} octets")
    path = config.initial / IMAGE_FILE
    factory = image(read(path), str(path))
    if (len(factory.octets), factory.sha256) != (config.factory.length, config.factory.sha256.hex()):
        raise BoardError(f"{path}: not the image that [image] describes; provision this ECU anew")
    octets = facts.encode(facts.facts_of(config))
    if len(octets) > numbers["FACTS_SIZE"]:
        raise BoardError(f"{config.initial}: facts of {len(octets)} octets; {numbers['FACTS_SIZE']} have room")
    board.mkdir(parents=True, exist_ok=True)
    facts.write(board / FACTS_FILE, octets)
    flash = bytearray(ERASED * numbers["FLASH_SIZE"])
    start = numbers["SLOT_0"]
    flash[start : start + len(factory.octets)] = factory.octets
    (board / numbers.flash_file).write_bytes(flash)
    link_interlock(board, config.interlock)
    return factory


def slot(board: Path, number: int) -> bytes:
    """All octets of a slot as they are now."""
    return read(board / layout().flash_file)[layout().slot(number)]


def link_interlock(board: Path, interlock: Path | None) -> None:
    """Have the board read its interlock from that file; from none, it is never safe."""
    link = board / layout().interlock_file
    with contextlib.suppress(FileNotFoundError):
        link.unlink()
    if interlock is not None:
        link.symlink_to(interlock.resolve())


def read(path: Path) -> bytes:
    """The octets of a file. Raises BoardError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BoardError(f"{path}: {error.strerror}") from error
