"""The pytest plugin: `pytest --rig RIG.toml` gives cases an ECU on a rig, and writes the report.

Without --rig it does nothing, and costs nothing: what it needs is imported when a rig is named. Fixtures:

- `rig`: the whole rig (rig/session.py); session scope.
- `ecu`: the ECU under test (rig/under_test.py), at rest when a case begins and brought to rest when it has ended. A
  case that asks for it runs once for each ECU of the rig file. Frames, console text and events go into the report.
- `tester`, `backend`, `power`, `console`: `ecu.tester` and so on. A case that asks for a power switch or a console is
  skipped where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rig.backend import Backend
    from rig.console import Console
    from rig.power import Power
    from rig.recorder import Recorder
    from rig.session import Rig
    from rig.tester import Tester
    from rig.under_test import UnderTest

RECORDER: pytest.StashKey[Recorder] = pytest.StashKey()
TRACES = ("candump", "asc", "blf")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What the plugin can be told."""
    group = parser.getgroup("rig", "ECUs on a Marque rig")
    group.addoption("--rig", dest="rig_file", metavar="RIG.toml", help="the rig file; docs/rig.md")
    group.addoption("--rig-out", dest="rig_out", metavar="DIR", help="where the report goes; default: the rig file's")
    group.addoption("--rig-seed", dest="rig_seed", type=int, help="dice of losses and power cuts; default: the file's")
    group.addoption("--rig-ecu", dest="rig_ecus", action="append", metavar="NAME", help="only this ECU; repeatable")
    group.addoption(
        "--rig-trace", dest="rig_traces", action="append", choices=TRACES, help="trace formats; default: candump"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the rig file, if one is named."""
    file = config.getoption("rig_file")
    if not file or config.pluginmanager.has_plugin("marque-rig-recorder"):
        return
    # python-can and pyserial are loaded for those who have a rig, not for every run of pytest.
    from rig.recorder import recorder_of  # noqa: PLC0415

    recorder = recorder_of(config, Path(file))
    config.stash[RECORDER] = recorder
    config.pluginmanager.register(recorder, "marque-rig-recorder")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A case runs once for each ECU."""
    recorder = metafunc.config.stash.get(RECORDER, None)
    if recorder is not None and "rig_ecu" in metafunc.fixturenames:
        metafunc.parametrize("rig_ecu", recorder.names, indirect=True, scope="session")


@pytest.fixture(scope="session")
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """The whole rig."""
    recorder = request.config.stash.get(RECORDER, None)
    if recorder is None:
        pytest.skip("needs a rig: pytest --rig RIG.toml")
    yield recorder.rig
    recorder.rig.close()


@pytest.fixture(scope="session")
def rig_ecu(rig: Rig, request: pytest.FixtureRequest) -> UnderTest:
    """The ECU that the cases which follow are about; cases ask for `ecu`."""
    recorder = request.config.stash[RECORDER]
    return recorder.open(rig, str(request.param))


@pytest.fixture
def ecu(rig_ecu: UnderTest, request: pytest.FixtureRequest) -> Iterator[UnderTest]:
    """The ECU under test, at rest."""
    recorder = request.config.stash[RECORDER]
    recorder.begin(rig_ecu, request.node)
    try:
        yield rig_ecu
    finally:
        recorder.end(rig_ecu, request.node)


@pytest.fixture
def tester(ecu: UnderTest) -> Tester:
    """The tester plugged in to the ECU's bus."""
    return ecu.tester


@pytest.fixture
def backend(ecu: UnderTest) -> Backend:
    """The bench's own Director, Image repository and time service."""
    return ecu.backend


@pytest.fixture
def power(ecu: UnderTest) -> Power:
    """The power switch."""
    if not ecu.power.there:
        pytest.skip("no power switch in the rig file")
    return ecu.power


@pytest.fixture
def console(ecu: UnderTest) -> Console:
    """The serial console."""
    if ecu.console is None:
        pytest.skip("no console in the rig file")
    return ecu.console
