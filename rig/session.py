"""A whole rig, opened piece by piece: channels when an ECU on them is asked for, and closed together at the end."""

from __future__ import annotations

import fcntl
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from rig import backend
from rig.bus import Bus
from rig.console import Console
from rig.journal import Journal
from rig.power import Power
from rig.provision import report_key
from rig.settings import EcuSettings, RigSettings
from rig.under_test import UnderTest
from uptane.errors import MarqueError, StorageFailure
from uptane.moments import UtcTime


def utc() -> UtcTime:
    """The time as this host has it."""
    return UtcTime(int(time.time()))


class Rig:
    """What `settings` describe. Raises StorageFailure: no keys, or somebody else works with them."""

    def __init__(self, settings: RigSettings, seed: int | None = None) -> None:
        self.settings = settings
        self.seed = settings.seed if seed is None else seed
        self.backend = backend.load(settings.backend, settings.vehicle, utc)
        self._lock = _alone(settings.backend / "lock")
        self._buses: dict[str, Bus] = {}
        self._ecus: dict[str, UnderTest] = {}

    def bus(self, name: str) -> Bus:
        """A channel, opened at first. Raises LinkFailure."""
        if name not in self._buses:
            settings = next(bus for bus in self.settings.buses if bus.name == name)
            self._buses[name] = Bus(settings.can, Journal())
        return self._buses[name]

    def ecu(self, name: str) -> UnderTest:
        """An ECU, its channel and its console opened at first. Raises LinkFailure, StorageFailure."""
        if name not in self._ecus:
            settings = next(ecu for ecu in self.settings.ecus if ecu.ecu == name)
            self._ecus[name] = self._open(settings)
        return self._ecus[name]

    def _open(self, ecu: EcuSettings) -> UnderTest:
        bus = self.bus(ecu.bus)
        return UnderTest(
            settings=ecu,
            backend=self.backend,
            bus=bus,
            power=Power(ecu.power, self.settings.folder, bus.journal),
            console=None if ecu.console is None else Console(ecu.console),
            key=report_key(self.settings, ecu),
            folder=self.settings.folder,
            memory=self.settings.backend / "ecus" / f"{ecu.ecu.replace('/', '_')}.json",
            seed=self.seed,
        )

    def close(self) -> None:
        """Give everything back."""
        for ecu in self._ecus.values():
            with suppress(MarqueError):
                ecu.close()
        for bus in self._buses.values():
            bus.close()
        self._lock.close()


def _alone(path: Path) -> IO[bytes]:
    """One process has a bench: two testers with one address confuse every ECU. The lock goes with the process."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise StorageFailure(f"{path}: another marque-rig works on this bench; let it end first") from error
    return file
