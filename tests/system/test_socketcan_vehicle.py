"""Servers and a whole vehicle on real SocketCAN, in a kernel of their own: see tests/deploy/socketcan_vehicle.py."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.deploy.socketcan_board import on_socketcan
from tests.deploy.uml import kernel, run_tests
from tests.system.fleet import Fleet

pytestmark = [pytest.mark.system, pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(400)]
INSIDE = Path(__file__).resolve().parents[1] / "deploy" / "socketcan_vehicle.py"
BOOT_S = 360


def test_a_vehicle_on_socketcan(template: Fleet, tmp_path: Path) -> None:
    root = kernel()
    if root is None:
        pytest.skip("Debian's user-mode-linux can be had nowhere; it is for x86-64")
    on_socketcan(template.copied(tmp_path / "fleet"))
    told = run_tests(root, tmp_path, INSIDE, seconds=BOOT_S)
    assert (tmp_path / "status").exists(), told[-8_000:]
    assert (tmp_path / "status").read_text() == "0\n", told[-8_000:]
    suite = ET.parse(tmp_path / "told.xml").getroot()[0]
    assert int(suite.get("tests", "0")) >= 3
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "0")
