"""`marque-secondary doctor`: everything a Secondary needs of its board, looked at once. Nothing is changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from secondary.shell.board import read_interlock
from secondary.shell.config import Config
from secondary.shell.provision import floor
from uptane.link.uds_tasks import Interlock
from uptane.moments import UtcTime
from uptane.shell import checkup
from uptane.shell.checkup import Finding, doubt, good

PACKAGE: Final = "marque-secondary"
RECORDS_LENGTH: Final = 4 * 1024 * 1024  # octets: state of a full ECU, twice


def examine(config: Config) -> Iterator[Finding]:
    """Every finding."""
    yield from checkup.look_at_package(PACKAGE)
    can = config.can
    if can.interface == "socketcan":
        yield from checkup.look_at_can(can, checkup.can_facts(can.channel), kernel=checkup.kernel_has_can())
    else:
        yield good("bus", f"{can.interface} {can.channel}: no doctor looks at it, only at SocketCAN")
    yield checkup.look_at_clock(UtcTime(int(time.time())), floor(config), matters=False)
    yield from checkup.look_at_folder("disk, state", config.state, RECORDS_LENGTH, "records")
    there = sum(path.stat().st_size for path in config.slots.glob("*")) if config.slots.is_dir() else 0
    yield from checkup.look_at_folder("disk, slots", config.slots, max(0, 2 * config.slot_size - there), "two slots")
    yield from checkup.look_at_own_key(config.key, config.token)
    yield _interlock(config)


def _interlock(config: Config) -> Finding:
    if config.interlock is None:
        return doubt(
            "interlock", "nothing says when this ECU may be reprogrammed: never", "[interlock] in the settings"
        )
    found = read_interlock(config.interlock)
    if found is Interlock.UNSAFE and not config.interlock.exists():
        return doubt(
            "interlock",
            f"{config.interlock} is not there: not safe",
            "whoever knows the vehicle's state has to write it",
        )
    return good("interlock", f"{config.interlock} says {found.name.lower()}")
