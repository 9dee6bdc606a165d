"""How often the suite repeats what the dice decide, and which attacks concern which ECU."""

from __future__ import annotations

from typing import Any

import pytest

from rig.plugin import RECORDER


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """As many power cuts as the rig file says."""
    recorder = metafunc.config.stash.get(RECORDER, None)
    if "cut" in metafunc.fixturenames:
        count = 0 if recorder is None else recorder.settings.power_cuts
        metafunc.parametrize("cut", range(count), ids=[f"cut-{number}" for number in range(count)])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the attacks that an ECU cannot be asked because of how it verifies."""
    recorder = config.stash.get(RECORDER, None)
    if recorder is None:
        return
    verifies = {ecu.ecu: ecu.verification for ecu in recorder.settings.ecus}

    def concerns(item: pytest.Item) -> bool:
        params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
        return "row" not in params or verifies[params["rig_ecu"]] in params["row"].on

    left_out = [item for item in items if not concerns(item)]
    items[:] = [item for item in items if concerns(item)]
    config.hook.pytest_deselected(items=left_out)
