"""Images to install: those the rig file names, in turn, or made-up ones; each with a release counter above the last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from rig.backend import CODEC, Assigned, image_of, same
from rig.settings import EcuSettings
from uptane.errors import StorageFailure
from uptane.model.metadata import Image

FACTORY_COUNTER = 1


def made_up(ecu: EcuSettings, counter: int) -> bytes:
    """Octets as dense as a real image's, alike for the same counter."""
    head = f"marque-rig {ecu.ecu} {counter}\n".encode()
    return (head + Random(counter).randbytes(ecu.images.length))[: ecu.images.length]


def read(path: Path, slot_size: int) -> bytes:
    """An image file. Raises StorageFailure."""
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise StorageFailure(f"image {path}: {error.strerror}; check [ecu.images]") from error
    if not 0 < len(octets) <= slot_size:
        raise StorageFailure(f"image {path}: {len(octets)} octets do not fit slots of {slot_size}; check slot_size")
    return octets


def good(ecu: EcuSettings, counter: int) -> bytes:
    """The octets of the image with this counter: those that work."""
    files = ecu.images.good
    if not files:
        return made_up(ecu, counter)
    return read(files[(counter - FACTORY_COUNTER) % len(files)], ecu.slot_size)


def assigned(ecu: EcuSettings, counter: int, octets: bytes, edit: Callable[[Image], Image] = same) -> Assigned:
    """These octets, assigned to the ECU with this counter; `edit` changes what the metadata say."""
    image = image_of(octets, f"{ecu.images.filename}-{counter}", counter, ecu.hardware)
    return Assigned(ecu.ecu, CODEC.image(edit(image)), octets)
