"""Where `make firmware` leaves the emulated board's programs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from firmware.tools.board import QEMU
from firmware.tools.flash_file import BoardError, BoardImage, image, read

FOLDER: Final = Path(__file__).resolve().parent.parent.parent / "build" / "firmware" / "qemu"
STUB: Final = FOLDER / "boot.elf"
RELEASES: Final = (FOLDER / "marque-secondary-1.bin", FOLDER / "marque-secondary-2.bin")
"""One real build and the next."""
FAILS: Final = FOLDER / "marque-secondary-fails.bin"
"""Its self-test fails."""
HANGS: Final = FOLDER / "marque-secondary-hangs.bin"
"""It never comes up; the watchdog ends it."""


def built(path: Path) -> BoardImage:
    """A build, looked at.

    Raises:
        BoardError: it is not there, or is no image.
    """
    if not path.is_file():
        raise BoardError(f"{path} is missing; `make firmware` builds it")
    return image(read(path), str(path))


def require() -> None:
    """See that a board can be run. Raises BoardError: the emulator or a build is missing."""
    if shutil.which(QEMU) is None:
        raise BoardError(f"{QEMU} is missing; on Debian: apt-get install qemu-system-arm")
    if not STUB.is_file():
        raise BoardError(f"{STUB} is missing; `make firmware` builds it")
    for path in RELEASES:
        built(path)
