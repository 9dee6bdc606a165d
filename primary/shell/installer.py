"""Who keeps the slots of the Primary's own image: this process's two files, RAUC, or a command of the integrator's.

An installer is asked only for octets that were verified in full, and is told everything twice if need be: the same
again changes nothing. What it cannot do it raises as Rejected: INSTALLER_REFUSED when it said no to the image,
INSTALLER_DOWN when it does not do as it is told; either text says what to do, and is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

from primary.needs import Mark
from uptane.errors import Check, Rejected
from uptane.model.reports import InstalledImage
from uptane.shell.settings import Section

TIMEOUT_S: Final = 1_800
TIMEOUTS_S: Final = range(1, 7_201)
TEXT_MAX: Final = 300  # characters of what others say
SYSTEM_BUS: Final = "/run/dbus/system_bus_socket"
NAME_MAX: Final = 64


class Kind(Enum):
    """Who keeps the slots."""

    DIRECTORY = "directory"
    RAUC = "rauc"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class InstallerSettings:
    """`slots`: RAUC's names of slot 0 and 1. `bus`: the socket of D-Bus. `timeout_s`: for writing one image.

    `restart` is a command that restarts the machine; without it systemd-logind is asked (RAUC), or the command.
    """

    kind: Kind = Kind.DIRECTORY
    slots: tuple[str, ...] = ()
    bus: Path = Path(SYSTEM_BUS)
    command: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    timeout_s: int = TIMEOUT_S


class Installer(Protocol):
    """Two slots, 0 and 1, that a bootloader boots. Each method may take its time, and raises Rejected: INSTALLER_*."""

    def running(self) -> int:
        """The slot that this boot runs."""
        ...

    def install(self, slot: int, file: Path, image: InstalledImage) -> None:
        """Put the octets of `file` to where `slot` boots from, and check them there."""
        ...

    def check(self, slot: int, image: InstalledImage) -> None:
        """Pass when `slot` is as `install` has left it."""
        ...

    def mark(self, slot: int, mark: Mark) -> None:
        """Tell the bootloader, durably."""
        ...

    def restart(self) -> None:
        """Have the machine restarted; return when that is under way."""
        ...

    def stop(self) -> None:
        """End what is under way, soon; for another thread."""
        ...


def installer_setting(section: Section) -> InstallerSettings:
    """Read `[installer]`.

    Raises:
        SettingsError: it cannot be used; the text says which key, what was found and what to do.
    """
    kind = section.choice("kind", Kind, Kind.DIRECTORY)
    if kind is Kind.DIRECTORY:
        section.done()
        return InstallerSettings()
    slots = section.texts("slots") if kind is Kind.RAUC else ()
    if kind is Kind.RAUC and (len(set(slots)) != 2 or not all(0 < len(name) <= NAME_MAX for name in slots)):
        raise section.error("slots", list(slots), 'two names of RAUC\'s system.conf, such as ["rootfs.0", "rootfs.1"]')
    command = section.texts("command") if kind is Kind.COMMAND else ()
    restart = section.texts("restart", ())
    for key, words in (("command", command), ("restart", restart)):
        if (words or key == kind.value) and not (words and Path(words[0]).is_absolute()):
            raise section.error(key, list(words), "a program by its absolute path, and its arguments")
    settings = InstallerSettings(
        kind=kind,
        slots=slots,
        bus=section.path("bus", SYSTEM_BUS) if kind is Kind.RAUC else Path(SYSTEM_BUS),
        command=command,
        restart=restart,
        timeout_s=section.integer("timeout_s", TIMEOUTS_S, TIMEOUT_S),
    )
    section.done()
    return settings


def refused(text: str) -> Rejected:
    """The installer has said no to an image or a slot."""
    return Rejected(Check.INSTALLER_REFUSED, bounded(text))


def down(text: str) -> Rejected:
    """The installer does not do as it is told."""
    return Rejected(Check.INSTALLER_DOWN, bounded(text))


def bounded(text: str) -> str:
    """What others say, on one line and not for ever."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text[: 4 * TEXT_MAX]).split())
    return line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 3] + "..."
