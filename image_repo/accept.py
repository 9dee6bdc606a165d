"""(0.1) What may be published: each new image against the octets held, its name, and the counters given before.

Whether the role may sign this path and this hardware is asked of the delegations in service.py, by the search a vehicle
makes; here is what a vehicle cannot see or would see too late: that the octets are there, and that the release counter
is one that vehicles which follow this role will take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from uptane.errors import Check, Rejected
from uptane.model.ids import FILENAME_LENGTH_MAX, Filename, HardwareId, RoleName, is_name
from uptane.model.metadata import Image, ImageTargets


@dataclass(frozen=True, slots=True)
class Release:
    """The latest image published under a filename."""

    sha256: bytes
    counter: int


class Records(Protocol):
    """What the repository remembers of images; it never forgets a counter."""

    def releases(self, filenames: Sequence[Filename]) -> Mapping[Filename, Release]:
        """The latest image ever published under each of these names, by whatever role, where there was one."""
        ...

    def counters(self, role: RoleName) -> Mapping[HardwareId, int]:
        """The highest release counter `role` ever gave each hardware."""
        ...


class Octets(Protocol):
    """The images held, published or not."""

    def length(self, sha256: bytes) -> int | None:
        """Octets of the whole blob with this hash; None if it is not there."""
        ...

    def sha512(self, sha256: bytes) -> bytes:
        """SHA-512 over the blob with this SHA-256, which is there."""
        ...


def new_images(before: ImageTargets | None, after: ImageTargets) -> Iterator[Image]:
    """The images of `after` that `before` does not have with the same octets, ascending by filename."""
    if before is not None and before.entries.octets == after.entries.octets:
        return
    known = {} if before is None else {image.filename: image.octets for image in before.entries}
    for image in after.entries:
        if known.get(image.filename) != image.octets:
            yield image


def accept(role: RoleName, images: Sequence[Image], records: Records, octets: Octets) -> None:
    """Whether `role` may publish these images now.

    Raises:
        Rejected: because of a name, of the octets held, or of a release counter.
    """
    releases = records.releases([image.filename for image in images])
    floors = records.counters(role)
    for image in images:
        _check_filename(image.filename)
        _check_octets(image, octets)
        _check_counter(image, releases.get(image.filename))
        _check_floors(role, image, floors)


def _check_filename(filename: Filename) -> None:
    """repository_filenames (section 5.2.7): a name that becomes a path must not lead out of its folder, anywhere."""
    parts = filename.split("/")
    if not is_name(filename, FILENAME_LENGTH_MAX) or any(part in {"", ".", ".."} for part in parts):
        raise Rejected(Check.PUBLISH_FILENAME, repr(filename))


def _check_octets(image: Image, octets: Octets) -> None:
    """Every listed hash and the length are those of octets that are here."""
    length = octets.length(image.sha256)
    if length is None:
        raise Rejected(Check.PUBLISH_OCTETS, f"{image.filename}: {image.sha256.hex()} was not uploaded")
    if length != image.length:
        raise Rejected(Check.PUBLISH_OCTETS, f"{image.filename}: {length} octets are held, {image.length} are signed")
    if image.sha512 is not None and octets.sha512(image.sha256) != image.sha512:
        raise Rejected(Check.PUBLISH_OCTETS, f"{image.filename}: the SHA-512 signed is not that of the octets held")


def _check_counter(image: Image, before: Release | None) -> None:
    """A vehicle keeps the highest counter it released and refuses lower ones, so a lower one is published in vain."""
    now, given = image.filename, image.release_counter
    if before is not None and given < before.counter:
        raise Rejected(Check.PUBLISH_COUNTER, f"{now} had {before.counter}: give --counter {before.counter} or higher")
    if before is not None and given == before.counter and image.sha256 != before.sha256:
        raise Rejected(
            Check.PUBLISH_COUNTER,
            f"{now} is published with other content and counter {before.counter}: "
            f"give --counter {before.counter + 1} or higher, or another filename",
        )


def _check_floors(role: RoleName, image: Image, floors: Mapping[HardwareId, int]) -> None:
    """Per role: hardware ids are shared words, and no supplier may raise the floor under another's feet."""
    given = image.release_counter
    for hardware in image.hardware:
        floor = floors.get(hardware, 0)
        if given < floor:
            detail = f"{image.filename} has counter {given}, {hardware} has had {floor} of {role}"
            raise Rejected(Check.PUBLISH_COUNTER, f"{detail}: give --counter {floor} or higher")
