"""VEHICLE.toml: a vehicle as somebody describes it for enrolment.

    vehicle = "VIN1"

    [[bus]]                       # name, and how a node gets onto it (as [can] of a Secondary's config.toml)
    name = "powertrain"
    interface = "udp_multicast"
    channel = "239.74.163.2"
    port = 43113

    [[ecu]]
    id = "gw"
    hardware = "gateway-a1"
    primary = true
    slot_size = 1048576
    image = { filename = "gw/factory", release_counter = 0, file = "gw.bin" }

    [[ecu]]
    id = "brake"
    hardware = "brake-b2"
    verification = "partial"      # or "full"
    bus = "powertrain"
    address = 0x11
    slot_size = 524288
    image = { filename = "brake/factory", release_counter = 0, length = 1000, sha256 = "..." }

What is not known here ([ecu.interlock], [ecu.gate] and so on) goes into that ECU's config.toml as it stands.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from director.inventory import ADDRESS_MAX, Ecu, Verification
from uptane.errors import StorageFailure
from uptane.model.ids import FILENAME_LENGTH_MAX, EcuId, Filename, HardwareId, VehicleId, is_name
from uptane.model.limits import IMAGE_LENGTH_MAX
from uptane.model.reports import InstalledImage
from uptane.shell.can_settings import can_settings
from uptane.shell.key_text import key_setting
from uptane.shell.settings import Section, read

SLOTS = range(1, IMAGE_LENGTH_MAX + 1)
KNOWN = frozenset(
    "id hardware primary verification bus address slots filename slot_size public_key image".split()  # noqa: SIM905
)
"""Keys of [[ecu]] that enrolment knows; all others are for the ECU itself."""


@dataclass(frozen=True, slots=True)
class Described:
    """A vehicle as described: its ECUs, and the text itself."""

    vehicle: VehicleId
    ecus: tuple[Ecu, ...]
    text: str


def describe(file: Path) -> Described:
    """Read VEHICLE.toml.

    Raises:
        SettingsError: a line of it cannot be used; it says which. Whether it is whole is the Director's to say.
        StorageFailure: a file it names cannot be read.
    """
    top = read(file)
    vehicle = VehicleId(top.id("vehicle"))
    names = set()
    for bus in top.sections("bus"):
        names.add(bus.id("name"))
        can_settings(bus)
        bus.done()
    ecus = tuple(_ecu(section, names) for section in top.sections("ecu"))
    top.done()
    return Described(vehicle, ecus, file.read_text(encoding="utf-8"))


def tables(text: str) -> tuple[Mapping[str, Mapping[str, Any]], Mapping[str, Mapping[str, Any]]]:
    """The buses by name and the ECUs by id, as they stand in a description that was read before."""
    table = tomllib.loads(text)
    return {bus["name"]: bus for bus in table.get("bus", [])}, {ecu["id"]: ecu for ecu in table.get("ecu", [])}


def _ecu(section: Section, buses: set[str]) -> Ecu:
    primary = section.flag("primary", default=False)
    usual = Verification.FULL if primary else Verification.PARTIAL
    slot_size = section.integer("slot_size", SLOTS)
    image = section.section("image")
    ecu = Ecu(
        id=EcuId(section.id("id")),
        hardware=HardwareId(section.id("hardware")),
        primary=primary,
        verification=section.choice("verification", Verification, usual),
        bus="" if primary else section.text("bus"),
        address=0 if primary else section.integer("address", range(1, ADDRESS_MAX + 1)),
        filename=section.text("filename", "**"),
        slot_size=slot_size,
        key=key_setting(section, "public_key") if section.has("public_key") else None,
        factory=_image(image),
    )
    if not primary:
        section.integer("slots", range(1, 3), 2)  # for the Primary, which updates ECUs with one slot last
    if not primary and ecu.bus not in buses:
        raise section.error("bus", ecu.bus, f"the name of a [[bus]]: {', '.join(sorted(buses)) or 'there is none'}")
    image.done()
    section.rest()
    return ecu


def _image(section: Section) -> InstalledImage:
    """What the ECU left the factory with: its length and hash as given, or measured."""
    filename = section.text("filename")
    if not is_name(filename, FILENAME_LENGTH_MAX):
        raise section.error("filename", filename, f"1 to {FILENAME_LENGTH_MAX} of A-Z a-z 0-9 . _ + : @ / -")
    counter = section.integer("release_counter", range(1 << 32), 0)
    if not section.has("file"):
        length = section.integer("length", range(IMAGE_LENGTH_MAX + 1))
        return InstalledImage(Filename(filename), length, section.octets("sha256", 32), counter)
    path = section.path("file")
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise StorageFailure(f"{path} cannot be read: {error.strerror}") from error
    return InstalledImage(Filename(filename), len(octets), sha256(octets).digest(), counter)
