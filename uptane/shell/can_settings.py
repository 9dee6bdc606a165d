"""The part of a configuration file that describes a CAN bus, alike for a Primary's buses and a Secondary's one."""

from __future__ import annotations

from typing import Final

from uptane.link.bus_time import BusSpeed
from uptane.shell.can_port import CanSettings
from uptane.shell.can_wire import Option
from uptane.shell.settings import Section

UDP_MULTICAST: Final = "udp_multicast"
SOCKETCAN: Final = "socketcan"
_BITRATES = range(10_000, 1_000_001)
_DATA_BITRATES = range(10_000, 8_000_001)


def can_settings(section: Section, budget_percent: int = 100) -> CanSettings:
    """Read `interface`, `channel`, `port`, `fd`, `bitrate`, `data_bitrate`, `paced`, `budget_percent` and [options].

    `budget_percent` is the share of the bus's time taken unless the section says another.
    Only frames between processes (udp_multicast) are paced unless told otherwise: a real bus paces itself.

    Raises:
        SettingsError: one of them cannot be used.
    """
    interface = section.text("interface")
    channel = section.text("channel")
    options: dict[str, Option] = {}
    for key, value in section.section("options").rest().items():
        if not isinstance(value, str | int | float | bool):
            raise section.error(f"options.{key}", value, "a string, a number, true or false")
        options[key] = value
    if section.has("port"):
        port = section.integer("port", range(1, 65_536))
        if interface != SOCKETCAN:  # which has none: a board may set it above what was provisioned for another one
            options["port"] = port
    nominal = section.integer("bitrate", _BITRATES, 500_000)
    data = section.integer("data_bitrate", _DATA_BITRATES, max(nominal, 2_000_000))
    if data < nominal:
        raise section.error("data_bitrate", data, f"at least the bitrate, {nominal}")
    return CanSettings(
        interface,
        channel,
        fd=section.flag("fd", default=False),
        speed=BusSpeed(nominal, data),
        paced=section.flag("paced", default=interface == UDP_MULTICAST),
        budget_percent=section.integer("budget_percent", range(1, 101), budget_percent),
        options=options,
    )
