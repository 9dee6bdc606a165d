"""What a Primary is told when it starts: config.toml, read strictly, and the repository mapping beside it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from primary.layout import Layout, Secondary, Verification
from primary.shell.installer import InstallerSettings, installer_setting
from uptane.link.uds_values import ECU_ADDRESSES
from uptane.model.ids import FILENAME_LENGTH_MAX, EcuId, Filename, HardwareId, VehicleId, is_name
from uptane.model.limits import ECUS_MAX, IMAGE_LENGTH_MAX
from uptane.model.reports import InstalledImage
from uptane.shell.can_port import CanSettings
from uptane.shell.can_settings import can_settings
from uptane.shell.key_text import check_own_key, key_setting
from uptane.shell.pkcs11 import TokenSettings
from uptane.shell.settings import Section, read, read_board
from uptane.shell.token import token_setting

POLL_S = 60  # unless the Director says otherwise, which it does
POLLS_S = range(1, 86_401)
SELF_TEST_S = 60
SELF_TEST_S_MAX = 3_600
DRAW_W = 60  # of the ECUs that are awake during an update, when the gate's file speaks of watt-hours
DRAWS_W = range(1, 10_001)
DRIVING_PERCENT = 30  # of a bus's time, while the vehicle is not parked; parked, nobody else needs it


class GateKind(Enum):
    """Who says that the vehicle may be changed: nobody (so it may not), or a file."""

    NONE = "none"
    FILE = "file"


class Slots(Enum):
    """How many images an ECU can hold; with one it cannot go back by itself, and is written last."""

    ONE = 1
    TWO = 2


@dataclass(frozen=True, slots=True)
class Server:
    """`host:port` of a server, the name on its certificate if that is another, and the file of who vouches for it."""

    address: str
    name: str | None
    authority: Path


@dataclass(frozen=True, slots=True)
class Gate:
    """The file that says what state the vehicle is in; None when nobody says. `draw_w` turns watt-hours into time."""

    file: Path | None
    draw_w: int


@dataclass(frozen=True, slots=True)
class Config:
    """A Primary. Paths are absolute or relative to the working directory; times in seconds."""

    layout: Layout
    buses: dict[str, CanSettings]
    director: Server
    time: Server
    image: Server
    certificate: Path
    certificate_key: Path
    gate: Gate
    self_test: tuple[str, ...]
    self_test_s: int
    poll_s: int
    factory: InstalledImage
    initial: Path
    key: Path
    token: TokenSettings | None
    installer: InstallerSettings
    state: Path
    slots: Path
    cache: Path


def load(file: Path) -> Config:
    """Read config.toml and mapping.toml, and the board's settings above it.

    Raises:
        SettingsError: one of them cannot be used; the text says which key, what was found and what to do.
    """
    top = read_board(file)
    check_own_key(top)
    tls, self_test, paths, poll = (top.section(key) for key in ("tls", "self_test", "paths", "poll"))
    buses = _buses(top.sections("bus"))
    authority = tls.path("authority", "tls/ca.pem")
    config = Config(
        layout=_layout(top, buses),
        buses=buses,
        director=_server(top.section("director"), authority),
        time=_server(top.section("time"), authority),
        image=_server(top.section("image_repository"), tls.path("image_authority", "tls/image-ca.pem")),
        certificate=tls.path("certificate", "tls/cert.pem"),
        certificate_key=tls.path("key", "tls/key.pem"),
        gate=_gate(top.section("gate")),
        self_test=self_test.texts("command", ()),
        self_test_s=self_test.integer("timeout_s", range(1, SELF_TEST_S_MAX + 1), SELF_TEST_S),
        poll_s=poll.integer("seconds", POLLS_S, POLL_S),
        factory=_image(top.section("image")),
        initial=paths.path("initial", "initial"),
        key=paths.path("key", "keys/ecu.pem"),
        token=token_setting(top),
        installer=installer_setting(top.section("installer")),
        state=paths.path("state", "state"),
        slots=paths.path("slots", "slots"),
        cache=paths.path("cache", "state/cache"),
    )
    mapping = paths.path("mapping", "mapping.toml")
    for section in (tls, self_test, paths, poll, top):
        section.done()
    _check_mapping(mapping)
    return config


def _buses(sections: list[Section]) -> dict[str, CanSettings]:
    buses: dict[str, CanSettings] = {}
    for section in sections:
        name = section.id("name")
        if name in buses:
            raise section.error("name", name, "a name that no other [[bus]] has")
        buses[name] = can_settings(section, DRIVING_PERCENT)
        section.done()
    return buses


def _layout(top: Section, buses: dict[str, CanSettings]) -> Layout:
    ecu = top.id("ecu")
    secondaries: list[Secondary] = []
    for section in top.sections("secondary"):
        each = _secondary(section, buses)
        if each.ecu == ecu or any(each.ecu == other.ecu for other in secondaries):
            raise section.error("ecu", each.ecu, "an id that no other ECU of the vehicle has")
        if any(each.key == other.key for other in secondaries):
            raise section.error("public_key", each.ecu, "a key that no other ECU of the vehicle has")
        if any((each.bus, each.address) == (other.bus, other.address) for other in secondaries):
            raise section.error("address", each.address, f"an address that no other ECU on {each.bus} has")
        secondaries.append(each)
    if len(secondaries) >= ECUS_MAX:
        raise top.error("secondary", f"{len(secondaries)} tables", f"at most {ECUS_MAX - 1}")
    return Layout(
        vehicle=VehicleId(top.id("vehicle")),
        ecu=EcuId(ecu),
        hardware=HardwareId(top.id("hardware")),
        filename=top.text("filename", "**"),
        slot_size=top.integer("slot_size", range(1, IMAGE_LENGTH_MAX + 1)),
        secondaries=tuple(secondaries),
    )


def _secondary(section: Section, buses: dict[str, CanSettings]) -> Secondary:
    bus = section.text("bus")
    if bus not in buses:
        raise section.error("bus", bus, f"the name of a [[bus]]: {', '.join(sorted(buses)) or 'there is none'}")
    each = Secondary(
        ecu=EcuId(section.id("ecu")),
        hardware=HardwareId(section.id("hardware")),
        verification=section.choice("verification", Verification),
        bus=bus,
        address=section.integer("address", ECU_ADDRESSES),
        key=key_setting(section, "public_key"),
        slots=section.integer("slots", range(1, 3), Slots.TWO.value),
    )
    section.done()
    return each


def _server(section: Section, authority: Path) -> Server:
    address = section.text("address")
    host, colon, port = address.rpartition(":")
    if not host or not colon or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise section.error("address", address, "host:port")
    name = section.text("server_name") if section.has("server_name") else None
    section.done()
    return Server(address, name, authority)


def _gate(section: Section) -> Gate:
    kind = section.choice("kind", GateKind, GateKind.NONE)
    gate = Gate(
        section.path("path") if kind is GateKind.FILE else None,
        section.integer("draw_w", DRAWS_W, DRAW_W),
    )
    section.done()
    return gate


def _image(section: Section) -> InstalledImage:
    filename = section.text("filename")
    if not is_name(filename, FILENAME_LENGTH_MAX):
        raise section.error("filename", filename, f"1 to {FILENAME_LENGTH_MAX} of A-Z a-z 0-9 . _ + : @ / -")
    image = InstalledImage(
        Filename(filename),
        section.integer("length", range(IMAGE_LENGTH_MAX + 1)),
        section.octets("sha256", 32),
        section.integer("release_counter", range(1 << 32)),
    )
    section.done()
    return image


def _check_mapping(file: Path) -> None:
    """Both repositories must vouch for every image: the one mapping this Primary enforces (section 5.2.6).

    Another one is refused rather than taken for this.
    """
    top = read(file)
    rules = top.sections("mapping")
    found = [(rule.texts("paths"), rule.texts("repositories")) for rule in rules]
    for section in (*rules, top):
        section.done()
    if found != [(("**",), ("director", "image"))]:
        raise top.error("mapping", found, 'one table: paths = ["**"], repositories = ["director", "image"]')
