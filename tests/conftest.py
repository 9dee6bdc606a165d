"""What every test shares: where temporary things go, how hypothesis draws, and in which order workers take files.

Everything a test run writes goes below build/: hypothesis' examples, pytest's temporary folders, a subprocess's TMPDIR.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parent.parent / "build"
TEMPORARY = BUILD / "tmp"
TEMPORARY.mkdir(parents=True, exist_ok=True)
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(TEMPORARY))
os.environ.setdefault("TMPDIR", str(TEMPORARY))
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(BUILD / "hypothesis"))
os.environ.setdefault("PYTHONPYCACHEPREFIX", str(BUILD / "pycache"))  # for the processes that tests start

from hypothesis import HealthCheck, settings  # noqa: E402  (reads its storage folder from the environment set above)

# ci: the same examples on every run, so that a red build is a change and never luck. A shared machine is slow at
# times: no deadline per example, pytest's timeout bounds the test.
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# explore: new examples each time, many of them, for a developer's machine: HYPOTHESIS_PROFILE=explore make test
settings.register_profile("explore", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# ------------------------------------------------------------------------------------------ files on several workers

# The files that take long, in seconds of an idle machine with two cores. With `--dist loadfile --no-loadscope-reorder`
# workers take files in this order, so that none begins with a long one when the others are done. One that is not listed
# takes less than the last of these.
LONG_S = {
    "tests/system/test_outage.py": 290,
    "tests/system/test_loss.py": 285,
    "tests/rig/test_board.py": 210,
    "tests/system/test_kill.py": 175,
    "tests/system/test_demo.py": 170,
    "tests/rig/test_run.py": 155,
    "tests/system/test_board_fleet.py": 140,
    "tests/system/test_board.py": 130,
    "tests/firmware/test_fuzz.py": 85,
    "tests/test_extras.py": 60,
    "tests/system/test_socketcan_vehicle.py": 60,
    "tests/shell/test_image_repo_survival.py": 55,
    "tests/shell/test_director_process.py": 50,
    "tests/unit/primary/test_power_cut.py": 40,
    "tests/deploy/test_socketcan.py": 40,
    "tests/sim/test_attack_matrix.py": 35,
    "tests/sim/test_marque_sim.py": 15,
    "tests/firmware/test_image.py": 15,
    "tests/firmware/test_simulated.py": 10,
    "tests/sim/test_soak.py": 10,
}


def file_of(item: pytest.Item) -> str:
    """The file of a test, as it is called from the project's top."""
    return item.nodeid.split("::", 1)[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first; all others keep their order, and so do the tests of each file."""
    items.sort(key=lambda item: -LONG_S.get(file_of(item), 0))
