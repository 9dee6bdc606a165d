"""Images from the Image repository into the cache (Uptane 2.1.0, section 5.4.2.4): by blocks, resumed, checked.

What is in the cache under a hash is either whole and checked (`released`), or on its way and never handed to anyone.
Space is judged before the first octet. Which images are wanted is cycle.py's to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from primary.needs import (
    BLOCK_LENGTH,
    AnyNeed,
    Blob,
    EraseBlob,
    FetchBlock,
    FreeSpace,
    ListCache,
    Measure,
    Note,
    Now,
    Place,
    ReadBlob,
    Step,
    WriteBlob,
)
from uptane.errors import Check, Rejected, StorageFailure
from uptane.machine import Workflow
from uptane.model.metadata import Image
from uptane.moments import SECOND_MS
from uptane.ports import Digest, Hasher

SPARE: Final = 1_048_576  # octets left free: metadata, journal and reports must still be written on a full disk
RATE_MIN: Final = 1_000  # octets a second: below it somebody holds us back; GPRS carries four times that
RATE_AFTER_MS: Final = 30 * SECOND_MS  # not judged before: a connection takes its time
CRAWL_MS: Final = 300 * SECOND_MS  # at such a rate no longer in one go: nobody is polled or told anything meanwhile


@dataclass(frozen=True, slots=True)
class Download:
    """One download that has ended: what came from the server, and whether it came too slowly."""

    octets: int
    slow: bool


def blob_of(image: Image) -> Blob:
    """Where the cache keeps `image`."""
    return Blob(Place.CACHE, image.sha256.hex())


def make_room(images: Sequence[Image], keep: frozenset[bytes]) -> Workflow[AnyNeed, None]:
    """Drop what is neither wanted nor in `keep` (SHA-256), then judge whether all of `images` will fit.

    Raises:
        StorageFailure: they will not; nothing has been downloaded.
    """
    wanted = {image.sha256.hex() for image in images} | {digest.hex() for digest in keep}
    for name in (yield ListCache()):
        if name not in wanted:
            yield EraseBlob(Blob(Place.CACHE, name))
    missing = 0
    for image in {image.sha256: image for image in images}.values():
        held: int = yield Measure(blob_of(image))
        missing += max(image.length - held, 0)
    free: int = yield FreeSpace()
    if missing and missing + SPARE > free:
        raise StorageFailure(f"{missing} octets of images are to come, and {free} octets are free ({SPARE} stay free)")


def fetch_image(image: Image, hasher: Hasher) -> Workflow[AnyNeed, Download]:
    """Have `image` whole and checked in the cache: go on where it stopped, check every hash, start over once if wrong.

    Raises:
        LinkFailure: the repository cannot be reached; what came is kept.
        Rejected: INSTALL_HASH, INSTALL_LENGTH: the repository serves something else. Nothing of it is kept.
            SLOW_RETRIEVAL: it crawls; what came is kept, and the next call goes on there.
        StorageFailure: no room.
    """
    held: int = yield Measure(blob_of(image))
    if held:
        try:
            return (yield from _complete(image, min(held, image.length), hasher))
        except Rejected as refusal:  # what was kept may have been damaged here: the server gets a fair trial
            if refusal.check is Check.SLOW_RETRIEVAL:
                raise
            yield EraseBlob(blob_of(image))
    try:
        return (yield from _complete(image, 0, hasher))
    except Rejected as refusal:
        if refusal.check is not Check.SLOW_RETRIEVAL:
            yield EraseBlob(blob_of(image))
        raise


def _complete(image: Image, held: int, hasher: Hasher) -> Workflow[AnyNeed, Download]:
    """Read what is held, fetch the rest, compare."""
    running = Hashes(image, hasher)
    at = 0
    while at < held:
        octets: bytes = yield ReadBlob(blob_of(image), at, min(BLOCK_LENGTH, held - at))
        if not octets:
            break
        running.update(octets)
        at += len(octets)
    started = yield Now()
    came = at
    while at < image.length:
        block: bytes | None = yield FetchBlock(image.sha256, at)
        if not block:
            raise Rejected(Check.INSTALL_LENGTH, f"{image.filename} ends at {at} of {image.length} octets")
        if at + len(block) > image.length:
            raise Rejected(Check.INSTALL_LENGTH, f"{image.filename} goes on after {image.length} octets")
        running.update(block)
        yield WriteBlob(blob_of(image), at, block, last=at + len(block) == image.length)
        at += len(block)
        yield Note(Step.DOWNLOAD, image.filename, None, at, image.length)
        took_ms = (yield Now()) - started
        if at < image.length and took_ms > CRAWL_MS and _is_slow(at - came, took_ms):
            text = f"{at - came} octets of {image.filename} in {took_ms // SECOND_MS} s"
            raise Rejected(Check.SLOW_RETRIEVAL, text)
    running.compare()
    return Download(at - came, _is_slow(at - came, (yield Now()) - started))


def _is_slow(octets: int, took_ms: int) -> bool:
    """Whether so much in so long a time is less than any honest connection carries."""
    return took_ms > RATE_AFTER_MS and octets * SECOND_MS < RATE_MIN * took_ms


class Hashes:
    """Every hash that `image` lists, running over octets as they come."""

    def __init__(self, image: Image, hasher: Hasher) -> None:
        self._image = image
        self._sha256: Digest = hasher.running256()
        self._sha512: Digest | None = None if image.sha512 is None else hasher.running512()

    def update(self, octets: bytes) -> None:
        """Add octets."""
        self._sha256.update(octets)
        if self._sha512 is not None:
            self._sha512.update(octets)

    def compare(self) -> None:
        """Refuse octets that are not the image: INSTALL_HASH."""
        wrong256 = self._sha256.digest() != self._image.sha256
        wrong512 = self._sha512 is not None and self._sha512.digest() != self._image.sha512
        if wrong256 or wrong512:
            raise Rejected(Check.INSTALL_HASH, f"the octets of {self._image.filename}")
