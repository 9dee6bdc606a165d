"""Releases of the C firmware for tests: the real builds, and further ones that differ from the last in their text."""

from demo.board import Emulated
from firmware.tools import flash_file


def build(board: Emulated, release: int) -> bytes:
    """The image of a release, 1 being the factory's. There are as many as a test wants, and all of them run."""
    if release <= len(board.builds):
        return board.build(release).read_bytes()
    return with_version(board.builds[-1].read_bytes(), f"release {release}")


def with_version(image: bytes, text: str) -> bytes:
    """The image under another version text: another hash, the same code."""
    numbers = flash_file.layout()
    at = numbers["IMAGE_MARK"] + 8
    octets = text.encode().ljust(numbers["VERSION_TEXT"], b"\0")
    return image[:at] + octets + image[at + len(octets) :]
