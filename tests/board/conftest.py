"""One vehicle on an emulated board for the tests of this folder: made when the first of them asks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest

from demo import world as setting
from tests.board import root
from tests.board.machine import Machine
from tests.board.vehicle import Vehicle, packages, write_carried


class Took:
    """How long each step took, in seconds, for whoever reads the log."""

    def __init__(self) -> None:
        self._last = monotonic()

    def step(self, name: str) -> None:
        """Say it of the step that has ended now."""
        now = monotonic()
        print(f"board: {name}: {now - self._last:.1f} s", flush=True)
        self._last = now


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vehicle]:
    """Our packages are installed on a clean Debian, both ECUs are enrolled, and their services run."""
    missing = root.why_not()
    if missing is not None:
        pytest.skip(missing)
    took = Took()
    made = root.made()
    took.step("Debian's root")
    folder = tmp_path_factory.mktemp("board")
    carried = folder / "carried.raw"
    write_carried(carried, {deb.name: deb.read_bytes() for deb in packages(folder / "deb")})
    took.step("our packages")
    vehicle = Vehicle(
        setting.new_world(folder / "world", paced=False), Machine(made, folder / "machine", carried=carried)
    )
    try:
        with ThreadPoolExecutor(1) as pool:
            serving = pool.submit(vehicle.serve)
            vehicle.machine.boot()
            vehicle.install()
            serving.result()
        took.step("booted and installed")
        vehicle.enrol()
        vehicle.start()
        took.step("enrolled and started")
        yield vehicle
    finally:
        vehicle.machine.stop()
        vehicle.world.crew.stop()
        _keep(vehicle, folder)


def _keep(vehicle: Vehicle, folder: Path) -> None:
    """What the console said stays; disks of hundreds of megabytes do not."""
    for path in (vehicle.machine.disk, folder / "carried.raw", *(folder / "deb").glob("*.deb")):
        path.unlink(missing_ok=True)
