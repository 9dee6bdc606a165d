"""What a Secondary is told when it starts: config.toml, read strictly."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from uptane.link.uds_values import ECU_ADDRESSES
from uptane.model.ids import FILENAME_LENGTH_MAX, EcuId, Filename, HardwareId, VehicleId, is_name
from uptane.model.limits import IMAGE_LENGTH_MAX
from uptane.model.reports import InstalledImage
from uptane.shell.can_port import CanSettings
from uptane.shell.can_settings import can_settings
from uptane.shell.key_text import check_own_key
from uptane.shell.pkcs11 import TokenSettings
from uptane.shell.settings import Section, read_board
from uptane.shell.token import token_setting

SELF_TEST_S = 60  # as long as a slow ECU takes to come up; the vehicle waits for it parked
SELF_TEST_S_MAX = 3_600
FLOOR_DEFAULT = 200  # octets a second: a classic bus at 500 kbit/s with 30 % of its time ours carries 9,000
FLOOR_MAX = 10_000_000


class Verification(Enum):
    """How a Secondary verifies."""

    PARTIAL = "partial"
    FULL = "full"


class InterlockKind(Enum):
    """Where the interlock's word comes from: nowhere (never safe), or the first word of a file."""

    NONE = "none"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Config:
    """A Secondary. Paths are absolute or relative to the working directory; `slot_size` in octets, times in seconds.

    `interlock` is None when nothing says safe; `self_test` is empty when the hash of the running slot decides.
    `slow_floor` is the rate in octets a second below which a delivery counts as slow retrieval, 0 for never.
    """

    vehicle: VehicleId
    ecu: EcuId
    hardware: HardwareId
    verification: Verification
    address: int
    filename: str
    slot_size: int
    can: CanSettings
    interlock: Path | None
    self_test: tuple[str, ...]
    self_test_s: int
    slow_floor: int
    factory: InstalledImage
    initial: Path
    key: Path
    token: TokenSettings | None
    state: Path
    slots: Path


def load(file: Path) -> Config:
    """Read config.toml, and the board's settings above it.

    Raises:
        SettingsError: it cannot be used; the text says which key, what was found and what to do.
    """
    top = read_board(file)
    check_own_key(top)
    slot_size = top.integer("slot_size", range(1, IMAGE_LENGTH_MAX + 1))
    can, self_test, paths = top.section("can"), top.section("self_test"), top.section("paths")
    config = Config(
        vehicle=VehicleId(top.id("vehicle")),
        ecu=EcuId(top.id("ecu")),
        hardware=HardwareId(top.id("hardware")),
        verification=top.choice("verification", Verification),
        address=top.integer("address", ECU_ADDRESSES),
        filename=top.text("filename", "**"),
        slot_size=slot_size,
        can=can_settings(can),
        interlock=_interlock(top.section("interlock")),
        self_test=self_test.texts("command", ()),
        self_test_s=self_test.integer("timeout_s", range(1, SELF_TEST_S_MAX + 1), SELF_TEST_S),
        slow_floor=top.integer("slow_floor", range(FLOOR_MAX + 1), FLOOR_DEFAULT),
        factory=_image(top.section("image"), slot_size),
        initial=paths.path("initial", "initial"),
        key=paths.path("key", "keys/ecu.pem"),
        token=token_setting(top),
        state=paths.path("state", "state"),
        slots=paths.path("slots", "slots"),
    )
    for section in (can, self_test, paths, top):
        section.done()
    return config


def _interlock(section: Section) -> Path | None:
    kind = section.choice("kind", InterlockKind, InterlockKind.NONE)
    path = section.path("path") if kind is InterlockKind.FILE else None
    section.done()
    return path


def _image(section: Section, slot_size: int) -> InstalledImage:
    filename = section.text("filename")
    if not is_name(filename, FILENAME_LENGTH_MAX):
        raise section.error("filename", filename, f"1 to {FILENAME_LENGTH_MAX} of A-Z a-z 0-9 . _ + : @ / -")
    image = InstalledImage(
        Filename(filename),
        section.integer("length", range(slot_size + 1)),
        section.octets("sha256", 32),
        section.integer("release_counter", range(1 << 32)),
    )
    section.done()
    return image
