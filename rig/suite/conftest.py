"""How often the suite repeats what the dice decide."""

from __future__ import annotations

import pytest

from rig.plugin import RECORDER


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """As many power cuts as the rig file says."""
    recorder = metafunc.config.stash.get(RECORDER, None)
    if "cut" in metafunc.fixturenames:
        count = 0 if recorder is None else recorder.settings.power_cuts
        metafunc.parametrize("cut", range(count), ids=[f"cut-{number}" for number in range(count)])
