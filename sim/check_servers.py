"""The rule of what servers issue (R19): an honest vehicle can take all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from director.inventory import EcuRecord, Vehicle
from sim.check_bundle import VehicleTruth
from sim.issued import read, spoken
from sim.rules import Rule
from sim.signatures import HASHER
from uptane.model.metadata import Image, ImageTargets
from uptane.verify.image import installed_image

Finding: TypeAlias = tuple[Rule, str]


@dataclass(slots=True)
class Shelf:
    """What the Image repository has: lengths of images by SHA-256, entries ever published, and their highest counters.

    Counters are by role, and then by filename or by hardware.
    """

    lengths: dict[bytes, int] = field(default_factory=dict)
    entries: set[tuple[str, bytes]] = field(default_factory=set)
    counters: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, images: Mapping[bytes, bytes]) -> None:
        """Images have been uploaded; those that are not what they are called are not there."""
        for digest, octets in images.items():
            if HASHER.sha256(octets) == digest:
                self.lengths[digest] = len(octets)

    def judge(self, octets: bytes) -> Iterator[Finding]:
        """What is wrong with a metadata file that has just been published."""
        file = read(octets)
        if file is None or not isinstance(file.value, ImageTargets):
            return
        role = spoken(file.value.header.speaker)
        for image in file.value.entries:
            if (role, image.octets) not in self.entries:
                self.entries.add((role, image.octets))
                yield from self._new(role, image)

    def _new(self, role: str, image: Image) -> Iterator[Finding]:
        if self.lengths.get(image.sha256) != image.length:
            yield Rule.SENDABLE, f"publishes {image.filename}, and does not have its octets"
        for what in (image.filename, *image.hardware):
            before = self.counters.get((role, what), 0)
            if image.release_counter < before:
                yield Rule.SENDABLE, f"publishes {image.filename} with counter {image.release_counter} after {before}"
            self.counters[role, what] = max(before, image.release_counter)


def sent(vehicle: VehicleTruth, before: Vehicle | None, recorded: Vehicle) -> Iterator[Finding]:
    """What is wrong with what the Director has assigned to a vehicle since its record was `before`."""
    for record in recorded.ecus:
        known = None if before is None else before.find(record.ecu.id)
        if record.assigned is None or record.assigned == (None if known is None else known.assigned):
            continue
        image = installed_image(record.assigned.image)
        same = known is not None and known.assigned is not None and installed_image(known.assigned.image) == image
        if not same and image != record.running:
            for text in _unfit(vehicle, record):
                yield Rule.SENDABLE, f"sends {image.filename} to {vehicle.vehicle}/{record.ecu.id}, {text}"


def _unfit(vehicle: VehicleTruth, record: EcuRecord) -> Iterator[str]:
    assert record.assigned is not None
    image, truth = record.assigned.image, vehicle.ecus.get(record.ecu.id)
    if record.silent_since is not None:
        yield f"which is silent since {record.silent_since}"
    if record.ecu.hardware not in image.hardware:
        yield f"and it is for {', '.join(image.hardware)}"
    if truth is not None and truth.key == record.ecu.key:
        released = truth.installation.released_counter
        if image.release_counter < released and installed_image(image) != truth.installation.image:
            yield f"which has released the counter {released}"
