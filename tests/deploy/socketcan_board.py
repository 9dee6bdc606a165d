"""A fleet of tests/system with its vehicle on the kernel's CAN: prepared on the host, started in another kernel."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Self

from demo.images import ECUS, TELEMATICS, EcuOfDemo
from demo.world import World
from tests.system.fleet import Fleet, Town, wait_for

CHANNELS = {"chassis": "vcan0", "backbone": "vcan1"}
BUS = '[[bus]]\nname = "{name}"\ninterface = "socketcan"\nchannel = "{channel}"\nfd = {fd}\n'


def on_socketcan(fleet: Fleet) -> None:
    """What provisioning writes for SocketCAN, and above it each board's own file, which says where its bus is."""
    etc = fleet.folder / "etc"
    etc.mkdir()
    buses = fleet.world.buses
    for ecu in ECUS:
        config = fleet.ecu(ecu) / "config.toml"
        text = re.sub(
            r'"udp_multicast"\nchannel = .*\nport = .*\n', '"socketcan"\nchannel = "can0"\n', config.read_text()
        )
        config.write_text(text.replace("paced = false\n", ""))
        if ecu is TELEMATICS:
            own = [BUS.format(name=name, channel=CHANNELS[name], fd=str(bus.fd).lower()) for name, bus in buses.items()]
        else:
            own = [f'[can]\nchannel = "{CHANNELS[ecu.bus]}"\n']
        (etc / f"{ecu.name}.toml").write_text(f'provisioned = "{fleet.ecu(ecu)}"\n' + "".join(own))
    (fleet.folder / "ports.json").write_text(json.dumps(fleet.world.ports))


class Vehicle(Fleet):
    """The fleet on the kernel's CAN: each board's own file says where its bus is, above what was provisioned."""

    @classmethod
    def moved_to(cls, folder: Path) -> Self:
        """What `on_socketcan` has prepared there."""
        return cls(World(folder, {}, Town(folder / "logs"), json.loads((folder / "ports.json").read_text())))

    def start(self, name: str) -> None:
        if name not in {ecu.name for ecu in ECUS}:
            super().start(name)
            return
        self._starts[name] = self.said(name).count(f"{name} is ready") + 1
        words = ("run", "--config", str(self.folder / "etc" / f"{name}.toml"))
        if name == TELEMATICS.name:
            self.crew.start(name, "primary", *words, "--progress", str(self.world.progress))
        else:
            self.crew.start(name, "secondary", *words)

    def wait_until_said(self, text: str, *ecus: EcuOfDemo) -> None:
        """Wait until each of these ECUs has it in its log."""
        for ecu in ecus:
            wait_for(partial(self._has_said, ecu, text), f"{ecu.name}: {text}", seconds=30)

    def _has_said(self, ecu: EcuOfDemo, text: str) -> bool:
        return text in self.said(ecu.name)
