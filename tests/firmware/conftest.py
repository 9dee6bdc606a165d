"""The firmware's core on the host port, built before the first test that asks for it."""

import ctypes
import fcntl
import subprocess
from pathlib import Path

import pytest

from tests.firmware import ecu_pair
from tests.firmware.verify_pair import Both

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build" / "firmware" / "host" / "libmarque_firmware.so"


def build(target: str) -> None:
    """`make -C firmware TARGET`, by one process at a time."""
    folder = ROOT / "build" / "firmware"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            ["make", "-C", str(ROOT / "firmware"), target], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def host_library() -> Path:
    """Where libmarque_firmware.so lies."""
    build("host")
    return LIBRARY


@pytest.fixture(scope="session")
def core(host_library: Path) -> ctypes.CDLL:
    """The core, to call its functions one by one."""
    return ctypes.CDLL(str(host_library))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Parts of the ECU alone: ecu_bench.c."""
    return ecu_pair.build(tmp_path_factory.mktemp("ecu"))


@pytest.fixture
def both(host_library: Path) -> Both:
    """Both cores, which are asked the same and have to answer alike."""
    return Both(host_library)


@pytest.fixture
def ready(both: Both) -> Both:
    """The time is known, and Targets with an entry are held."""
    assert both.time() is None
    assert both.targets() is None
    return both
