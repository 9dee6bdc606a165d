"""The firmware the demo installs: files the person names, or samples made here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from demo.processes import DemoFailure


@dataclass(frozen=True)
class EcuOfDemo:
    """One ECU of the demo's vehicle. `sample_length` is in octets."""

    name: str
    hardware: str
    verification: str
    bus: str
    address: int
    sample_length: int


TELEMATICS = EcuOfDemo("telematics", "tcu-linux-4", "full", "", 0xF0, 262_144)
BRAKE = EcuOfDemo("brake", "brake-esc-3", "partial", "chassis", 0x11, 98_304)
BODY = EcuOfDemo("body", "body-bcm-7", "partial", "chassis", 0x12, 65_536)
CAMERA = EcuOfDemo("camera", "camera-adas-2", "full", "backbone", 0x21, 786_432)
ECUS = (TELEMATICS, BRAKE, BODY, CAMERA)
SLOT_LENGTH_MAX = 64 * 1024 * 1024  # octets: room for a person's own firmware


def sample(ecu: EcuOfDemo, release: int) -> bytes:
    """A sample image: a readable head, then octets that look like code and differ between releases."""
    head = f"marque sample firmware {ecu.name} release {release}\n".encode()
    body = bytearray(head)
    block = hashlib.sha256(head).digest()
    while len(body) < ecu.sample_length:
        block = hashlib.sha256(block).digest()
        body += block
    return bytes(body[: ecu.sample_length])


def chosen(text: str) -> dict[str, Path]:
    """`brake=path body=path` as a mapping; raise DemoFailure for unknown ECUs and unreadable or oversized files."""
    images: dict[str, Path] = {}
    for word in text.split():
        name, sign, path = word.partition("=")
        if not sign or name not in {ecu.name for ecu in ECUS}:
            known = ", ".join(ecu.name for ecu in ECUS)
            raise DemoFailure(f'IMAGES="{text}": {word!r} is not ECU=FILE with one of the ECUs {known}')
        file = Path(path)
        if not file.is_file():
            raise DemoFailure(f"IMAGES: {path} is not a file")
        if not 0 < file.stat().st_size <= SLOT_LENGTH_MAX:
            raise DemoFailure(f"IMAGES: {path} must have 1 to {SLOT_LENGTH_MAX} octets")
        images[name] = file
    return images
