"""What a rig is told: RIG.toml, read strictly. How each ECU is reached, what it can take, and how patient to be.

Relative paths are relative to the file's folder. docs/rig.md explains every key.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from uptane.link.uds_values import ECU_ADDRESSES, TESTER_ADDRESSES
from uptane.model.ids import EcuId, HardwareId, VehicleId
from uptane.model.limits import IMAGE_LENGTH_MAX
from uptane.model.signed import PublicKey
from uptane.shell.can_port import CanSettings
from uptane.shell.can_settings import can_settings
from uptane.shell.key_text import key_setting
from uptane.shell.settings import Section, SettingsError, read

SLOT_SIZE = 131_072  # octets; a Secondary of the smallest kind
IMAGE_LENGTH = 32_768  # octets of a made-up image: some seconds of a slow serial adapter
RESTART_S = 30  # until an ECU answers after a restart or after power came back
TOLERANCE_MS = 25  # what a USB adapter and a host that is no real-time system add to what an ECU takes
SECONDS_MAX = 3_600
SERIAL_INTERFACES = frozenset({"slcan", "robotell", "seeedstudio"})  # whose channel is a pyserial URL
BAUDS = range(300, 12_000_001)
ECUS_MAX = 64  # on one rig; the largest we know has 30


class Verification(Enum):
    """How an ECU verifies."""

    PARTIAL = "partial"
    FULL = "full"


class PowerKind(Enum):
    """How power is cut: not at all, by a command, or by octets to a relay on a serial line."""

    NONE = "none"
    COMMAND = "command"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class BusSettings:
    """One CAN channel; `console` chatter and losses apart, nothing else of the rig is on it."""

    name: str
    can: CanSettings


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """A serial console: a pyserial URL (a device, a pty, socket://, rfc2217://) and its baud rate."""

    url: str
    baudrate: int


@dataclass(frozen=True, slots=True)
class PowerSettings:
    """A power switch. `on`, `off`: a command, or for a relay one item, its octets in hexadecimal."""

    kind: PowerKind
    on: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    url: str = ""
    baudrate: int = 9_600
    timeout_s: int = 30
    off_ms: int = 500


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """What may be installed. Without `good` images they are made up, for ECUs that do not execute what they store.

    `failing` boots and fails its self-test, `hanging` boots and never says a word: None when there is none.
    """

    good: tuple[Path, ...]
    failing: Path | None
    hanging: Path | None
    length: int
    filename: str
    takes: str


@dataclass(frozen=True, slots=True)
class EcuSettings:
    """One ECU under test. `report_key` is None when it is to be taken from where provisioning left it."""

    ecu: EcuId
    hardware: HardwareId
    verification: Verification
    address: int
    tester: int
    bus: str
    slot_size: int
    report_key: PublicKey | None
    console: ConsoleSettings | None
    power: PowerSettings
    interlock: dict[str, tuple[str, ...]]
    images: ImageSettings
    restart_s: int
    tolerance_ms: int


@dataclass(frozen=True, slots=True)
class RigSettings:
    """The whole file; `folder` is where it lies, and where commands of it are run."""

    file: Path
    folder: Path
    vehicle: VehicleId
    backend: Path
    out: Path
    seed: int
    power_cuts: int
    losses: int
    buses: tuple[BusSettings, ...]
    ecus: tuple[EcuSettings, ...]


def load(file: Path) -> RigSettings:
    """Read RIG.toml.

    Raises:
        SettingsError: it cannot be used; the text says which key, what was found and what to do.
    """
    top = read(file)
    buses = tuple(_bus(section) for section in top.sections("bus"))
    ecus = tuple(_ecu(section, buses) for section in top.sections("ecu"))
    settings = RigSettings(
        file=file,
        folder=file.parent,
        vehicle=VehicleId(top.id("vehicle", "MARQUE-RIG")),
        backend=top.path("backend", "backend"),
        out=top.path("out", "report"),
        seed=top.integer("seed", range(1 << 32), 1),
        power_cuts=top.integer("power_cuts", range(10_001), 6),
        losses=top.integer("losses", range(1, 10_001), 8),
        buses=buses,
        ecus=ecus,
    )
    if not 0 < len(ecus) <= ECUS_MAX:
        raise SettingsError(f"{file}: {len(ecus)} ECUs; describe 1 to {ECUS_MAX}, each in a table [[ecu]]")
    _distinct(file, "[[bus]] name", [bus.name for bus in buses])
    _distinct(file, "[[ecu]] name", [ecu.ecu for ecu in ecus])
    _distinct(file, "[[ecu]] address on one bus", [f"{ecu.bus} {ecu.address:02X}" for ecu in ecus])
    top.done()
    return settings


def _distinct(file: Path, what: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise SettingsError(f"{file}: {what}: {value} is there twice; each must be different")


def _bus(section: Section) -> BusSettings:
    name, can = section.id("name"), can_settings(section)
    section.done()
    if can.interface in SERIAL_INTERFACES:
        can = replace(can, channel=device(section, can.channel))
    return BusSettings(name, can)


def _ecu(section: Section, buses: tuple[BusSettings, ...]) -> EcuSettings:
    name = section.id("name")
    bus = section.id("bus")
    if bus not in [each.name for each in buses]:
        raise section.error("bus", bus, f"one of the names of [[bus]]: {', '.join(each.name for each in buses) or '-'}")
    slot_size = section.integer("slot_size", range(1, IMAGE_LENGTH_MAX + 1), SLOT_SIZE)
    interlock = section.section("interlock")
    ecu = EcuSettings(
        ecu=EcuId(name),
        hardware=HardwareId(section.id("hardware")),
        verification=section.choice("verification", Verification, Verification.PARTIAL),
        address=section.integer("address", ECU_ADDRESSES),
        tester=section.integer("tester", TESTER_ADDRESSES, TESTER_ADDRESSES.start),
        bus=bus,
        slot_size=slot_size,
        report_key=key_setting(section, "report_key") if section.has("report_key") else None,
        console=_console(section) if section.has("console") else None,
        power=_power(section.section("power")),
        interlock={word: interlock.texts(word) for word in ("safe", "moving") if interlock.has(word)},
        images=_images(section.section("images"), name, slot_size),
        restart_s=section.integer("restart_s", range(1, SECONDS_MAX + 1), RESTART_S),
        tolerance_ms=section.integer("tolerance_ms", range(10_001), TOLERANCE_MS),
    )
    if len(ecu.interlock) == 1:
        raise section.error("interlock", ", ".join(ecu.interlock), 'two commands, "safe" and "moving", or none')
    interlock.done()
    section.done()
    return ecu


def _console(section: Section) -> ConsoleSettings:
    table = section.section("console")
    console = ConsoleSettings(device(table, table.text("url")), table.integer("baudrate", BAUDS, 115_200))
    table.done()
    return console


def device(section: Section, url: str) -> str:
    """A pyserial URL; a path that is not absolute is relative to the rig file."""
    return url if "://" in url else os.path.normpath(section.file.parent / url)


def _power(section: Section) -> PowerSettings:
    kind = section.choice("kind", PowerKind, PowerKind.NONE)
    power = PowerSettings(kind)
    if kind is not PowerKind.NONE:
        relay = kind is PowerKind.RELAY
        power = PowerSettings(
            kind,
            on=(_octets(section, "on"),) if relay else _command(section, "on"),
            off=(_octets(section, "off"),) if relay else _command(section, "off"),
            url=device(section, section.text("url")) if relay else "",
            baudrate=section.integer("baudrate", BAUDS, 9_600),
            timeout_s=section.integer("timeout_s", range(1, SECONDS_MAX + 1), 30),
            off_ms=section.integer("off_ms", range(60_001), 500),
        )
    section.done()
    return power


def _octets(section: Section, key: str) -> str:
    text = section.text(key)
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        octets = b""
    if not octets:
        raise section.error(key, text, 'octets in hexadecimal, such as "A0 01 01 A2"')
    return octets.hex()


def _command(section: Section, key: str) -> tuple[str, ...]:
    words = section.texts(key)
    if not words:
        raise section.error(key, [], "a program and its arguments")
    return words


def _images(section: Section, ecu: str, slot_size: int) -> ImageSettings:
    images = ImageSettings(
        good=tuple(section.file.parent / path for path in section.texts("good", ())),
        failing=section.path("failing") if section.has("failing") else None,
        hanging=section.path("hanging") if section.has("hanging") else None,
        length=section.integer("length", range(1, slot_size + 1), min(IMAGE_LENGTH, slot_size)),
        filename=section.id("filename", f"rig/{ecu}"[:50]),
        takes=section.text("takes", "**"),
    )
    section.done()
    return images
